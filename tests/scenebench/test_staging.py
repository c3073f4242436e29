"""Folders that appear whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scenebench.errors import UserError
from scenebench.files import replace_all
from scenebench.staging import staged_folder, whole_folder


def test_a_whole_folder_appears_at_its_end(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a/data") as staging:
        (staging / "x").write_text("1")
        assert not (tmp_path / "a/data").exists()
    assert (tmp_path / "a/data/x").read_text() == "1"
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "b") as staging:
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(UserError, match=r"cannot write .*a/data"), whole_folder(tmp_path / "a/data"):
        pass


def test_staged_files_take_the_place_of_their_elders_and_leave_others(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for text in ("1", "2"):
        with staged_folder(out) as staging:
            (staging / "runs").mkdir()
            (staging / "runs" / text).write_text(text)
            (staging / "page").write_text(text)
        (out / "mine").write_text("mine")
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == ["mine", "page", "runs", "runs/2"]

    def fail_half_way() -> None:
        with staged_folder(out) as staging:
            (staging / "page").write_text("3")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert (out / "page").read_text() == "2"
    with staged_folder(out, ["page"]) as staging:
        (staging / "page").write_text("4")
        (staging / "scratch").write_text("")
    assert sorted(path.name for path in out.iterdir()) == ["mine", "page", "runs"]
    with pytest.raises(UserError, match="is a file"), staged_folder(out / "page"):
        pass


def test_what_must_not_be_lost_stops_everything_before_anything_is_moved(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    asked = []

    def check(new: Path, target: Path) -> None:
        asked.append((new.read_text(), target))
        if target.exists():
            raise UserError(f"{target}: is mine")

    def write() -> None:
        with staged_folder(tmp_path, check=check) as staging:
            (staging / "a").write_text("1")
            (staging / "b").write_text("2")

    with pytest.raises(UserError, match="is mine"):
        write()
    assert asked == [("1", tmp_path / "a"), ("2", tmp_path / "b")]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "mine"}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".data.{gone.pid}.part").mkdir()
    (tmp_path / ".data.1.part").mkdir()
    with whole_folder(tmp_path / "data"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.1.part", "data"]


def test_several_files_are_written_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(UserError, match="cannot write"):
        replace_all({tmp_path / "a": "new", tmp_path / "b": "new", tmp_path / "a/c": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}
    replace_all({tmp_path / "a": "new", tmp_path / "deep/b": "new\r\n"})
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "deep/b").read_bytes() == b"new\r\n"
    assert not list(tmp_path.rglob(".*"))
