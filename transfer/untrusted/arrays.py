"""Stand-ins for numpy's pickled arrays: the declared shape must be exactly the bytes that are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from transfer.untrusted.refusal import Refusal, shown

_NUMBERS = "fiubc"
MAX_DIMENSIONS = 32


@dataclass(eq=False)
class Dtype:
    """numpy's dtype; None where it is not of plain numbers (text, Python objects, records)."""

    dtype: np.dtype[Any] | None

    def set_state(self, state: Any) -> None:
        """Version, byte order, and what only records have."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "=", "|"):
            raise Refusal("it holds a numpy type with an unknown state")
        if self.dtype is not None:
            self.dtype = self.dtype.newbyteorder(state[1])


@dataclass(eq=False)
class Array:
    """numpy pickles an array as an empty one whose state is set afterwards; None until then, or if not of numbers."""

    values: np.ndarray | None = None

    def set_state(self, state: Any) -> None:
        """Version, shape, dtype, whether in Fortran's order, bytes."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refusal("it holds a numpy array with an unknown state")
        shape, dtype, fortran, content = state[-4:]
        if isinstance(content, str):  # Python 2's bytes
            content = content.encode("latin1")
        if not isinstance(dtype, Dtype):
            raise Refusal("it holds a numpy array without a numpy type")
        if dtype.dtype is not None:
            self.values = _array(shape, dtype.dtype, bool(fortran), content)


def _array(shape: Any, dtype: np.dtype[Any], fortran: bool, content: Any) -> np.ndarray:
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, tuple) or len(sizes) > MAX_DIMENSIONS:
        raise Refusal("it holds a numpy array of an impossible shape")
    if not all(type(size) is int and size >= 0 for size in sizes) or not isinstance(content, bytes | bytearray):
        raise Refusal("it holds a numpy array of an impossible shape or content")
    if prod(sizes) * dtype.itemsize != len(content):
        raise Refusal(
            f"it holds a numpy array that claims the shape {shown(sizes)} of {dtype} but {len(content)} bytes"
        )
    values = np.frombuffer(bytearray(content), dtype).reshape(sizes, order="F" if fortran else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _dtype(code: Any, *_flags: Any) -> Dtype:
    if isinstance(code, Dtype):
        return Dtype(code.dtype)
    if not isinstance(code, str) or len(code) > 16:
        return Dtype(None)
    try:
        dtype = np.dtype(code)
    except (TypeError, ValueError) as error:
        raise Refusal(f"it holds a numpy type '{shown(code)}' that does not exist") from error
    return Dtype(dtype if dtype.kind in _NUMBERS else None)


def _empty(_subtype: Any, _shape: Any = (0,), _code: Any = b"b") -> Array:
    return Array()


def _scalar(dtype: Any, content: Any = None) -> Array:
    array = Array()
    if isinstance(content, bytes | str):
        array.set_state(((), dtype, False, content))
    return array


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """Protocol 5."""
    array = Array()
    array.set_state((shape, dtype, order == "F", content))
    return array


CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _empty,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}
