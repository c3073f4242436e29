"""Where a results folder stands: each cell's state, and the time left, estimated from what was measured there.

``snakemake --summary`` lists files with their dates: not what runs, what failed and why, or how long the rest takes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workflow.events import FAILED, FINISHED, STARTED, Event, EventLog, last_by_job
from benchmarks.workflow.plan import PLAN_FILE, Job, Plan, read_plan
from scenebench.errors import UserError
from scenebench.locking import LOCK_FILE, is_locked
from scenebench.progress import duration

DONE, RUNNING, BROKEN, WAITING, BLOCKED = "done", "running", "failed", "waiting", "blocked"
STATES = (DONE, RUNNING, BROKEN, BLOCKED, WAITING)
_PRIOR_SECONDS = 60.0


@dataclass(frozen=True)
class CellStatus:
    """One job. ``seconds``: that it took or has been running; ``left``: until it ends, once it runs; None: unknown."""

    id: str
    label: str
    kind: str
    state: str
    seconds: float | None
    left: float | None
    reason: str
    log: str


@dataclass(frozen=True)
class Status:
    """``is_running``: whether a front end is at work; ``left``: seconds until all is done at the present pace."""

    title: str
    out: Path
    is_running: bool
    cells: list[CellStatus]
    left: float

    def count(self, state: str) -> int:
        """Cells in a state."""
        return sum(cell.state == state for cell in self.cells)

    @property
    def at_work(self) -> str:
        """In a word or two."""
        if self.count(DONE) == len(self.cells):
            return "finished"
        return "running" if self.is_running else "not running"


def read_status(out: Path | str, now: float) -> Status:
    """Read plan and events of a results folder.

    Raises:
        UserError: no such folder, or none of ``scenebench run``, or one of another version.
    """
    out = Path(out)
    if not (out / PLAN_FILE).is_file():
        raise UserError(f"{out}: holds no results of 'scenebench run' ({PLAN_FILE} is missing); name its --out")
    plan = read_plan(out / PLAN_FILE)
    return status_of(plan, out, EventLog(out).read_new(), is_locked(out / LOCK_FILE), now)


def status_of(plan: Plan, out: Path, events: Sequence[Event], is_running: bool, now: float) -> Status:
    """The same from what was read already."""
    last = last_by_job(events)
    unfinished = {job.id for job in plan.unfinished(out)}
    expected = Expectation(plan, events)
    blocked = _behind_failures(plan, unfinished, last)
    cells = []
    for job in plan.jobs:
        event = last.get(job.id)
        state, seconds, left, reason = WAITING, None, expected.seconds(job), ""
        if job.id not in unfinished:
            took = event.seconds if event is not None and event.state == FINISHED else None
            state, seconds, left = DONE, took, 0.0
        elif event is not None and event.state == STARTED and is_running:
            state, seconds = RUNNING, now - event.time
            left = max(left - seconds, 0.0)
        elif event is not None and event.state == FAILED:
            state, seconds, left, reason = BROKEN, event.seconds, 0.0, event.reason
        elif job.id in blocked:
            state, left, reason = BLOCKED, 0.0, f"needs {blocked[job.id]}"
        cells.append(CellStatus(job.id, job.label, job.kind, state, seconds, left, reason, job.log))
    at_once = max(1, sum(cell.state == RUNNING for cell in cells))
    total = sum(cell.left or 0.0 for cell in cells) / at_once
    longest = max((cell.left or 0.0 for cell in cells), default=0.0)
    return Status(plan.title, out, is_running, cells, max(total, longest))


class Expectation:
    """How long a job will take: as long as its like did; else what was stated, at the pace of its kind so far."""

    def __init__(self, plan: Plan, events: Sequence[Event]) -> None:
        took: dict[str, list[float]] = {}
        measured: dict[str, tuple[float, float]] = {}
        jobs = {job.id: job for job in plan.jobs}
        for event in events:
            job = jobs.get(event.job)
            if job is not None and event.state == FINISHED:
                took.setdefault(_like(job), []).append(event.seconds)
                seconds, stated = measured.get(job.kind, (0.0, 0.0))
                measured[job.kind] = (seconds + event.seconds, stated + job.seconds)
        self._took, self._measured = took, measured

    def seconds(self, job: Job) -> float:
        """Of one job, from its start to its end."""
        if _like(job) in self._took:
            return statistics.median(self._took[_like(job)])
        seconds, stated = self._measured.get(job.kind, (0.0, 0.0))
        # The first jobs say little about the pace: what was stated weighs as much as a minute of experience.
        return job.seconds * (seconds + _PRIOR_SECONDS) / (stated + _PRIOR_SECONDS)


def _like(job: Job) -> str:
    """Evaluations by the same protocols cost the same, pretrainings of one row do."""
    if job.kind == "evaluate":
        return f"evaluate {' '.join(protocols_of(job))}"
    return job.label.rpartition(", seed ")[0] or job.id


def protocols_of(job: Job) -> list[str]:
    """Ids of the protocols that a job evaluates by, each once."""
    return list(dict.fromkeys(str(cell.get("protocol")) for cell in (job.cell, *job.more_cells)))


def _behind_failures(plan: Plan, unfinished: set[str], last: dict[str, Event]) -> dict[str, str]:
    """Job -> label of the failed one that it waits for, directly or not."""
    producers = {output: job for job in plan.jobs for output in job.outputs}
    blocked: dict[str, str] = {}
    for job in plan.jobs:  # in an order in which inputs come first
        for name in job.inputs:
            cause = producers.get(name)
            if cause is None or cause.id not in unfinished:
                continue
            if cause.id in blocked:
                blocked[job.id] = blocked[cause.id]
            elif cause.id in last and last[cause.id].state == FAILED:
                blocked[job.id] = cause.label
    return blocked


def status_lines(status: Status) -> list[str]:
    """What ``scenebench status`` prints."""
    counts = ", ".join(f"{status.count(state)} {state}" for state in STATES if status.count(state))
    lines = [f"{status.title}: {status.at_work}; {counts} of {len(status.cells)}; {_rest(status)}"]
    for state in (RUNNING, BROKEN, BLOCKED):
        for cell in (cell for cell in status.cells if cell.state == state):
            lines.append(f"  {state:8} {cell.label}{_detail(cell)}")
            if state == BROKEN:
                lines.append(f"           log: {status.out / cell.log}")
    return [*lines, f"  page     {status.out / 'status.html'}"] if (status.out / "status.html").is_file() else lines


def _rest(status: Status) -> str:
    if status.count(DONE) == len(status.cells):
        return "complete"
    return f"about {duration(status.left)} left" if status.left else "the same command tries the failed ones again"


def _detail(cell: CellStatus) -> str:
    if cell.state == RUNNING:
        return f": {duration(cell.seconds or 0.0)} so far, about {duration(cell.left or 0.0)} left"
    return f": {cell.reason}"
