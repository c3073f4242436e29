"""``scenebench import``: what it writes over, what it lists, what it takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from layout_parts import State, classifier, save, under
from transfer_helpers import lively_network

from scenebench.cli import main
from transfer.backbone_file import read_info
from transfer.importers import FAMILIES
from transfer.networks.resnet import Architecture

NARROW = Architecture(depth=18, stem_width=4)


@pytest.fixture(scope="module")
def network() -> State:
    return lively_network(NARROW).state_dict()


@pytest.fixture
def checkpoint(network: State, tmp_path: Path) -> Path:
    return save(network | classifier(), tmp_path / "c.pth")


def run(words: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        code = main([str(word) for word in ("import", *words)])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_input_is_never_replaced(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = checkpoint.read_bytes()
    folder = checkpoint.parent
    (folder / "soft.safetensors").symlink_to(checkpoint)
    os.link(checkpoint, folder / "hard.safetensors")
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder)
    names = (checkpoint, "c.pth", "./c.pth", "sub/../c.pth", "soft.safetensors", "hard.safetensors")
    for out in names:
        for more in ((), ("--overwrite",)):
            code, _, error = run((checkpoint, out, *more), capsys)
            assert code == 2
            assert "the input" in error
            assert error.count("\n") == 1
    assert checkpoint.read_bytes() == before


def test_an_existing_file_needs_overwrite(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = checkpoint.with_name("notes.safetensors")
    out.write_text("mine")
    code, _, error = run((checkpoint, out), capsys)
    assert (code, out.read_text()) == (2, "mine")
    assert "exists already" in error
    assert "--overwrite" in error
    assert run((checkpoint, out, "--overwrite"), capsys)[0] == 0
    assert read_info(out).architecture == NARROW
    assert run((checkpoint, out), capsys)[0] == 2  # also not over a backbone file, which is not to be had again


def test_nothing_is_left_where_the_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save({"a.weight": torch.zeros(2)}, tmp_path / "c.pth")
    code, _, error = run((path, tmp_path / "sub" / "b.safetensors"), capsys)
    assert code == 2
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["c.pth"]


@pytest.mark.parametrize("words", [("--families",), ("--from",), ("x.pth", "y.safetensors", "--from")])
def test_the_families_are_listed_a_line_each(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(words, capsys)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == len(FAMILIES)
    assert [line.split(":")[0].split(",")[0] for line in lines] == list(FAMILIES)


def test_an_unknown_family_names_the_list(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run((checkpoint, checkpoint.with_name("b.safetensors"), "--from", "dinno"), capsys)
    assert code == 2
    assert "did you mean 'dino'" in error
    assert "scenebench import --families" in error


def test_prefix_method_and_stride_are_taken(network: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = (
        save(under("teacher.net.", network) | under("student.net.", network), tmp_path / "c.pth"),
        tmp_path / "b",
    )
    words = ["--prefix", "teacher.net", "--method", "mine", "--stride-in", "3x3", "--channel-order", "RGB"]
    statistics = ["--mean", "0", "0", "0", "--std", "1", "1", "1", "--value-range", "1"]
    code, printed, _ = run((path, out, *words, *statistics), capsys)
    assert code == 0
    assert "method 'mine'" in printed
    assert read_info(out).method == "mine"
