"""Reading a pickle of numpy arrays (Detectron2's ``.pkl``) without unpickling it; see :mod:`transfer.untrusted`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from transfer.untrusted import machine
from transfer.untrusted.arrays import Array
from transfer.untrusted.files import map_file
from transfer.untrusted.refusal import Refusal

_PLAIN = (str, bytes, int, float, bool, type(None))
_MAX_NESTING = 8


def load_arrays(path: Path | str) -> dict[str, Any]:
    """The mapping in a pickle (any protocol) that is made of dicts, lists, text, numbers and numpy arrays.

    Raises:
        UserError: missing, damaged, or holding anything else. Nothing in it is run.
    """
    path = Path(path)
    try:
        view = map_file(path, "not a pickle of plain numpy arrays")
        content = _plain(machine.run(view), depth=0)
    except Refusal as refusal:
        raise UserError(f"{path}: not a pickle of plain numpy arrays: {refusal}; nothing was run") from refusal
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping, found {type(content).__name__}")
    return content


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_NESTING:
        raise Refusal(f"it nests deeper than {_MAX_NESTING}")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Array) and value.values is not None:
        return value.values
    if isinstance(value, _PLAIN):
        return value
    raise Refusal(f"it holds a {getattr(value, 'kind', type(value).__name__)}")
