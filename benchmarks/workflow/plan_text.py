"""What a run would do, before anything runs: every cell, what is done, which data sets are missing, hours and disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.workflow.costs import GPUS_COMPARED
from benchmarks.workflow.plan import Job, Plan
from benchmarks.workflow.work import Work

KINDS = ("data", "pretrain", "evaluate")


def preview_lines(work: Work, plan: Plan, out: Path) -> list[str]:
    """The text of ``--plan``: a line a cell, then a total by kind and of all, then the data sets."""
    unfinished = {job.id for job in plan.unfinished(out)}
    lines = [f"{plan.title} ({plan.size or 'no'} size)  ->  {out}", ""]
    lines.append(f"{'state':6} {'GPUs':>4} {'GPU-hours':>9} {'hours':>7} {'disk':>8}  cell")
    for job in plan.jobs:
        lines.append(f"{'to do' if job.id in unfinished else 'done':6} {_numbers([job], plan)}  {job.label}")
    lines.append("")
    to_do = [job for job in plan.jobs if job.id in unfinished]
    for kind in KINDS:
        jobs = [job for job in to_do if job.kind == kind]
        if jobs:
            lines.append(f"{'to do':6} {_numbers(jobs, plan)}  {len(jobs)} x {kind}")
    lines.append(f"{'to do':6} {_numbers(to_do, plan)}  {len(to_do)} cells; {len(plan.jobs) - len(to_do)} done")
    if any(job.gpu_hours for job in plan.jobs):
        lines.append(
            f"GPU-hours are those of the machine that published times are known for ({GPUS_COMPARED}, float32)."
        )
    if work.places:
        lines += ["", "data sets:", *(f"  {place.line()}" for place in work.places)]
    return lines


def _numbers(jobs: Sequence[Job], plan: Plan) -> str:
    gpu_hours = sum(job.gpu_hours for job in jobs)
    hours = sum(job.seconds for job in jobs) / 3600
    disk = sum(job.disk_mb for job in jobs)
    gpus = max((job.gpus for job in jobs), default=0)
    size = f"{disk / 1000:.1f} GB" if disk >= 1000 else f"{disk:.0f} MB"
    return f"{gpus or '-':>4} {f'{gpu_hours:.1f}' if gpu_hours else '-':>9} {hours:>7.2f} {size:>8}"
