"""Reading other people's checkpoints without running anything in them: from a file to its named tensors.

Three formats, told apart by content: torch.save's (zip, or the one before 1.6), pickles of numpy arrays (Detectron2's
and Caffe2's ``.pkl``), and safetensors. Pickles are worked through by :mod:`transfer.untrusted.machine`, which is
stricter than ``torch.load(weights_only=True)`` (sizes are checked before they are believed) and reads more (numpy
arrays; files whose hyper-parameters are objects of packages that are not installed). The file stays mapped: a tensor
costs memory only where it is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.family import Checkpoint
from transfer.untrusted import machine, torch_file
from transfer.untrusted.arrays import Array
from transfer.untrusted.files import Format, format_of, map_file
from transfer.untrusted.refusal import Refusal, shown
from transfer.untrusted.safetensors_file import read_safetensors
from transfer.untrusted.tensors import TensorPlan, Unusable
from transfer.untrusted.torch_file import TorchFile
from transfer.untrusted.values import Inert

STATE_DICT_KEYS = ("state_dict", "model", "blobs")
"""Where a state dict lies, if not at the top: torch.save's usual two, and Caffe2's."""

MAX_NESTING, MAX_TENSORS = 8, 50_000
_LONGEST_NAME = 500


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The named tensors of a checkpoint, whatever its suffix.

    They are those under the first of :data:`STATE_DICT_KEYS` that is there, else those at the top. Where mappings lie
    in mappings (``{"teacher": {...}, "student": {...}}``), names are joined by dots. Arrays become tensors.

    Raises:
        UserError: missing, damaged, of another kind, without a state dict, or with anything in it that no weights need
            (calls, sizes that the file does not hold, ...). Nothing is run, whatever is in the file.
    """
    path = Path(path)
    view = map_file(path)
    form = format_of(view, path)
    try:
        if form is Format.SAFETENSORS:
            return Checkpoint(path, *read_safetensors(view, path))
        if form is Format.ZIP:
            file = torch_file.read_zip(view, path)
        elif torch_file.is_legacy(view):
            file = torch_file.read_legacy(view)
        else:
            file = TorchFile(machine.run(view), view)
        return Checkpoint(path, _tensors(file))
    except Refusal as refusal:
        if form is Format.SAFETENSORS:
            raise UserError(f"{path}: {refusal}") from refusal
        raise UserError(
            f"{path}: not a PyTorch checkpoint or pickle of plain tensors: {refusal} (Python objects are never "
            "unpickled here; nothing was run)"
        ) from refusal


def _tensors(file: TorchFile) -> dict[str, Tensor]:
    found = {name: value for name, value in _named(_state_dict(file.content)) if _is_tensor(value)}
    if not found:
        keys = f" Its keys: {shown(', '.join(map(str, file.content)), 200)}" if isinstance(file.content, dict) else ""
        raise Refusal(f"it holds no state dict (named tensors at the top, or under 'state_dict' or 'model').{keys}")
    for name, value in found.items():
        if isinstance(value, Unusable):
            raise Refusal(f"its tensor '{shown(name)}' is of a kind without plain weights ({shown(value.kind)})")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise Refusal(f"it has a tensor with an impossible name ('{shown(name)}')")
    file.check_total(value for value in found.values() if isinstance(value, TensorPlan))
    return {name: _tensor(file, value) for name, value in found.items()}


def _state_dict(content: Any) -> dict[Any, Any]:
    top = _mapping(content)
    if top is None:
        raise Refusal(f"it holds a {_kind(content)}, no state dict")
    for key in STATE_DICT_KEYS:
        below = _mapping(top.get(key))
        if below and any(_is_tensor(value) for _, value in _named(below)):
            return below
        if isinstance(top.get(key), Inert):
            raise Refusal(f"its '{key}' is {_kind(top[key])}, no state dict")
    return top


def _named(mapping: dict[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Values that are no mappings, by their dotted names."""
    for key, value in mapping.items():
        below = value if isinstance(value, dict) else None
        if below is None:
            yield f"{prefix}{key}", value
        elif depth < MAX_NESTING:
            yield from _named(below, f"{prefix}{key}.", depth + 1)


def _mapping(value: Any) -> dict[Any, Any] | None:
    """A dict, or the items of an object that is a mapping of its own class and holds tensors."""
    if isinstance(value, Inert) and any(_is_tensor(item) for item in value.items.values()):
        return value.items
    return value if isinstance(value, dict) else None


def _is_tensor(value: Any) -> bool:
    return isinstance(value, TensorPlan | Unusable) or (isinstance(value, Array) and value.values is not None)


def _tensor(file: TorchFile, value: Any) -> Tensor:
    if isinstance(value, TensorPlan):
        return file.tensor(value)
    try:
        return torch.from_numpy(value.values)
    except TypeError as error:
        raise Refusal(f"it holds an array of {value.values.dtype}, which PyTorch does not have") from error


def _kind(value: Any) -> str:
    if isinstance(value, Inert):
        return f"a whole Python object ({shown(value.kind)}); save its state_dict() where its code is installed"
    return type(value).__name__
