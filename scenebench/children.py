"""Work shared between forked processes that see everything the parent has and hand nothing back but files."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from scenebench.errors import UserError

LEAST = 500
"""So many pieces of work at least make a further process worth its start."""
_USER_ERROR = "user"


def in_children(tasks: Sequence[Callable[[], object]], meanwhile: Callable[[], Any] = lambda: None) -> Any:
    """Run every task in a process of its own, all at once; returns when the last has ended.

    What a task returns is lost: tasks write files, or refuse. For processes without other threads of their own at work.

    Args:
        meanwhile: done by this process while the tasks run; returns its result.

    Raises:
        UserError: the first task that failed did so by one.
        OSError: it failed by one, say of a full disk; with its number.
        RuntimeError: it failed otherwise.
        Exception: that of ``meanwhile``, where every task ended well.
    """
    started = [_start(task) for task in tasks]
    try:
        return meanwhile()
    finally:
        _raise_failure([words for process, reader in started if (words := _end(process, reader))], len(started))


def _raise_failure(failures: Sequence[str], number: int) -> None:
    if not failures:
        return
    kind, _, words = failures[0].partition("\n")
    if kind == _USER_ERROR:
        raise UserError(words)
    if int(kind):
        raise OSError(int(kind), os.strerror(int(kind)))
    raise RuntimeError(f"{len(failures)} of {number} processes failed; the first said:\n{words}")


def shared_out(number: int, least: int = LEAST) -> int:
    """Into how many processes ``number`` pieces of work are worth splitting, ``least`` to a process; 1 for few."""
    return max(1, min(len(os.sched_getaffinity(0)), number // least))


def _start(task: Callable[[], object]) -> tuple[int, int]:
    """Process id, and where its last words can be read."""
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    code = 1
    try:
        os.close(reader)
        task()
        code = 0
    except BaseException as error:  # noqa: BLE001 - handed to the parent, which raises it
        os.write(writer, _last_words(error).encode(errors="replace"))
    finally:
        os._exit(code)  # none of the parent's clean-up is the child's


def _last_words(error: BaseException) -> str:
    """``user``, the number of an OSError or 0, and what to say, on lines; short enough for a pipe to hold."""
    if isinstance(error, UserError):
        return f"{_USER_ERROR}\n{str(error)[:8000]}"
    number = (error.errno or 0) if isinstance(error, OSError) else 0
    return f"{number}\n{traceback.format_exc()[-4000:]}"


def _end(process: int, reader: int) -> str:
    """What went wrong in the process, "" if nothing, as :func:`_last_words` says it."""
    with os.fdopen(reader, "rb") as words:
        said = words.read().decode(errors="replace")
    _, status = os.waitpid(process, 0)
    return "" if os.waitstatus_to_exitcode(status) == 0 else said or f"0\nkilled (status {status})"
