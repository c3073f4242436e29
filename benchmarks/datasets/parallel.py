"""Running a function over many tasks, in one process or several, with progress lines."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from scenebench.progress import Progress

Task = TypeVar("Task")
Result = TypeVar("Result")

_SECONDS_BETWEEN_LINES = 5.0


def run_in_chunks(
    function: Callable[[Sequence[Task]], list[Result]],
    tasks: Sequence[Task],
    label: str,
    workers: int = 1,
    chunk: int = 50,
) -> list[Result]:
    """``function`` over chunks of ``tasks``; the joined results are in the order of the tasks.

    With several workers ``function`` must be a module's own function or a partial of one.
    """
    return [result for part in iterate_chunks(function, tasks, label, workers, chunk) for result in part]


def iterate_chunks(
    function: Callable[[Sequence[Task]], list[Result]],
    tasks: Sequence[Task],
    label: str,
    workers: int = 1,
    chunk: int = 50,
) -> Iterator[list[Result]]:
    """The same, chunk by chunk, as each is done: what came before an interruption is the caller's to keep."""
    chunks = [tasks[start : start + chunk] for start in range(0, len(tasks), chunk)]
    # Several workers end their first chunks at nearly the same time: all of them count from the start.
    progress = Progress(len(tasks), f"{label}, images", _SECONDS_BETWEEN_LINES, warms_up=False, write=_say)
    with _mapping(min(workers, len(chunks))) as mapping:
        for part in mapping(function, chunks):
            yield part
            progress.advance(len(part))


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable]]:
    if workers <= 1:
        yield map
        return
    # Spawned, not forked: forking a process that runs threads can hang.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield partial(_map_deaf_to_interrupts, pool)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _map_deaf_to_interrupts(pool: ProcessPoolExecutor, function: Callable, chunks: Sequence) -> Iterable:
    """Ctrl-C reaches the whole process group; the parent answers it, and the children inherit that it is blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.map(function, chunks)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
