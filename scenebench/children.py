"""Work shared between forked processes that see everything the parent has and hand nothing back but files."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence


def in_children(tasks: Sequence[Callable[[], object]]) -> None:
    """Run every task in a process of its own, all at once; returns when the last has ended.

    What a task returns is lost: tasks write files. For processes without other threads of their own at work.

    Raises:
        OSError: the first task that failed did so by one, say of a full disk; with its number.
        RuntimeError: it failed otherwise.
    """
    started = [_start(task) for task in tasks]
    failures = [words for process, reader in started if (words := _end(process, reader))]
    if failures:
        number, _, words = failures[0].partition("\n")
        if int(number):
            raise OSError(int(number), os.strerror(int(number)))
        raise RuntimeError(f"{len(failures)} of {len(tasks)} processes failed; the first said:\n{words}")


def shared_out(number: int, least: int = 500) -> int:
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
        number = (error.errno or 0) if isinstance(error, OSError) else 0
        os.write(writer, f"{number}\n{traceback.format_exc()[-4000:]}".encode())
    finally:
        os._exit(code)  # none of the parent's clean-up is the child's


def _end(process: int, reader: int) -> str:
    """What went wrong in the process, "" if nothing: the number of an OSError or 0, and the words, on lines."""
    with os.fdopen(reader, "rb") as words:
        said = words.read().decode(errors="replace")
    _, status = os.waitpid(process, 0)
    return "" if os.waitstatus_to_exitcode(status) == 0 else said or f"0\nkilled (status {status})"
