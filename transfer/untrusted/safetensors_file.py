"""Reading a safetensors file, whose header is checked before the library sees it."""

from __future__ import annotations

import json
import mmap
from math import prod
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from transfer.untrusted.refusal import Refusal, shown

MAX_HEADER = 16 * 2**20
"""Bytes; a ResNet-50 takes about 30 thousand."""
MAX_DIMENSIONS = 16


def read_safetensors(
    view: mmap.mmap, path: Path, with_tensors: bool = True
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name (none where only the header is asked for), and the header's text metadata.

    Raises:
        Refusal: truncated, of another kind, a tensor or key twice, or shapes that are not the bytes they claim.
    """
    _check_header(view)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = dict(file.metadata() or {})
            names = list(file.keys()) if with_tensors else []
            return {name: file.get_tensor(name) for name in names}, metadata
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise Refusal(f"not a readable safetensors file (truncated or of another kind): {shown(error)}") from error


def _check_header(view: mmap.mmap) -> None:
    length = int.from_bytes(view[:8], "little")
    if len(view) < 8 or view[8:9] != b"{" or length > len(view) - 8:
        raise Refusal("not a readable safetensors file (truncated or of another kind)")
    if length > MAX_HEADER:
        raise Refusal(f"not a readable safetensors file: its header of {length} bytes is over {MAX_HEADER}")
    try:
        header = json.loads(view[8 : 8 + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"not a readable safetensors file: its header is not JSON ({shown(error)})") from error
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise Refusal("not a readable safetensors file: its metadata is not text")
    for name, entry in header.items():
        _check_entry(name, entry, len(view) - 8 - length)


def _check_entry(name: str, entry: Any, held: int) -> None:
    """Where it lies; that shape and type make exactly these bytes is for the library, once they are known to exist."""
    try:
        (start, end), shape = entry["data_offsets"], entry["shape"]
        possible = len(shape) <= MAX_DIMENSIONS and all(
            type(number) is int and number >= 0 for number in (start, end, *shape)
        )
        if not possible or not start <= end <= held or prod(shape) > 8 * (end - start):
            raise Refusal(
                f"not a readable safetensors file (truncated or of another kind): '{shown(name)}' claims the shape "
                f"{shown(shape)} and the bytes {shown(start)} to {shown(end)} of {held}"
            )
    except (KeyError, TypeError, ValueError) as error:
        raise Refusal(f"not a readable safetensors file: the entry '{shown(name)}' is damaged") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Refusal(f"its header has the key '{shown(key)}' twice")
        found[key] = value
    return found
