"""After the jobs: records filed under their suites, tables, the papers' tables, pictures, and a summary."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.records.collect import ExpectedCell, write_expected
from benchmarks.workflow.events import FAILED, EventLog, last_by_job
from benchmarks.workflow.plan import Job, Plan
from benchmarks.workflow.status import read_status, status_lines
from benchmarks.workflow.work import Work
from scenebench.files import replacing

SUITES_FOLDER = "suites"
"""Of a group: a folder of tables for each suite."""
PICTURES_FOLDER = "pictures"
# What jobs leave to look at, beside their outputs.
PICTURES = {"contact sheet": "contact_sheet.png", "pretraining": "figures/*.png", "predictions": "predictions.png"}
_MOST_PATHS = 12
"""Of one kind; so many as the demo has are listed one by one, what a larger suite has is named by a pattern."""


def report_all(work: Work, out: Path) -> int:
    """Write and print what the records say, suite by suite, and sum up; returns 1 if a cell is missing."""
    is_one = len(work.plans) == 1
    missing, concluded = 0, []
    for plan in work.plans:
        lacking, lines = _report(plan, work.plan, out, out if is_one else out / SUITES_FOLDER / plan.suite)
        missing += lacking
        concluded += [line if is_one else f"{plan.suite}: {line}" for line in lines]
    print("\n" + "\n".join(status_lines(read_status(out, time.time()))))
    if concluded:
        print("\nWhat may be concluded:\n" + "\n".join(concluded))
    return 1 if missing else 0


def _report(plan: Plan, whole: Plan, out: Path, folder: Path) -> tuple[int, list[str]]:
    """Tables of one suite in ``folder``; returns the number of missing cells, and what may be concluded."""
    from benchmarks.published.layout import paper_table_names
    from benchmarks.report.paper_report import build_paper_tables
    from benchmarks.report.run_report import build_report, print_report

    missing = show_pictures(plan, out, folder)
    if not plan.protocols:
        print(f"\n{plan.title}: the suite has no protocols; the backbones lie in {out / 'cells/pretrain'}")
        return missing + (0 if plan.pictures else len(plan.unfinished(out))), []
    empty = write_expected_cells(plan, out, folder, whole)
    report = build_report(folder)
    print_report(report)
    table = plan.suite.removesuffix("_demo")
    if table in paper_table_names():
        build_paper_tables(table, [folder], folder / "paper")
    for name, pattern in PICTURES.items():
        for line in picture_lines(plan, out, pattern):
            print(f"  {name:17} {line}")
    if empty:
        print(f"\n{empty} cells are missing; the same command tries them again")
    return missing + empty, report.conclusions


def picture_lines(plan: Plan, out: Path, pattern: str) -> list[str]:
    """Where the pictures lie that jobs of the plan left: a path each, or one pattern for all where there are many."""
    found = {job.id: sorted(out.glob(f"{job.id}/{pattern}")) for job in plan.jobs}
    paths = sorted(path for each in found.values() for path in each)
    if len(paths) <= _MOST_PATHS:
        return [str(path) for path in paths]
    counts = Counter(str(Path(job).parent) for job, each in found.items() for _ in each)
    return [f"{out / folder}/*/{pattern} ({n})" for folder, n in sorted(counts.items())]


def show_pictures(plan: Plan, out: Path, folder: Path) -> int:
    """Copy the pictures that the suite shows into ``folder/pictures``; returns how many are missing."""
    missing = [name for name, source in plan.pictures.items() if not (out / source).is_file()]
    for name, source in plan.pictures.items():
        target = folder / PICTURES_FOLDER / name
        if name in missing:
            print(f"  picture           {target}: missing, for {source} is")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            temporary.write_bytes((out / source).read_bytes())
        print(f"  picture           {target}")
    return len(missing)


def write_expected_cells(plan: Plan, out: Path, folder: Path | None = None, whole: Plan | None = None) -> int:
    """Tell the report which cells the plan has, and why those without a record have none; returns their number.

    Args:
        folder: of the tables, where it is not ``out``: the records are filed there, for a report stands on its own.
        whole: the plan that was run, where ``plan`` is a part of it.
    """
    folder, whole = folder or out, whole or plan
    last = last_by_job(EventLog(out).read_new())
    producers = {output: job for job in whole.jobs for output in job.outputs}
    cells = []
    for job in (job for job in plan.jobs if job.kind == "evaluate"):
        reason = ""
        if not job.is_done(out):
            runs = _chain(producers, producers[job.outputs[0]])
            failed = [(last[run.id], run) for run in runs if run.id in last and last[run.id].state == FAILED]
            reason = f"failed: {failed[0][0].reason} (log: {failed[0][1].log})" if failed else "missing"
        for cell in (job.cell, *job.more_cells):
            if not reason and cell["record"] != job.outputs[0]:
                file_record(out / job.outputs[0], folder / cell["record"], plan, cell["label"])
            cells.append(ExpectedCell(**cell, reason=reason))
    write_expected(folder, plan.suite, plan.size, plan.title, plan.baseline, plan.rows, plan.protocols, cells)
    return sum(bool(cell.reason) for cell in cells)


def file_record(source: Path, target: Path, plan: Plan, label: str) -> None:
    """Write the record of a cell that suites share as the record of one row of this suite: all it measured stays."""
    from benchmarks.records.record import read_record, write_record
    from scenebench.config import config_hash

    record = read_record(source)
    suite = {"suite": plan.suite, "suite_hash": config_hash(plan.values), "suite_resolved": plan.values}
    backbone = record.backbone.model_copy(update={"label": label})
    write_record(target, record.model_copy(update={**suite, "backbone": backbone}))


def _chain(producers: dict[str, Job], job: Job) -> list[Job]:
    """The job and what it needs, causes first."""
    before = [producers[name] for name in job.inputs if name in producers]
    return [one for parent in before for one in _chain(producers, parent)] + [job]
