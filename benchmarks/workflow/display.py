"""What a person sees while jobs run: when each starts and ends, what the running ones say, and the time left.

Snakemake's own lines name rules and files and count steps; they say neither what a running job prints nor when it all
ends. They are in ``logs/snakemake.log``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from benchmarks.workflow.events import FAILED, FINISHED, STARTED, Event
from benchmarks.workflow.job import tail
from benchmarks.workflow.plan import Job
from scenebench.exit_codes import SAYS
from scenebench.progress import duration

STATUS_SECONDS = 30.0
"""How often a file or pipe gets a line on the running jobs; a terminal's last line always shows them."""
LOG_LINES = 12
_PRIOR_SECONDS = 60.0


class Display:
    """Follows the events of the jobs ``jobs`` and prints. ``estimate`` is the time left, in seconds."""

    def __init__(
        self,
        jobs: list[Job],
        out: Path,
        cores: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.running: dict[str, float] = {}
        self.finished: dict[str, float] = {}
        self.failed: dict[str, Event] = {}
        self._out, self._cores, self._clock = out, cores, clock
        self._stream = stream or sys.stdout
        self._on_terminal = self._stream.isatty()
        self._last_status = clock()
        self._status_shown = False

    def show(self, event: Event) -> None:
        """Print what an event means."""
        job = self.jobs.get(event.job)
        if job is None:
            return
        if event.state == STARTED:
            self.running[job.id] = event.time
            self.failed.pop(job.id, None)  # tried again
            self._line("start", job.label)
            return
        self.running.pop(job.id, None)
        if event.state == FINISHED:
            self.finished[job.id] = event.seconds
            self._line("done", f"{job.label}  {event.seconds:.0f} s  {self._time_left()}")
        elif event.state == FAILED:
            self.failed[job.id] = event
            self._line("FAILED", f"{job.label}: {event.reason}")
            if event.reason.startswith(SAYS):
                return  # the one line says it all
            for line in tail(self._out / job.log, LOG_LINES):
                self._write(f"          | {line[:160]}")
            self._write(f"          log: {self._out / job.log}")
        else:
            self._line("stopped", job.label)

    def tick(self) -> None:
        """Show what the running jobs print, at most every :data:`STATUS_SECONDS` where the output is no terminal."""
        now = self._clock()
        if not self.running or now - self._last_status < (1.0 if self._on_terminal else STATUS_SECONDS):
            return
        self._last_status = now
        says = [f"{self.jobs[name].label}: {self._last_words(name)}" for name in self.running]
        if self._on_terminal:
            self._stream.write(f"\r\x1b[K{'  |  '.join(says)[:150]}")
            self._stream.flush()
            self._status_shown = True
        else:
            for line in says:
                self._write(f"          {line[:150]}")

    def message(self, text: str) -> None:
        """Print a line of one's own."""
        self._write(text)

    def estimate(self) -> float:
        """Seconds until all is done, from what jobs took against what was expected of them."""
        expected = sum(self.jobs[name].seconds for name in self.finished)
        # The first jobs say little about the pace: the expectation weighs as much as a minute of experience.
        pace = (sum(self.finished.values()) + _PRIOR_SECONDS) / (expected + _PRIOR_SECONDS)
        now = self._clock()
        remaining = 0.0
        for job in self.jobs.values():
            if job.id not in self.finished and job.id not in self.failed:
                begun = now - self.running[job.id] if job.id in self.running else 0.0
                remaining += max(job.seconds * pace - begun, 0.0)
        return remaining / self._cores

    def _time_left(self) -> str:
        if len(self.finished) + len(self.failed) == len(self.jobs):
            return ""
        return f"(about {duration(self.estimate())} left)"

    def _last_words(self, name: str) -> str:
        job = self.jobs[name]
        words = (tail(self._out / job.log, 1) or [""])[0]
        return f"{self._clock() - self.running[name]:.0f} s" if words.startswith("$ ") else words

    def _line(self, state: str, text: str) -> None:
        width = len(str(len(self.jobs)))
        done = len(self.finished) + len(self.failed)
        self._write(f"[{done:{width}}/{len(self.jobs)}] {state:7} {text}".rstrip())

    def _write(self, text: str) -> None:
        if self._status_shown:
            self._stream.write("\r\x1b[K")
            self._status_shown = False
        self._stream.write(text + "\n")
        self._stream.flush()
