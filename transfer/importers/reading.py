"""Reading other people's checkpoints without running anything in them: from a file to its named tensors.

Three formats, told apart by content, never by suffix: torch.save's (zip, or the one before 1.6), pickles of numpy
arrays (Detectron2's and Caffe2's ``.pkl``), and safetensors. Pickles are worked through by
:mod:`transfer.untrusted.machine`, which is stricter than ``torch.load(weights_only=True)`` (sizes are checked before
they are believed) and reads more (numpy arrays; files whose hyper-parameters are objects of packages that are not
installed). The file stays mapped: a tensor costs memory only where it is copied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.containers import KNOWN_KEYS, MAX_NESTING, find_state_dict
from transfer.importers.family import Checkpoint
from transfer.untrusted import machine, torch_file
from transfer.untrusted.arrays import Array
from transfer.untrusted.files import Format, format_of, map_file
from transfer.untrusted.refusal import Refusal, shown
from transfer.untrusted.safetensors_file import read_safetensors
from transfer.untrusted.tensors import TensorPlan, Unusable
from transfer.untrusted.torch_file import TorchFile
from transfer.untrusted.values import Inert

_LONGEST_NAME = 500
_NOT_WEIGHTS = "_momentum"  # Caffe2's optimiser keeps its state among the weights


def read_checkpoint(path: Path | str) -> Checkpoint:
    """The named tensors of a checkpoint, whatever its suffix.

    Where in the file they are looked for, and how they are named: :mod:`transfer.importers.containers`. Arrays become
    tensors.

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
            view.seek(0)
            file = TorchFile(machine.run(view), view)
        return _checkpoint(path, file)
    except Refusal as refusal:
        if form is Format.SAFETENSORS:
            raise UserError(f"{path}: {refusal}") from refusal
        raise UserError(
            f"{path}: not a PyTorch checkpoint or pickle of plain tensors: {refusal} (Python objects are never "
            "unpickled here; nothing was run)"
        ) from refusal


def _checkpoint(path: Path, file: TorchFile) -> Checkpoint:
    content = _mappings_of_their_own_class(file.content)
    if not isinstance(content, dict):
        raise Refusal(f"it holds {_kind(content)}, no state dict")
    found = find_state_dict(content, _is_tensor)
    tensors = {name: value for name, value in found.tensors.items() if not name.endswith(_NOT_WEIGHTS)}
    if not tensors:
        raise Refusal(_nothing_found(content))
    for name, value in tensors.items():
        if isinstance(value, Unusable):
            raise Refusal(f"its tensor '{shown(name)}' is of a kind without plain weights ({shown(value.kind)})")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise Refusal(f"it has a tensor with an impossible name ('{shown(name)}')")
    file.check_total(value for value in tensors.values() if isinstance(value, TensorPlan))
    return Checkpoint(
        path,
        {name: _tensor(file, value) for name, value in tensors.items()},
        metadata=_metadata(content),
        container=found.container,
        keys=tuple(key for key in content if isinstance(key, str)),
        average_swapped=found.average_swapped,
    )


def _metadata(content: dict[Any, Any]) -> dict[str, str]:
    """Detectron2's ``__author__``, and the text of the configuration that OpenMMLab's trainers save (``meta``)."""
    meta = content.get("meta")
    texts = [meta.get(key) for key in ("config", "cfg")] if isinstance(meta, dict) else []
    config = next((text for text in texts if isinstance(text, str)), None)
    author = content.get("__author__")
    return ({"author": author} if isinstance(author, str) else {}) | ({"config": config} if config else {})


def _nothing_found(content: dict[Any, Any]) -> str:
    for key, value in content.items():
        if isinstance(value, Inert) and key in KNOWN_KEYS:
            return f"its '{key}' is {_kind(value)}"
    known = ", ".join(f"'{key}'" for key in KNOWN_KEYS)
    keys = shown(", ".join(map(str, content)), 200)
    return f"it holds no state dict (named tensors at the top, or under one of {known}). Its keys: {keys}"


def _mappings_of_their_own_class(value: Any, depth: int = 0) -> Any:
    """Objects that are mappings of a class of their own and hold tensors, as plain ones."""
    if isinstance(value, Inert) and any(_is_tensor(item) for item in value.items.values()):
        value = value.items
    if isinstance(value, dict) and depth < MAX_NESTING:
        return {key: _mappings_of_their_own_class(item, depth + 1) for key, item in value.items()}
    return value


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
    return f"a {type(value).__name__}"
