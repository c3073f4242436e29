"""The plan: jobs, each with its command, inputs and outputs, as one JSON file.

A job's identity is the hash of its resolved recipe or protocol together with the identities of its inputs, and it is
part of the job's path. So a job is done exactly when its outputs exist: changing one value gives other paths to the
jobs that depend on it and to nothing else. (Every command writes its output last, by rename; nothing half-written has
its final name.)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from scenebench.files import write_text

# Every job's process imports this module: nothing heavy here. How a suite becomes a plan is in plan_from_suite.py.

PLAN_FILE = "plan.json"
THEN = "+"
"""Between the command lines of a job that runs several in one process (:mod:`scenebench.several`)."""
SUITE_FILE = "suite.json"
"""What the suite says, resolved, where the plan is that of one suite."""
FORMAT_VERSION = 2


@dataclass(frozen=True)
class Job:
    """One process of the workflow. All paths are relative to the results folder, where the command runs.

    Attributes:
        id: its folder: ``cells/<kind>/<name>-<identity>``.
        kind: ``data``, ``pretrain`` or ``evaluate``.
        label: how it is called in the terminal.
        command: the command line; a first word ``scenebench`` stands for this installation.
        inputs, outputs: files; it is done when its outputs exist.
        log: what it prints.
        seconds: expected, on one core.
        priority: expected seconds of the longest chain of jobs that starts here; larger goes first.
        cell: for an evaluation, the cell of the tables that it fills; ``more_cells``: further ones, of other rows that
            come to the same backbone, or of other protocols evaluated in the same process.
        wanted: it is wanted for itself, as a pretraining whose pictures are shown, and not for what needs it alone.
        gpus: devices that it asks for; 0: none of its own.
        gpu_hours: expected, on the kind of GPU that the suite's costs were stated for; 0 where it needs none.
        disk_mb: expected size of its folder.
    """

    id: str
    kind: str
    label: str
    command: list[str]
    inputs: list[str]
    outputs: list[str]
    log: str
    seconds: float
    priority: int = 0
    cell: dict[str, Any] = field(default_factory=dict)
    more_cells: list[dict[str, Any]] = field(default_factory=list)
    wanted: bool = False
    gpus: int = 0
    gpu_hours: float = 0.0
    disk_mb: float = 0.0

    def is_done(self, out: Path) -> bool:
        """Whether every output exists."""
        return all((out / output).is_file() for output in self.outputs)


@dataclass(frozen=True)
class Plan:
    """All jobs of one suite on one data set; ``rows`` and ``protocols`` are the tables' order.

    ``values``: everything that the suite says, for the records. ``pictures``: a job's file that is shown, by the name
    that it is shown under.
    """

    suite: str
    size: str
    title: str
    baseline: str
    rows: list[str]
    protocols: list[str]
    jobs: list[Job]
    values: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def job(self, job_id: str) -> Job:
        """The job of that id."""
        return next(job for job in self.jobs if job.id == job_id)

    @property
    def targets(self) -> list[Job]:
        """What it is all for: the evaluations and what is wanted for itself; without any, the pretrainings."""
        targets = [job for job in self.jobs if job.kind == "evaluate" or job.wanted]
        return targets or [job for job in self.jobs if job.kind == "pretrain"]

    def unfinished(self, out: Path) -> list[Job]:
        """The jobs that must run: evaluations without their record, and whatever those need that is not there."""
        producers = {output: job for job in self.jobs for output in job.outputs}
        needed: dict[str, Job] = {}
        waiting = self.targets
        while waiting:
            job = waiting.pop()
            if job.id not in needed and not job.is_done(out):
                needed[job.id] = job
                waiting.extend(producers[name] for name in job.inputs if name in producers)
        return [job for job in self.jobs if job.id in needed]

    def write(self, path: Path) -> None:
        """Write the plan as JSON."""
        write_text(path, json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1) + "\n")


def read_plan(path: Path | str) -> Plan:
    """Read a plan written by :meth:`Plan.write`.

    Raises:
        UserError: missing, damaged or of another format version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version = content.pop("format_version")
        if version != FORMAT_VERSION:
            raise UserError(f"{path}: plan format {version}, this version reads {FORMAT_VERSION}; use another folder")
        plan = Plan(**{**content, "jobs": [Job(**job) for job in content["jobs"]]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a readable plan ({error}); run 'scenebench run' on that folder again") from error
    check_acyclic(plan.jobs, str(path))
    return plan


def check_acyclic(jobs: list[Job], where: str) -> None:
    """Raise UserError, naming the jobs, where jobs wait for one another in a circle."""
    producers = {output: job for job in jobs for output in job.outputs}
    finished: set[str] = set()

    def visit(job: Job, path: list[str]) -> None:
        if job.id in path:
            circle = [*path[path.index(job.id) :], job.id]
            raise UserError(f"{where}: a cycle: {' needs '.join(circle)}; remove one of these inputs")
        if job.id not in finished:
            for name in job.inputs:
                if name in producers:
                    visit(producers[name], [*path, job.id])
            finished.add(job.id)

    for job in jobs:
        visit(job, [])


def each_once(jobs: Sequence[Job]) -> list[Job]:
    """Jobs of one id as one; it fills the cells of all of them."""
    unique: dict[str, Job] = {}
    for job in jobs:
        known = unique.get(job.id)
        if known is None:
            unique[job.id] = job
            continue
        cells = [cell for cell in (job.cell, *job.more_cells) if cell and cell not in (known.cell, *known.more_cells)]
        wanted = known.wanted or job.wanted
        unique[job.id] = replace(known, more_cells=[*known.more_cells, *cells], wanted=wanted)
    return list(unique.values())


def with_priorities(jobs: Sequence[Job]) -> list[Job]:
    """Longest chain first, so that the last job to end is a short one and the cores end together."""
    consumers: dict[str, list[Job]] = {}
    for job in jobs:
        for name in job.inputs:
            consumers.setdefault(name, []).append(job)
    chain: dict[str, float] = {}

    def seconds_from(job: Job) -> float:
        if job.id not in chain:
            after = [seconds_from(consumer) for output in job.outputs for consumer in consumers.get(output, [])]
            chain[job.id] = job.seconds + max(after, default=0.0)
        return chain[job.id]

    return [replace(job, priority=round(seconds_from(job))) for job in jobs]
