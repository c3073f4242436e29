"""PreciseBN's progress: after training, Detectron2 runs 200 batches more and says nothing on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from scenebench.progress import Progress


def show_progress(hook: Any, what: str) -> None:
    """Let a ``detectron2.engine.hooks.PreciseBN`` show how far it is, how fast, and how long still.

    Args:
        hook: before its first batch; one that found no batch normalisation to estimate stays as it is.
    """
    if not hook._disabled:
        hook._data_loader = _Counted(hook._data_loader, hook._num_iter, what)


class _Counted:
    """The batches of a loader. ``each`` of them are one estimate, which has a progress display of its own."""

    def __init__(self, loader: Any, each: int, what: str) -> None:
        self._loader, self._each, self._what = loader, each, what

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._loader)
        while True:
            progress = Progress(self._each, self._what)
            for batch in islice(batches, self._each):
                yield batch
                progress.advance()
            if progress.pace.done < self._each:
                return  # the loader has come to its end
