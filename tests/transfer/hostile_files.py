"""Makers of damaged, false and malicious files. Those that would run something would make the file ``ran``."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

MARKER = "ran"
END = b"."


@dataclass(frozen=True)
class Hostile:
    """One file: ``make(folder)`` writes it and returns its path; ``told`` is what the error must say."""

    name: str
    told: str
    make: Callable[[Path], Path]


def text(content: str) -> bytes:
    data = content.encode()
    return b"X" + struct.pack("<L", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *arguments: str) -> bytes:
    return name(module, attribute) + b"(" + b"".join(map(text, arguments)) + b"tR"


def pickled(body: bytes) -> bytes:
    """A state dict with one entry, the value of ``body``, under a name that looks like a weight."""
    return b"\x80\x02}" + text("conv1.weight") + body + b"s" + END


def archive(content: bytes, storages: dict[str, bytes] | None = None, **more: bytes) -> bytes:
    """torch.save's zip archive around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", content)
        for key, data in (storages or {}).items():
            file.writestr(f"archive/data/{key}", data)
        for key, data in more.items():
            file.writestr(f"archive/{key}", data)
    return buffer.getvalue()


class FakeStorage:
    """A storage as torch.save refers to it, with whatever it claims."""

    def __init__(self, key: str, elements: int, kind: Any = torch.FloatStorage) -> None:
        self.reference = ("storage", kind, key, "cpu", elements)


class FakeTensor:
    """A tensor with whatever it claims."""

    def __init__(self, storage: FakeStorage, offset: int, size: tuple, stride: tuple) -> None:
        self.arguments = (storage, offset, size, stride, False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, self.arguments


class TensorPickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.reference if isinstance(obj, FakeStorage) else None


def tensor_archive(content: Any, storages: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    TensorPickler(buffer, protocol=2).dump(content)
    return archive(buffer.getvalue(), storages)


def one_tensor(offset: int, size: tuple, stride: tuple, elements: int = 4, held: int = 16) -> Callable[[Path], Path]:
    tensor = FakeTensor(FakeStorage("0", elements), offset, size, stride)
    return written(tensor_archive({"conv1.weight": tensor}, {"0": bytes(held)}))


def written(content: bytes, file: str = "c.pth") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / file).write_bytes(content)
        return folder / file

    return make


def evil(body: Callable[[str], bytes], file: str = "c.pth", zipped: bool = True) -> Callable[[Path], Path]:
    """A file whose pickle would make the marker; ``body`` takes the shell command or Python that would."""

    def make(folder: Path) -> Path:
        content = pickled(body(str(folder / MARKER)))
        (folder / file).write_bytes(archive(content) if zipped else content)
        return folder / file

    return make


def network(**changes: Any) -> dict[str, Any]:
    """A ResNet-18's state dict with some tensors exchanged (``bn1_bias=...`` for ``bn1.bias``)."""
    from transfer.networks.resnet import Architecture, build_resnet

    state = dict(build_resnet(Architecture(depth=18, stem_width=4)).state_dict())
    return state | {key.replace("_", "."): value for key, value in changes.items()}


def saved(content: Callable[[], Any], **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save(content(), folder / "c.pth", **options)
        return folder / "c.pth"

    return make


def cut(keep: int, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = saved(network, **options)(folder)
        path.write_bytes(path.read_bytes()[:keep])
        return path

    return make


def legacy(*pickles: Any, rest: bytes = b"") -> Callable[[Path], Path]:
    """The format before 1.6: magic number, protocol, system, and what is given."""
    buffer = io.BytesIO()
    for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, *pickles):
        buffer.write(value) if isinstance(value, bytes) else TensorPickler(buffer, protocol=2).dump(value)
    return written(buffer.getvalue() + rest)


def safetensors_file(header: Any, data: int = 16) -> Callable[[Path], Path]:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return written(struct.pack("<Q", len(content)) + content + bytes(data), "c.safetensors")


def entry(shape: list, start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def deflated() -> bytes:
    """64 MB of zeros in 64 kB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", pickled(b"N"))
        file.writestr("archive/data/0", bytes(64 * 2**20))
    return buffer.getvalue()


def twice_named() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickled(b"N"))
        file.writestr("archive/data/0", b"first")
        file.writestr("archive/data/1", b"other")
    return buffer.getvalue().replace(b"archive/data/1", b"archive/data/0")


def overlapping() -> bytes:
    """Two entries of the directory that are the same bytes of the file."""
    data = bytearray(archive(pickled(b"N"), {"0": bytes(64), "1": bytes(64)}))
    first, second = (data.rfind(f"archive/data/{key}".encode()) - 46 for key in "01")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def numpy_array(shape: bytes, length: int = 12) -> bytes:
    """float32 array as numpy pickles it, of ``length`` bytes and any claimed shape (as pickle instructions)."""
    dtype = name("numpy", "dtype") + b"(" + text("f4") + b"\x89\x88tR"
    dtype += b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    made = name("numpy.core.multiarray", "_reconstruct") + name("numpy", "ndarray") + b"K\x00\x85U\x01b\x87R"
    return made + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<L", length) + bytes(length) + b"tb"


def hash_bomb() -> bytes:
    """A key of tuples in tuples, each twice in the next: 2**40 leaves to hash."""
    return b"\x80\x02}(K\x01\x85" + b"2\x86" * 40 + b"K\x01u."


def special(kind: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "c.pth"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"device": "/dev/zero", "nowhere": folder / "gone.pth", "itself": path}[kind])
        return path

    return make


def big_endian() -> bytes:
    return archive(pickled(b"N"), byteorder=b"big")


def many_views() -> bytes:
    storage = FakeStorage("0", 4096)
    views = {f"layer{index}.weight": FakeTensor(storage, 0, (4096,), (1,)) for index in range(64)}
    return tensor_archive(views, {"0": bytes(4096 * 4)})


def nan(value: float) -> dict[str, Any]:
    return network(bn1_bias=torch.full((4,), value))


def quantised() -> dict[str, Any]:
    return network(bn1_bias=torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8))


def sparse() -> dict[str, Any]:
    return network(bn1_bias=torch.ones(4).to_sparse())


def whole_model() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(2, 2))
