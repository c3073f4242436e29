"""What people save among a checkpoint's arguments does not keep its weights from being read, and is never run."""

from __future__ import annotations

import argparse
import builtins
import datetime
import decimal
import enum
import functools
import logging
import operator
import pathlib
import pickle
import random
import re
import signal
import sys
import types
from collections import ChainMap, OrderedDict, deque, namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_files import archive, call, name, pickled, text
from layout_parts import mlp, save, under
from transfer_helpers import lively_network

from scenebench.errors import UserError
from transfer.importers import import_checkpoint, read_backbone
from transfer.importers.reading import read_checkpoint
from transfer.networks.resnet import Architecture

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Trainer:
    """A class of the user's own, with a bound method and itself among its attributes."""

    def __init__(self) -> None:
        self.itself, self.method = self, self.run

    def run(self) -> None:
        raise AssertionError


ARGUMENTS: dict[str, Any] = {
    "range": range(3),
    "logger": logging.getLogger("train"),
    "pattern": re.compile("a+", re.IGNORECASE),
    "itemgetter": operator.itemgetter(1),
    "methodcaller": operator.methodcaller("lower"),
    "builtin function": len,
    "builtin class": dict,
    "exception": ValueError("x"),
    "signal": signal.SIGTERM,
    "namespace": argparse.Namespace(lr=0.1, path=Path("/data")),
    "simple namespace": types.SimpleNamespace(a=1),
    "path": pathlib.PurePosixPath("/a"),
    "partial": functools.partial(max, 1),
    "datetime": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    "timedelta": datetime.timedelta(1),
    "decimal": decimal.Decimal("1.5"),
    "random": random.Random(0),
    "random state": random.Random(0).getstate(),
    "set": {1, 2},
    "frozen set": frozenset({1}),
    "complex": 1j,
    "bytearray": bytearray(b"a"),
    "deque": deque([1], maxlen=3),
    "chain map": ChainMap({"a": 1}),
    "named tuple": Point(1, 2),
    "enum": Colour.RED,
    "class": Trainer,
    "object": Trainer(),
    "function": under,
    "torch function": torch.relu,
    "torch class": torch.nn.ReLU,
    "module": torch.nn.Linear(2, 2),
    "dtype": torch.float16,
    "shape": torch.zeros(2, 3).shape,
    "generator state": torch.Generator().get_state(),
    "not implemented": NotImplemented,
    "ellipsis": ...,
    "keys that are tuples": {(1, 2): 3},
    "sorted": builtins.sorted,
}


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_arguments_of_every_kind_stay_inert(argument: str, tmp_path: Path) -> None:
    content = {"args": {argument: ARGUMENTS[argument]}, "state_dict": {"conv1.weight": torch.ones(2)}}
    for options in ({}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}):
        torch.save(content, tmp_path / "c.pth", **options)
        assert list(read_checkpoint(tmp_path / "c.pth").tensors) == ["conv1.weight"]


def test_python_2s_range_is_read(tmp_path: Path) -> None:
    """torch.save writes protocol 2, in which range is ``__builtin__.xrange``."""
    torch.save({"epochs": range(3), "state_dict": {"w": torch.ones(1)}}, tmp_path / "c.pth")
    content = (tmp_path / "c.pth").read_bytes()
    assert b"__builtin__\nxrange" in content
    assert list(read_checkpoint(tmp_path / "c.pth").tensors) == ["w"]


@pytest.mark.parametrize(
    ("module", "function", "told"),
    [
        ("logging", "FileHandler", "'logging.FileHandler'"),
        ("pathlib", "Path.touch", "'pathlib.Path.touch'"),
        ("__builtin__", "execfile", "'__builtin__.execfile'"),
        ("posixpath", "os.system", "'posixpath.os.system'"),
        ("collections.abc", "sys.modules", "'collections.abc.sys.modules'"),
        ("webbrowser", "open", "'webbrowser.open'"),
        ("timeit", "timeit", "'timeit.timeit'"),
        ("runpy", "run_path", "'runpy.run_path'"),
        ("signal", "alarm", "'signal.alarm'"),
        ("types", "FunctionType", "'types.FunctionType'"),
    ],
)
def test_what_would_do_something_elsewhere_is_still_refused(
    module: str, function: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "c.pth").write_bytes(archive(pickled(call(module, function, str(tmp_path / "ran")))))
    with pytest.raises(UserError, match=f"refers to {told}, which no weights need; where its code is trusted"):
        read_checkpoint(tmp_path / "c.pth")
    assert not (tmp_path / "ran").exists()


def test_a_bound_method_is_inert_and_not_called(tmp_path: Path) -> None:
    method = name("builtins", "getattr") + b"(" + call("pathlib", "Path", str(tmp_path / "ran")) + text("touch") + b"tR"
    weights = b"\x80\x02}" + text("hook") + method + b"s."
    (tmp_path / "c.pth").write_bytes(archive(weights))
    with pytest.raises(UserError, match="holds no state dict"):  # read, but there are no tensors in it
        read_checkpoint(tmp_path / "c.pth")
    (tmp_path / "c.pth").write_bytes(archive(pickled(method + b")R")))
    with pytest.raises(UserError, match="calls something that is not a name"):
        read_checkpoint(tmp_path / "c.pth")
    assert not (tmp_path / "ran").exists()


# --- the suffix does not matter -----------------------------------------------------------------------------------

NARROW = Architecture(depth=18, stem_width=4)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_named_pkl_is_read_by_content(zipped: bool, tmp_path: Path) -> None:
    state = under("encoder_q.", lively_network(NARROW).state_dict())
    torch.save({"state_dict": state}, tmp_path / "c.pkl", _use_new_zipfile_serialization=zipped)
    assert import_checkpoint(tmp_path / "c.pkl", tmp_path / "b.safetensors").family == "moco"


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_of_arrays_named_pth_is_read_by_content(protocol: int, tmp_path: Path) -> None:
    from transfer.networks.detectron2_names import detectron2_name

    arrays = {detectron2_name(name): tensor.numpy() for name, tensor in lively_network(NARROW).state_dict().items()}
    content = {"model": arrays, "__author__": "MOCO", "matching_heuristics": True}
    (tmp_path / "c.pth").write_bytes(pickle.dumps(content, protocol=protocol))
    assert read_backbone(tmp_path / "c.pth").family == "detectron2"


def test_a_scripted_model_is_called_one(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3))).save(tmp_path / "c.pth")
    with pytest.raises(UserError, match="it is a scripted model .a TorchScript archive"):
        read_backbone(tmp_path / "c.pth")


def test_a_whole_model_is_called_one_in_plain_english(tmp_path: Path) -> None:
    for content in (torch.nn.Linear(2, 2), {"model": torch.nn.Linear(2, 2)}):
        for zipped in (True, False):
            torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
            with pytest.raises(UserError, match="a whole Python object.*save its state_dict") as raised:
                read_backbone(tmp_path / "c.pth")
            assert "a a" not in str(raised.value)


def test_nothing_of_the_arguments_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sideproject.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\nclass Config: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    body = b"\x80\x02}" + text("args") + name("sideproject", "Config") + b")\x81s."
    (tmp_path / "c.pth").write_bytes(archive(body))
    with pytest.raises(UserError, match="holds no state dict"):
        read_checkpoint(tmp_path / "c.pth")
    assert "sideproject" not in sys.modules
    assert not (tmp_path / "imported").exists()


def test_the_mapping_may_be_ordered_or_of_a_class_of_its_own(tmp_path: Path) -> None:
    state = OrderedDict(mlp("a.") | {"w": torch.ones(1)})
    assert set(read_checkpoint(save({"state_dict": state}, tmp_path / "c.pth")).tensors) == set(state)
