"""Damaged, false and malicious files: each is refused in one clear line, quickly, and nothing in it is run."""

from __future__ import annotations

import gzip
import io
import resource
import struct
import sys
import tarfile
import time
from pathlib import Path

import pytest
import torch
from hostile_files import (
    MARKER,
    FakeStorage,
    FakeTensor,
    Hostile,
    archive,
    big_endian,
    call,
    cut,
    deflated,
    entry,
    evil,
    hash_bomb,
    legacy,
    many_views,
    name,
    nan,
    network,
    numpy_array,
    one_tensor,
    overlapping,
    pickled,
    quantised,
    safetensors_file,
    saved,
    sparse,
    special,
    tensor_archive,
    text,
    twice_named,
    whole_model,
    written,
)

from scenebench.errors import UserError
from transfer.importers import import_checkpoint
from transfer.untrusted import machine

MAX_SECONDS, MAX_MEGABYTES = 10, 300
_TOUCH = "touch "


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    return buffer.getvalue()


def _storage_twice() -> bytes:
    tensors = [FakeTensor(FakeStorage("0", elements), 0, (4,), (1,)) for elements in (4, 8)]
    return tensor_archive(dict(enumerate(tensors)), {"0": bytes(16)})


CALLS = [
    Hostile("os.system", "refers to 'os.system'", evil(lambda p: call("os", "system", _TOUCH + p))),
    Hostile("posix.system", "refers to 'posix.system'", evil(lambda p: call("posix", "system", _TOUCH + p))),
    Hostile("eval", "'builtins.eval'", evil(lambda p: call("builtins", "eval", f"open('{p}', 'w')"))),
    Hostile("eval of Python 2", "'__builtin__.eval'", evil(lambda p: call("__builtin__", "eval", f"open('{p}', 'w')"))),
    Hostile("exec", "'builtins.exec'", evil(lambda p: call("builtins", "exec", f"open('{p}', 'w')"))),
    Hostile("__import__", "'builtins.__import__'", evil(lambda p: call("builtins", "__import__", "antigravity"))),
    Hostile("subprocess", "'subprocess.Popen'", evil(lambda p: call("subprocess", "Popen", "touch", p))),
    Hostile("open", "'io.open'", evil(lambda p: call("io", "open", p, "w"))),
    Hostile(
        "a module's own os",
        "'torch.serialization.os.system'",
        evil(
            lambda p: (
                b"\x80\x04" + text("torch.serialization") + text("os.system") + b"\x93(" + text(_TOUCH + p) + b"tR"
            )
        ),
    ),
    Hostile(
        "a function's globals",
        "'package.function.__globals__'",
        evil(lambda p: name("package", "function.__globals__")),
    ),
    Hostile(
        "getattr of a module's class",
        "getattr",
        evil(lambda p: name("builtins", "getattr") + b"(" + call("pathlib", "Path", p) + text("touch") + b"tR)R"),
    ),
    Hostile("getattr of getattr", "getattr", evil(lambda p: call("builtins", "getattr", "os", "system"))),
    Hostile(
        "torch.hub.load", "calls 'torch.hub.load'", evil(lambda p: call("torch.hub", "load", "somebody/code", "main"))
    ),
    Hostile("torch.load", "calls 'torch.serialization.load'", evil(lambda p: call("torch.serialization", "load", p))),
    Hostile(
        "a pickle in the pickle",
        "calls 'torch.storage._load_from_bytes'",
        evil(lambda p: call("torch.storage", "_load_from_bytes", "x")),
    ),
    Hostile(
        "numpy's own exec",
        "'numpy.testing._private.utils.runstring'",
        evil(lambda p: call("numpy.testing._private.utils", "runstring", f"open('{p}', 'w')")),
    ),
    Hostile("numpy.load", "calls 'numpy.load'", evil(lambda p: call("numpy", "load", p))),
    Hostile(
        "instruction INST", "'os.system'", evil(lambda p: b"(" + text(_TOUCH + p) + b"ios\nsystem\n", "c.pkl", False)
    ),
    Hostile("instruction OBJ", "'os.system'", evil(lambda p: b"(" + name("os", "system") + text(_TOUCH + p) + b"o")),
    Hostile(
        "instruction NEWOBJ_EX",
        "'subprocess.Popen'",
        evil(lambda p: name("subprocess", "Popen") + text("touch") + b"\x85}\x92"),
    ),
    Hostile("instruction EXT1", "instruction EXT1", evil(lambda p: b"\x82\x01")),
    Hostile("out-of-band buffer", "instruction NEXT_BUFFER", evil(lambda p: b"\x97")),
    Hostile("state of a function", "sets the state of a Name", evil(lambda p: name("package", "function") + b"}b")),
    Hostile("items of a module", "sets items of a Name", evil(lambda p: name("package", "module") + text("a") + b"Ns")),
    Hostile(
        "calling a call's result",
        "calls something that is not a name",
        evil(lambda p: call("package", "Thing") + b")R"),
    ),
    Hostile("in a .pkl beside arrays", "'os.system'", evil(lambda p: call("os", "system", _TOUCH + p), "c.pkl", False)),
    Hostile(
        "in the old format's system record", "'os.system'", legacy(b"\x80\x02" + call("os", "system", "true") + b".")
    ),
    Hostile("an encoding with a side effect", "encodes text", evil(lambda p: call("_codecs", "encode", p, "idna"))),
    Hostile(
        "code for TorchScript",
        "TorchScript archive, which holds code",
        written(archive(pickled(b"N"), **{"code/a.py": b"print()"})),
    ),
    Hostile("a whole model", "save its state_dict", saved(whole_model)),
    Hostile("reference out of a .pkl", "refers to something outside itself", written(pickled(b"Pa\n"), "c.pkl")),
    Hostile("reference to no storage", "no tensor's storage", written(archive(pickled(text("a") + b"Q")))),
]
SIZES = [
    Hostile("zip bomb", "compressed to", written(deflated())),
    Hostile("overlapping zip entries", "overlap", written(overlapping())),
    Hostile("a zip entry twice", "the entry 'archive/data/0' twice", written(twice_named())),
    Hostile(
        "a zip of something else", "hence not from torch.save", written(archive(b".").replace(b"data.pkl", b"data.txt"))
    ),
    Hostile("tar", "a tar archive", written(_tar())),
    Hostile("gzip bomb", "gzip", written(gzip.compress(bytes(2**20)))),
    Hostile("storage shorter than declared", "has 16 bytes instead of 400", one_tensor(0, (100,), (1,), 100)),
    Hostile(
        "storage missing",
        "is missing",
        written(tensor_archive({"a": FakeTensor(FakeStorage("0", 4), 0, (4,), (1,))}, {})),
    ),
    Hostile("huge shape", "more than the 4 elements", one_tensor(0, (2**40, 2**40), (2**40, 1))),
    Hostile("huge shape by stride 0", "more than the 4 elements", one_tensor(0, (2**30, 2**10), (0, 0))),
    Hostile("strides beyond the storage", "more than the 4 elements", one_tensor(0, (2, 2), (100, 1))),
    Hostile("offset beyond the storage", "more than the 4 elements", one_tensor(3, (2,), (1,))),
    Hostile("overlapping strides", "overlap", one_tensor(0, (2, 2), (1, 1))),
    Hostile("negative size", "negative or impossible size", one_tensor(0, (-1,), (1,))),
    Hostile("negative stride", "negative or impossible size", one_tensor(3, (2,), (-1,))),
    Hostile("negative offset", "negative or impossible size", one_tensor(-1, (2,), (1,))),
    Hostile("shape without strides", "do not belong together", one_tensor(0, (2, 2), (1,))),
    Hostile("a storage declared twice", "twice, and differently", written(_storage_twice())),
    Hostile("many tensors on one storage", "its tensors claim 1048576 bytes", written(many_views())),
    Hostile("huge numpy shape", "claims the shape", written(pickled(numpy_array(b"J\xff\xff\xff\x7f\x85")), "c.pkl")),
    Hostile(
        "negative numpy shape", "impossible shape", written(pickled(numpy_array(b"J\xff\xff\xff\xff\x85")), "c.pkl")
    ),
    Hostile("bytes longer than the file", "truncated", written(pickled(b"\x8e" + struct.pack("<Q", 2**62)), "c.pkl")),
    Hostile(
        "too many lists",
        "makes more than",
        written(archive(b"\x80\x02" + b"]0" * (machine.MAX_CONTAINERS + 1) + b"N.")),
    ),
    Hostile("nested too deep", "nests deeper", written(archive(b"\x80\x02" + b"(" * 100_000 + b"."))),
    Hostile(
        "values on values", "stacks more than", written(archive(b"\x80\x02" + b"N" * (machine.MAX_STACK + 9) + b"."))
    ),
    Hostile("a key that never hashes", "nested parts", written(hash_bomb(), "c.pkl")),
    Hostile("a key twice", "the key 'a' twice", written(archive(b"\x80\x02}(" + (text("a") + b"N") * 2 + b"u."))),
    Hostile(
        "a safetensors header of exabytes",
        "not a readable safetensors",
        written(struct.pack("<Q", 2**60) + b"{" + bytes(99), "c.safetensors"),
    ),
    Hostile("a safetensors shape without bytes", "claims the shape", safetensors_file({"a": entry([2**40], 0, 16)})),
    Hostile("safetensors beyond the end", "claims the shape", safetensors_file({"a": entry([100], 0, 400)})),
    Hostile(
        "safetensors overlapping",
        "not a readable safetensors",
        safetensors_file({"a": entry([4], 0, 16), "b": entry([2], 8, 16)}),
    ),
    Hostile("safetensors nested", "not JSON", safetensors_file(b'{"a":' * 50_000)),
    Hostile("a safetensors key twice", "the key 'a' twice", safetensors_file(b'{"a": 1, "a": 2}')),
]
DAMAGED = [
    Hostile("empty", "it is empty", written(b"")),
    Hostile("folder", "is a folder", special("folder")),
    Hostile("named pipe", "a named pipe", special("pipe")),
    Hostile("link to a device", "a device", special("device")),
    Hostile("link to nowhere", "a link that leads nowhere", special("nowhere")),
    Hostile("link to itself", "cannot be read", special("itself")),
    Hostile("web page", "a web page", written(b"\n<!DOCTYPE html><title>Sign in</title>")),
    Hostile("Git LFS pointer", "git lfs pull", written(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
    Hostile("HDF5", "HDF5", written(b"\x89HDF\r\n\x1a\n" + bytes(99))),
    Hostile("truncated zip", "truncated zip archive", cut(5000)),
    Hostile("truncated old format", "truncated|damaged", cut(20_000, _use_new_zipfile_serialization=False)),
    Hostile("old format cut in its pickle", "truncated", cut(300, _use_new_zipfile_serialization=False)),
    Hostile("truncated array pickle", "truncated", written(pickled(numpy_array(b"K\x03\x85"))[:-9], "c.pkl")),
    Hostile("big-endian", "big-endian", written(big_endian())),
    Hostile("no numbers, but a list", "holds no state dict", saved(lambda: {"state_dict": [1, 2]})),
    Hostile("NaN", "not finite", saved(lambda: nan(float("nan")))),
    Hostile("infinity", "not finite", saved(lambda: nan(float("inf")))),
    Hostile("integers for weights", "another kind of number", saved(lambda: network(bn1_bias=torch.ones(4).long()))),
    Hostile("complex weights", "another kind of number", saved(lambda: network(bn1_bias=torch.ones(4) * 1j))),
    Hostile("quantised weights", "without plain weights", saved(quantised)),
    Hostile("sparse weights", "without plain weights", saved(sparse)),
    Hostile(
        "a name that paints the terminal", "impossible name", saved(lambda: {"\x1b[2Jconv1.weight\n": torch.ones(2)})
    ),
]
CORPUS = CALLS + SIZES + DAMAGED


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda hostile: hostile.name)
def test_refused_in_one_line_quickly_and_nothing_is_run(hostile: Hostile, tmp_path: Path) -> None:
    path = hostile.make(tmp_path)
    modules, memory, start = set(sys.modules), _megabytes(), time.monotonic()
    with pytest.raises(UserError, match=hostile.told) as raised:
        import_checkpoint(path, tmp_path / "out.safetensors", "torchvision")  # bare names fit several families
    assert time.monotonic() - start < MAX_SECONDS
    assert _megabytes() - memory < MAX_MEGABYTES
    assert str(raised.value).isprintable()  # one line, and no control characters
    assert len(str(raised.value)) < 700
    assert not (tmp_path / MARKER).exists()
    assert not (tmp_path / "out.safetensors").exists()
    assert "antigravity" not in set(sys.modules) - modules


def test_the_payloads_would_run_in_an_ordinary_unpickler(tmp_path: Path) -> None:
    """Or the corpus would prove nothing."""
    import pickle

    content = pickled(call("os", "system", f"touch {tmp_path / MARKER}"))
    pickle.loads(content)  # noqa: S301 - that is the point
    assert (tmp_path / MARKER).exists()


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS) >= 80


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
