"""Progress as plain lines: how far, how fast, how long still. Quick stretches stay silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class Progress:
    """Prints at most one line every ``every`` seconds, the first one ``every`` seconds after the start.

    The rate is taken over all steps but the first, which pays for warming up.
    """

    def __init__(
        self,
        total: int,
        what: str,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self.total, self.what, self.every = total, what, every
        self.done = 0
        self._clock, self._write = clock, write or _say
        self._start = self._last = clock()
        self._first: tuple[int, float] | None = None

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more are done; ``note`` (say, the loss) ends the line."""
        self.done += count
        now = self._clock()
        if self._first is None:
            self._first = (self.done, now)
        if now - self._last >= self.every:
            self._last = now
            self._write(self._line(now, note))

    def _line(self, now: float, note: str) -> str:
        assert self._first is not None
        counted, since = self._first
        if self.done > counted and now > since:
            rate = (self.done - counted) / (now - since)
        else:
            rate = self.done / max(now - self._start, 1e-9)
        remaining = round(max(self.total - self.done, 0) / rate)
        eta = f"{remaining // 3600}:{remaining // 60 % 60:02d}:{remaining % 60:02d}"
        return f"{self.what}: {self.done}/{self.total}, {rate:.2f}/s, ETA {eta}" + (f", {note}" if note else "")


def _say(line: str) -> None:
    logging.getLogger("scenebench").info(line)
