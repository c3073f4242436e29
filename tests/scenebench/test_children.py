"""Forked processes: what they write is there, what they say when they fail is raised, and none is left."""

from __future__ import annotations

import errno
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from scenebench.children import in_children, shared_out
from scenebench.collection import nothing_collected
from scenebench.errors import UserError


def test_every_task_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    in_children([partial((tmp_path / name).write_text, name) for name in "abc"])
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["a", "b", "c"]
    processes = tmp_path / "processes"
    processes.mkdir()
    in_children([lambda: (processes / str(os.getpid())).touch()] * 2)
    names = {path.name for path in processes.iterdir()}
    assert len(names) == 2
    assert str(os.getpid()) not in names


def test_a_failure_is_raised_with_its_words_and_the_others_are_waited_for(tmp_path: Path) -> None:
    def begun() -> None:
        (tmp_path / str(os.getpid())).touch()

    def end() -> None:
        begun()
        (tmp_path / "done").touch()

    def fail() -> None:
        begun()
        raise ValueError("of its own")

    def fill() -> None:
        begun()
        raise OSError(errno.ENOSPC, "full")

    def die() -> None:
        begun()
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RuntimeError, match=r"(?s)1 of 2 processes failed.*of its own"):
        in_children([fail, end])
    assert (tmp_path / "done").exists()
    with pytest.raises(OSError, match="No space left") as caught:
        in_children([fill])
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(RuntimeError, match="killed"):
        in_children([die])
    children = [int(path.name) for path in tmp_path.iterdir() if path.name != "done"]
    assert len(children) == 4
    for child in children:  # only these: other tests of this process may have left children of their own
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def test_the_parent_works_meanwhile_and_is_told_what_a_child_refused(tmp_path: Path) -> None:
    def refuse() -> None:
        raise UserError("x.json: damaged")

    def fail() -> None:
        raise ValueError("the parent's own")

    assert in_children([(tmp_path / "a").touch], meanwhile=lambda: 7) == 7
    assert (tmp_path / "a").exists()
    for meanwhile in (lambda: 7, fail):
        with pytest.raises(UserError, match=r"^x\.json: damaged$"):
            in_children([refuse], meanwhile)
    with pytest.raises(ValueError, match="the parent's own"):
        in_children([(tmp_path / "b").touch], fail)
    assert (tmp_path / "b").exists()


def test_little_work_is_not_shared_out() -> None:
    assert shared_out(0) == shared_out(999, 1000) == 1
    assert shared_out(10**9) == len(os.sched_getaffinity(0))


def test_the_collector_is_as_it_was() -> None:
    import gc

    with nothing_collected():
        assert not gc.isenabled()
        with nothing_collected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
