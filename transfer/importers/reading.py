"""Reading other people's checkpoints without running anything in them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.family import Checkpoint

_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_STATE_DICT_KEYS = ("state_dict", "model")


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a safetensors file, or a PyTorch file with ``weights_only=True`` (tensors and plain containers, no code).

    Raises:
        UserError: missing, damaged, holding other objects than tensors and plain containers, or no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path}: not a PyTorch checkpoint of plain tensors (damaged, of another kind, or it holds Python objects, "
            f"which are never unpickled here): {reason}"
        ) from error
    return Checkpoint(path, _state_dict(path, content))


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return Checkpoint(path, tensors, dict(file.metadata() or {}))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable safetensors file (truncated or of another kind): {error}") from error


def _state_dict(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, dict):
        for key in _STATE_DICT_KEYS:
            if isinstance(content.get(key), dict):
                content = content[key]
                break
    tensors = (
        {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise UserError(f"{path}: holds no state dict (named tensors at the top, or under 'state_dict' or 'model')")
    return tensors
