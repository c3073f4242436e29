"""Stand-ins for PyTorch's pickled tensors: plans that are checked first and made into tensors later, if at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from transfer.untrusted.refusal import Refusal, shown

MAX_DIMENSIONS = 16

STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in STORAGES.values()}


@dataclass(frozen=True)
class Storage:
    """A stretch of the file: ``elements`` numbers of ``dtype`` under the name ``key``."""

    key: str
    dtype: torch.dtype
    elements: int


@dataclass(frozen=True)
class TensorPlan:
    """A view of a storage whose every element lies in it, and no element twice."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Of the tensor's own elements."""
        return prod(self.size) * self.dtype.itemsize

    @property
    def reach(self) -> int:
        """Elements from the first to the last, both included."""
        steps = ((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        return 0 if 0 in self.size else 1 + sum(steps)


@dataclass(frozen=True)
class Unusable:
    """A tensor of a kind that carries no plain weights: quantised, sparse, without values."""

    kind: str


def storage_of(reference: Any) -> Any:
    """A storage from what torch.save writes for it: ``("storage", class, key, location, elements)``.

    Returns:
        A storage, one of an unusable kind, or for ``("module", class, ...)`` the class's name.

    Raises:
        Refusal: something else.
    """
    if isinstance(reference, tuple) and len(reference) == 4 and reference[0] == "module":
        return reference[1]  # a class with its source, as PyTorch writes it when a whole model is saved: its name
    if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
        raise Refusal("it refers to something outside itself that is no tensor's storage")
    kind, key, _location, elements = (reference[1], *reference[2:5])
    if len(reference) == 6 and reference[5] is not None:
        raise Refusal("it holds views of storages, as PyTorch before 0.2 wrote them; save it with a later version")
    if not isinstance(key, str) or type(elements) is not int or elements < 0:
        raise Refusal(f"it holds a storage of {shown(elements)} elements")
    name = str(getattr(kind, "name", ""))
    if str(getattr(kind, "module", "")) not in ("torch", "torch.cuda", "torch.storage") or not name.endswith("Storage"):
        raise Refusal(f"it holds a storage of the kind '{shown(kind)}'")
    dtype = STORAGES.get(name)
    return Unusable(name) if dtype is None else Storage(key, dtype, elements)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> TensorPlan | Unusable:
    """``_rebuild_tensor`` and its second version; offset and stride count elements."""
    if isinstance(storage, Unusable):
        return storage
    if not isinstance(storage, Storage):
        raise Refusal("it holds a tensor without a storage")
    return _plan(storage, storage.dtype, offset, size, stride)


def _typed_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_rest: Any
) -> TensorPlan | Unusable:
    """The third version: an untyped storage, whose elements are bytes, and the type beside it."""
    if not isinstance(storage, Storage):
        raise Refusal("it holds a tensor without a storage")
    known = _DTYPES.get(str(getattr(dtype, "name", "")))
    return Unusable(shown(dtype)) if known is None else _plan(storage, known, offset, size, stride)


def _plan(storage: Storage, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> TensorPlan:
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or not len(size) == len(stride) <= MAX_DIMENSIONS:
        raise Refusal("it holds a tensor whose shape and strides do not belong together")
    if not all(type(number) is int and 0 <= number < 2**48 for number in (offset, *size, *stride)):
        raise Refusal(f"it holds a tensor with a negative or impossible size: {shown((offset, size, stride))}")
    plan = TensorPlan(storage, dtype, offset, size, stride)
    held = storage.elements * storage.dtype.itemsize // dtype.itemsize
    if prod(size) > held or (plan.reach and offset + plan.reach > held):
        raise Refusal(f"it holds a tensor of shape {shown(size)}, more than the {held} elements of its storage")
    reach = 0
    for step, length in sorted((step, length) for step, length in zip(stride, size, strict=True) if length > 1):
        if plan.reach and step <= reach:
            raise Refusal(f"it holds a tensor of shape {shown(size)} whose strides {shown(stride)} overlap")
        reach += step * (length - 1)
    return plan


def _parameter(tensor: Any, *_rest: Any) -> Any:
    return tensor


CONSTRUCTORS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
}
