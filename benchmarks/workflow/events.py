"""What happened to the jobs, as a file of JSON lines that is only ever appended to.

The jobs' processes write it, the front end follows it, and it stays as the history of a results folder. A logger plugin
of Snakemake would hear of starts and ends too, but not which process to signal nor why a command failed, and nothing
once the front end was killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

EVENTS_FILE = "logs/events.jsonl"
STARTED, FINISHED, FAILED, STOPPED = "started", "finished", "failed", "stopped"


@dataclass(frozen=True)
class Event:
    """``job`` entered ``state`` at ``time`` (seconds since the epoch); ``pid`` is the process that watches over it."""

    job: str
    state: str
    pid: int
    time: float
    seconds: float = 0.0
    reason: str = ""


class EventLog:
    """The events of one results folder; a reader remembers how far it has read."""

    def __init__(self, out: Path) -> None:
        self.path = out / EVENTS_FILE
        self._offset = 0
        self._unfinished_line = b""

    def append(self, event: Event) -> None:
        """Add one line. A single short write to a file opened for appending is not torn by other processes' writes."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(event)) + "\n"
        with open(self.path, "ab", buffering=0) as file:
            file.write(line.encode())

    def skip_to_end(self) -> None:
        """Forget what was written before now."""
        self._offset = self.path.stat().st_size if self.path.is_file() else 0

    def read_new(self) -> list[Event]:
        """The events since the last call. A line that a killed process left half-written is passed over."""
        if not self.path.is_file():
            return []
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            content = self._unfinished_line + file.read()
            self._offset = file.tell()
        *lines, self._unfinished_line = content.split(b"\n")
        events = []
        for line in lines:
            try:
                events.append(Event(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # torn by a kill; the job's outputs say what it achieved
        return events


def last_by_job(events: Iterable[Event]) -> dict[str, Event]:
    """The latest event of each job."""
    return {event.job: event for event in events}


def now() -> float:
    """Seconds since the epoch."""
    return time.time()
