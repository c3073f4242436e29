"""Building a folder: whole under its name, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.datasets.existing_folder import already_built
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.parallel import run_in_chunks
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from scenebench.errors import UserError
from scenebench.staging import whole_folder

REPOSITORY = Path(__file__).resolve().parents[3]


def test_success_renames_and_failure_removes(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out) as folder:
        (folder / "file").write_text("x")
        assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "other"):
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_the_second_of_two_commands_at_once_says_what_happened(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def build() -> None:
        with whole_folder(out) as folder:
            (folder / "file").write_text("second")
            out.mkdir()
            (out / "file").write_text("first")

    with pytest.raises(UserError, match="another command has written there meanwhile, and what it wrote stands"):
        build()
    assert (out / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_taken_and_a_full_one_is_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert already_built(out, "name", "1", {}) is None
    with whole_folder(out) as folder:
        (folder / "file").write_text("x")
    assert (out / "file").is_file()
    with pytest.raises(UserError, match="not a prepared data set"):
        already_built(out, "name", "1", {})
    with pytest.raises(UserError, match="cannot write"), whole_folder(out):
        pass
    assert (out / "file").read_text() == "x"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="exists and is not a prepared data set"):
        generate_scenes(tmp_path / "out", ScenesSpec(images=3, size=16))
    with pytest.raises(UserError, match="cannot write"):
        generate_scenes(tmp_path / "out" / "below", ScenesSpec(images=3, size=16))
    assert (tmp_path / "out").read_text() == "mine"


def test_another_data_set_is_named(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "out", ScenesSpec(images=3, size=16))
    with pytest.raises(UserError, match="'scenes' version 2, not 'photos' version 1"):
        already_built(tmp_path / "out", "photos", "1", {})
    with pytest.raises(UserError, match="'scenes' version 2, not 'scenes' version 3"):
        already_built(tmp_path / "out", "scenes", "3", {})


def test_after_kill_the_next_run_clears_up(tmp_path: Path) -> None:
    code = (
        "import sys; from benchmarks.datasets.scenes import *; "
        "generate_scenes(sys.argv[1], ScenesSpec(images=100000, size=32))"
    )
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", code, out], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.*.part/images/train/*.jpg")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    assert len(list(tmp_path.iterdir())) == 1
    generate_scenes(out, ScenesSpec(images=3, size=16))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert DatasetFolder.open(out).splits == {"train": 1, "val": 1, "test": 1}


def test_a_living_neighbour_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / f".out.{os.getppid()}.part"
    other.mkdir()
    with whole_folder(tmp_path / "out"):
        pass
    assert other.is_dir()


def double(values: list[int]) -> list[int]:
    return [2 * value for value in values]


def refuse(values: list[int]) -> list[int]:
    raise UserError(f"no {values[0]}")


@pytest.mark.parametrize("workers", [1, 2])
def test_chunks_keep_their_order_and_errors_come_through(workers: int) -> None:
    assert run_in_chunks(double, range(11), "label", workers, chunk=3) == [2 * value for value in range(11)]
    with pytest.raises(UserError, match="no 0"):
        run_in_chunks(refuse, range(11), "label", workers, chunk=3)
