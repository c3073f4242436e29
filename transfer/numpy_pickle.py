"""Reading a pickle of numpy arrays (Detectron2's ``.pkl``) without unpickling anything else.

Only the names that numpy's own arrays need are resolved; every other global, hence every call that a hostile pickle
could make, is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from scenebench.errors import UserError


def load_arrays(path: Path | str) -> dict[str, Any]:
    """The top-level mapping of a pickle (protocol 3 or 4) made of dicts, strings, numbers and numpy arrays.

    Raises:
        UserError: missing, damaged, or holding anything else.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            content = _ArraysOnly(file, encoding="latin1").load()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (pickle.UnpicklingError, EOFError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a pickle of plain numpy arrays: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping, found {type(content).__name__}")
    return content


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return _plain_dtype
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")


def _empty_array(subtype: Any, _shape: Any, _typecode: Any) -> np.ndarray:
    """numpy pickles an array as an empty one whose state is set afterwards; no size is taken from the file here."""
    if subtype is not np.ndarray:
        raise pickle.UnpicklingError("it holds an array of another class")
    return np.ndarray((0,), dtype=np.int8)


def _plain_dtype(code: Any, *_flags: Any) -> np.dtype[Any]:
    if not isinstance(code, str) or np.dtype(code).kind not in "fiub":
        raise pickle.UnpicklingError(f"it holds an array of type {code!r}")
    return np.dtype(code)
