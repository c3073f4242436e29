"""torch.save's two formats: the zip archive, and the row of pickles with raw storages of versions before 1.6.

Only the pickle is worked through. Tensors are views of the mapped file, made one by one when they are asked for.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transfer.untrusted import machine
from transfer.untrusted.refusal import Refusal, shown
from transfer.untrusted.tensors import Storage, TensorPlan
from transfer.untrusted.zip_directory import entries

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_SHARING = 4
"""Tensors may share storages (tied weights), but not claim more than this many times the file."""


@dataclass
class TorchFile:
    """What was saved, with plans in the place of tensors, and where in the mapped file each storage lies."""

    content: Any
    view: mmap.mmap
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def tensor(self, plan: TensorPlan) -> Tensor:
        """The tensor of a plan: a view of the mapped file (a copy where the file does not align it).

        Raises:
            Refusal: its storage is missing or of another length than declared.
        """
        start, length = self.places.get(plan.storage.key, (0, -1))
        declared = plan.storage.elements * plan.storage.dtype.itemsize
        if length != declared:
            held = "is missing" if length < 0 else f"has {length} bytes instead of {declared}"
            raise Refusal(f"the storage '{shown(plan.storage.key)}' of a tensor {held}; the file is damaged")
        if not plan.reach:
            return torch.empty(plan.size, dtype=plan.dtype)
        first = start + plan.offset * plan.dtype.itemsize
        if first % plan.dtype.itemsize:
            content = bytearray(self.view[first : first + plan.reach * plan.dtype.itemsize])
            flat = torch.frombuffer(content, dtype=plan.dtype)
        else:
            flat = torch.frombuffer(self.view, dtype=plan.dtype, count=plan.reach, offset=first)
        return flat.as_strided(plan.size, plan.stride)

    def check_total(self, plans: Iterable[TensorPlan]) -> None:
        """Refuse tensors that together claim far more than the file holds."""
        total, held = sum(plan.bytes for plan in plans), len(self.view)
        if total > MAX_SHARING * held:
            raise Refusal(f"its tensors claim {total} bytes of a file of {held}")


def read_zip(view: mmap.mmap, path: Path) -> TorchFile:
    """A zip archive of torch.save.

    Raises:
        Refusal: damaged, compressed, not from torch.save, or with a pickle that is refused.
    """
    places = entries(view, path)
    pickles = [name for name in places if name.split("/", 1)[-1] == "data.pkl" and name.count("/") <= 1]
    if len(pickles) != 1:
        raise Refusal(f"it is a zip archive with {len(pickles)} entries 'data.pkl', hence not from torch.save")
    folder = pickles[0].removesuffix("data.pkl")
    start, length = places.get(f"{folder}byteorder", (0, 0))
    if length and view[start : start + length] != b"little":
        raise Refusal("it was saved on a big-endian machine; save it anew on a little-endian one")
    start, length = places[pickles[0]]
    content = _run_between(view, start, length)
    data = f"{folder}data/"
    return TorchFile(content, view, {n[len(data) :]: place for n, place in places.items() if n.startswith(data)})


def is_legacy(view: mmap.mmap) -> bool:
    """Whether the file begins with the number that torch.save wrote first before 1.6."""
    return _MAGIC.to_bytes(10, "little") in view[:32]


def read_legacy(view: mmap.mmap) -> TorchFile:
    """Magic number, protocol, system, the object, the storages' keys: five pickles; then the storages themselves.

    Raises:
        Refusal: damaged, or with a pickle that is refused.
    """
    view.seek(0)
    magic, protocol, system = machine.run(view), machine.run(view), machine.run(view)
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise Refusal(f"it has protocol {shown(protocol)} instead of {_PROTOCOL}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refusal("it was saved on a big-endian machine; save it anew on a little-endian one")
    storages: dict[str, Storage] = {}
    content = machine.run(view, storages)
    keys = machine.run(view)
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys):
        raise Refusal("its list of storages is damaged")
    places: dict[str, tuple[int, int]] = {}
    position = view.tell()
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None:
            raise Refusal(f"its storage '{shown(key)}' belongs to no tensor that can be read")
        if position + 8 > len(view):
            raise Refusal("it ends before its last storage: truncated; download it again")
        (elements,) = struct.unpack("<q", view[position : position + 8])
        length = storage.elements * storage.dtype.itemsize
        if elements != storage.elements or position + 8 + length > len(view):
            raise Refusal(f"its storage '{shown(key)}' is truncated or of another length than declared")
        places[key] = (position + 8, length)
        position += 8 + length
    return TorchFile(content, view, places)


def _run_between(view: mmap.mmap, start: int, length: int) -> Any:
    storages: dict[str, Storage] = {}
    view.seek(start)
    content = machine.run(view, storages)
    if view.tell() > start + length:
        raise Refusal("its pickle runs beyond its entry in the archive")
    return content
