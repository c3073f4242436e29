"""How far work is, how fast it goes and how long it still takes: as numbers, and as plain lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


def duration(seconds: float) -> str:
    """``0:07``, ``1:30`` (minutes and seconds below an hour), ``3 h 20 min``, ``4 d 6 h``."""
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


class Pace:
    """The rate of a piece of work, and what the rest of it takes at that rate.

    Args:
        total: steps in all.
        done: steps done before (a resumed run): they are not in the rate.
        warms_up: the first advance pays for warming up, and is not in the rate either once there are more.
        clock: seconds.
    """

    def __init__(
        self, total: int, done: int = 0, warms_up: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.done = total, done
        self._warms_up, self._clock = warms_up, clock
        self._counted_from = [(done, clock())]

    def advance(self, count: int) -> None:
        """``count`` more are done."""
        self.done += count
        if self._warms_up and len(self._counted_from) == 1:
            self._counted_from.append((self.done, self._clock()))

    @property
    def rate(self) -> float:
        """Steps a second; before the first advance, as if one were done."""
        now = self._clock()
        done, since = self._counted_from[-1]
        if self.done == done or now <= since:
            done, since = self._counted_from[0]
        return max(self.done - done, 1) / max(now - since, 1e-9)

    @property
    def seconds_left(self) -> float:
        """What the rest takes at this rate."""
        return max(self.total - self.done, 0) / self.rate


class Progress:
    """Prints at most one line every ``every`` seconds, the first one ``every`` seconds after the start.

    Quick work stays silent. What has said anything says when it is done, too.

    Args:
        total: steps in all; done: those done before (a resumed run).
        what: is done, at the beginning of each line.
        every: seconds.
        warms_up: as for :class:`Pace`.
        write: takes a line; the program's log without it.
    """

    def __init__(
        self,
        total: int,
        what: str,
        every: float = 10.0,
        done: int = 0,
        warms_up: bool = True,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self.pace = Pace(total, done, warms_up, clock)
        self.what, self.every = what, every
        self._clock, self._write = clock, write or logging.getLogger("scenebench").info
        self._start = self._last = clock()

    def advance(self, count: int = 1, note: str = "") -> None:
        """``count`` more are done; ``note`` (say, the loss) ends the line."""
        pace = self.pace
        pace.advance(count)
        now = self._clock()
        ends_what_was_shown = pace.done == pace.total and self._last > self._start
        if now - self._last >= self.every or ends_what_was_shown:
            self._last = now
            line = f"{self.what}: {pace.done}/{pace.total}, {pace.rate:.2f}/s, ETA {duration(pace.seconds_left)}"
            self._write(f"{line}, {note}" if note else line)
