"""One graph of several suites: what several need is in it once, and probes of one backbone share a process.

Snakemake's groups share a submission to a cluster and no process: each job of a group still starts Python and torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.workflow.plan import THEN, Job, Plan, each_once, with_priorities
from scenebench.config import config_hash

START_SECONDS = 7.0
"""What a process takes to start, of the stated seconds of an evaluation; shared ones take it once."""


PROBED = ("classification", "dense", "saliency")
"""Tasks whose evaluations share a process: probes, half of whose time is its start."""


def merge_plans(name: str, size: str, plans: Sequence[Plan]) -> Plan:
    """All jobs of ``plans`` as one graph.

    Its evaluations may stand for several of the plans' (:func:`together`): what a plan's cell needs is found by its
    outputs and not by its id.
    """
    jobs = each_once([job for plan in plans for job in plan.jobs])
    title = f"{name}: {len(plans)} suites"
    return Plan(name, size, title, "", [], [], with_priorities(together(jobs)))


def together(jobs: Sequence[Job]) -> list[Job]:
    """``jobs`` with the probes of one backbone that need no GPU as one job.

    Half of a small probe is the start of its process. Every cell keeps its own identity, folder and record.
    """
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        is_probe = job.kind == "evaluate" and not job.gpus and job.cell.get("task") in PROBED
        groups.setdefault((job.command[2], *job.inputs) if is_probe else (job.id,), []).append(job)
    return [_one(group) for group in groups.values()]


def _one(jobs: Sequence[Job]) -> Job:
    first, *others = jobs
    if not others:
        return first
    identity = config_hash({"together": [job.id for job in jobs]})
    folder = f"cells/together/{first.id.rpartition('/')[2].rpartition('-s')[0]}-{identity[:8]}"
    command = list(first.command)
    for job in others:
        command += [THEN, *job.command]
    return replace(
        first,
        id=folder,
        label=", ".join([first.label, *(str(job.cell["protocol"]) for job in others)]),
        command=command,
        outputs=[output for job in jobs for output in job.outputs],
        log=f"logs/{folder.removeprefix('cells/')}.log",
        seconds=max(START_SECONDS, sum(job.seconds - START_SECONDS for job in jobs) + START_SECONDS),
        disk_mb=sum(job.disk_mb for job in jobs),
        more_cells=[cell for job in jobs for cell in (job.cell, *job.more_cells)][1:],
    )
