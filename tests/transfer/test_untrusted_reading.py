"""What real checkpoints hold is read, equal to PyTorch's own reading, without anything of it being run."""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_files import archive, name, numpy_array, pickled, text
from omegaconf import OmegaConf

from transfer.importers.reading import read_checkpoint
from transfer.numpy_pickle import load_arrays

BASE = torch.arange(24.0)
TENSORS = {
    "plain": torch.randn(3, 4),
    "half": torch.randn(5).half(),
    "bfloat": torch.randn(5).bfloat16(),
    "double": torch.randn(2).double(),
    "counter": torch.tensor(7),
    "bytes": torch.arange(3, dtype=torch.uint8),
    "flags": torch.tensor([True, False]),
    "empty": torch.zeros(0, 4),
    "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "transposed": torch.randn(3, 4).t(),
    "part": BASE[4:10],
    "tied": BASE[::2],
    "spread": BASE.view(4, 6)[:, 1:3],
    "parameter": torch.nn.Parameter(torch.randn(3)),
    "buffer": torch.nn.Buffer(torch.randn(3)),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_those_that_pytorch_reads(zipped: bool, tmp_path: Path) -> None:
    torch.save({"state_dict": OrderedDict(TENSORS)}, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    expected = torch.load(tmp_path / "c.pth", weights_only=True)["state_dict"]
    found = read_checkpoint(tmp_path / "c.pth").tensors
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype
        assert found[key].stride() == tensor.stride()
        assert torch.equal(found[key], tensor)


def test_a_module_state_with_its_metadata(tmp_path: Path) -> None:
    state = torch.nn.BatchNorm2d(3).state_dict()
    assert state._metadata  # type: ignore[attr-defined] # an attribute of the mapping, pickled as its state
    torch.save(state, tmp_path / "c.pth")
    assert read_checkpoint(tmp_path / "c.pth").tensors.keys() == state.keys()


class AttributeDict(dict):
    """Stands for the mappings of libraries that are not installed where a checkpoint is read."""


class HistoryBuffer:
    """Stands for what keeps methods among its attributes, which pickle writes with getattr."""

    def __init__(self) -> None:
        self.methods = {"mean": HistoryBuffer.mean}
        self.history = np.arange(3.0)

    def mean(self) -> float:
        return 0.0


def _extras() -> dict[str, Any]:
    return {
        "args": argparse.Namespace(lr=0.1, path=Path("/data"), betas=(0.9, 0.999)),
        "hyper_parameters": AttributeDict(name="x", nested=AttributeDict(a=[1, {2, 3}])),
        "cfg": OmegaConf.create({"a": {"b": [1, 2]}, "c": "${a.b}"}),
        "message_hub": {"loss": HistoryBuffer()},
        "scores": {"best": np.float64(3.5), "epochs": np.int64(3), "words": np.array(["a", "b"])},
        "random": np.random.default_rng(0),
        "random_state": np.random.RandomState(0).get_state(),
        "counts": collections.Counter("abca"),
        "lists": collections.defaultdict(list, {"a": [1]}),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1).state_dict(),
        "bytes": b"\x00\xff",
        "none": None,
        "empty": b"",
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_objects_beside_the_weights_stay_inert(
    protocol: int, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (AttributeDict, HistoryBuffer):
        monkeypatch.setattr(kind, "__module__", "notinstalled.library")
    library = type(sys)("notinstalled.library")
    library.AttributeDict, library.HistoryBuffer = AttributeDict, HistoryBuffer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "notinstalled", type(sys)("notinstalled"))
    monkeypatch.setitem(sys.modules, "notinstalled.library", library)
    content = {**_extras(), "state_dict": {"conv1.weight": torch.ones(2)}}
    torch.save(content, tmp_path / "c.ckpt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(sys.modules, "notinstalled.library")
    monkeypatch.delitem(sys.modules, "notinstalled")
    found = read_checkpoint(tmp_path / "c.ckpt").tensors
    assert list(found) == ["conv1.weight"]
    assert torch.equal(found["conv1.weight"], torch.ones(2))
    assert "notinstalled" not in sys.modules


def test_a_module_that_a_checkpoint_names_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sidepackage.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    body = b"\x80\x02}" + text("args") + name("sidepackage", "Arguments") + b")\x81}b"
    torch.save({"w": torch.ones(1)}, buffer := io.BytesIO())
    (tmp_path / "c.pkl").write_bytes(body + b"s" + text("w") + numpy_array(b"K\x03\x85") + b"s.")
    assert list(read_checkpoint(tmp_path / "c.pkl").tensors) == ["w"]
    assert not (tmp_path / "imported").exists()
    assert buffer.tell()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_any_protocol_layout_and_byte_order(protocol: int, tmp_path: Path) -> None:
    arrays = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(4, dtype=">f4"),
        "scalar": np.array(7),
        "half": np.ones(3, np.float16),
        "none": np.zeros((0, 2)),
    }
    content = {"model": arrays, "__author__": "x", "matching_heuristics": True}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    read = load_arrays(tmp_path / "a.pkl")
    assert (read["__author__"], read["matching_heuristics"]) == ("x", True)
    tensors = read_checkpoint(tmp_path / "a.pkl").tensors
    for key, array in arrays.items():
        assert np.array_equal(read["model"][key], array)
        assert tensors[key].dtype == torch.from_numpy(array.astype(array.dtype.newbyteorder("="))).dtype
        assert np.array_equal(tensors[key].numpy(), array)


def test_arrays_inside_a_pth(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3, dtype=np.float32), "b": torch.ones(2), "c": np.float64(2)}
    torch.save({"model": arrays, "__author__": "x"}, tmp_path / "c.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "c.pth", weights_only=True)
    found = read_checkpoint(tmp_path / "c.pth").tensors
    assert found["a"].tolist() == [0, 1, 2]
    assert (found["b"].tolist(), float(found["c"])) == ([1, 1], 2)


def test_python_2_pickles_of_arrays(tmp_path: Path) -> None:
    """Byte strings for names and for the content, which Python 2's protocol 2 wrote, and Caffe2's ``blobs``."""
    key = b"U\x0aconv1_w\xff_b"
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02}U\x05blobs}" + key + numpy_array(b"K\x03\x85") + b"ss.")
    assert list(read_checkpoint(tmp_path / "a.pkl").tensors) == ["conv1_wÿ_b"]
    assert list(load_arrays(tmp_path / "a.pkl")["blobs"]) == ["conv1_wÿ_b"]


def test_nested_mappings_get_dotted_names(tmp_path: Path) -> None:
    torch.save({"teacher": {"a": torch.ones(1)}, "student": {"a": torch.zeros(1)}, "epoch": 3}, tmp_path / "c.pth")
    assert sorted(read_checkpoint(tmp_path / "c.pth").tensors) == ["student.a", "teacher.a"]
    nested = {"classy_state_dict": {"base_model": {"model": {"trunk": {"w": torch.ones(1)}}}}}
    torch.save(nested, tmp_path / "c.pth")
    checkpoint = read_checkpoint(tmp_path / "c.pth")
    assert (checkpoint.container, list(checkpoint.tensors)) == ("classy_state_dict.base_model.model.trunk", ["w"])


def test_a_huge_memo_index_costs_nothing(tmp_path: Path) -> None:
    body = numpy_array(b"K\x03\x85") + b"r" + struct.pack("<L", 2**32 - 1)
    (tmp_path / "c.pkl").write_bytes(pickled(body))
    assert read_checkpoint(tmp_path / "c.pkl").tensors["conv1.weight"].shape == (3,)


def test_deep_but_harmless_structures_need_no_recursion(tmp_path: Path) -> None:
    body = b"\x80\x02}" + text("log") + b"]" * 50_000 + b"a" * 49_999 + b"s"
    (tmp_path / "c.pkl").write_bytes(body + text("w") + numpy_array(b"K\x03\x85") + b"s.")
    assert list(read_checkpoint(tmp_path / "c.pkl").tensors) == ["w"]


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "c.safetensors.download")
    assert list(read_checkpoint(tmp_path / "c.safetensors.download").tensors) == ["w"]


def test_tensors_may_be_changed_and_the_file_stays(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(64)}, tmp_path / "c.pth")
    before = (tmp_path / "c.pth").read_bytes()
    read_checkpoint(tmp_path / "c.pth").tensors["w"].fill_(5)
    assert (tmp_path / "c.pth").read_bytes() == before


def test_an_archive_made_by_hand_is_read_as_torch_saved_ones(tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(archive(pickled(numpy_array(b"K\x03\x85"))))
    assert read_checkpoint(tmp_path / "c.pth").tensors["conv1.weight"].tolist() == [0, 0, 0]
