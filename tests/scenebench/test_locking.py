"""Locks between processes: who holds a folder, how long one waits, and that a child keeps what it inherited."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scenebench.errors import UserError
from scenebench.locking import LOCK_FILE, is_locked, only_process, try_lock


def test_a_folder_is_held_by_one_and_says_by_whom(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with only_process(folder):
        assert (folder / LOCK_FILE).read_text() == str(os.getpid())
        assert is_locked(folder / LOCK_FILE)
        said: list[str] = []
        with (
            pytest.raises(UserError, match=rf"run: somebody is there \(process {os.getpid()}\); wait for it"),
            only_process(folder, said.append, patience=0.1, busy="somebody is there"),
        ):
            pass
        assert said == [f"{folder}: process {os.getpid()} works here; waiting until it ends"]
        assert try_lock(folder / LOCK_FILE) is None
    assert not is_locked(folder / LOCK_FILE)
    assert not is_locked(tmp_path / "none")
    with only_process(folder):
        pass
    descriptor = try_lock(tmp_path / "device")
    assert descriptor is not None
    os.close(descriptor)


def test_a_child_holds_on_what_it_inherited_until_it_ends(tmp_path: Path) -> None:
    with only_process(tmp_path) as descriptor:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    try:
        assert is_locked(tmp_path / LOCK_FILE), "the parent let go, the child did not"
    finally:
        child.kill()
        child.wait()
    assert not is_locked(tmp_path / LOCK_FILE)


def test_one_waits_until_the_other_is_killed(tmp_path: Path) -> None:
    script = "import sys, time\nfrom pathlib import Path\nfrom scenebench.locking import only_process\n"
    script += "with only_process(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    holder = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told: list[float] = []

    def say(line: str) -> None:
        assert f"process {holder.pid} works here" in line
        told.append(time.monotonic())
        holder.kill()

    with only_process(tmp_path, say):
        assert told
    holder.wait()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write there"), only_process(tmp_path / "file/run"):
        pass
