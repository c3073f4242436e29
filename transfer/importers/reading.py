"""Reading other people's checkpoints without running anything in them."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import safetensors
import torch

from scenebench.errors import UserError
from transfer.importers.containers import find_state_dict
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
    return find_state_dict(path, content)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return Checkpoint(path, tensors, dict(file.metadata() or {}))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable safetensors file (truncated or of another kind): {error}") from error
