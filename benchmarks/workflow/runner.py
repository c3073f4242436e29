"""``scenebench run``: plan, run what is missing, collect, print."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report.results import ExpectedCell, write_expected
from benchmarks.workflow.engine import Outcome, execute
from benchmarks.workflow.events import FAILED, EventLog, last_by_job
from benchmarks.workflow.plan import PLAN_FILE, Plan
from benchmarks.workflow.planning import build_plan
from benchmarks.workflow.source import Source, coco_source, scenes_source
from benchmarks.workflow.suite import Suite, load_suite
from scenebench.errors import UserError
from scenebench.files import write_text

RUN_FILE = "run.json"
LOCK_FILE = ".lock"
_LOCK_SECONDS = 5.0
# What jobs leave to look at, beside their outputs.
PICTURES = {"contact sheet": "contact_sheet.png", "pretraining": "figures/*.png", "predictions": "predictions.png"}


def run_suite(
    suite_name: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    out: Path | str = "results",
    cores: int = 2,
) -> int:
    """Run every job of a suite that is not done yet, on ``cores`` cores, then write and print tables and leaderboard.

    Args:
        suite_name: a suite's name, or the path of a YAML file.
        data: the user's folder of images; None: the generated scenes.
        annotations: COCO instances JSON of ``data``; ``test_annotations``: of its test images, if they are apart.
        out: the results folder. Called again on the same folder, finished jobs are kept.

    Returns:
        The exit code: 0; 1 if a job failed (the tables say which and why); 130 or 143 if stopped by a signal.

    Raises:
        UserError: bad suite or data, or ``out`` belongs to other results or is in use.
    """
    if cores < 1:
        raise UserError(f"--cores: {cores} is not a positive number")
    suite = load_suite(suite_name)
    if data is None and annotations is None and test_annotations is None:
        source = scenes_source(suite.data)
    else:
        source = coco_source(data, annotations, test_annotations, suite.user_data)
    plan = build_plan(suite, source)
    out = Path(out).resolve()
    _claim(out, suite, source)
    with _only_one(out) as lock:
        plan.write(out / PLAN_FILE)
        outcome = run_plan(plan, out, cores, lock)
        if outcome.signal:
            print("stopped; the finished jobs are kept, and the same command goes on from here")
            return 128 + outcome.signal
        return _report(plan, out)


def run_plan(plan: Plan, out: Path, cores: int, lock: int) -> Outcome:
    """Run the unfinished jobs of a plan that stands in ``out``; ``lock``: descriptor of the lock on ``out``."""
    unfinished = plan.unfinished(out)
    kept = len(plan.jobs) - len(unfinished)
    print(f"{plan.title}: {len(unfinished)} jobs to run{f', {kept} kept' if kept else ''}  ->  {out}", flush=True)
    return execute(plan, out, cores, lock) if unfinished else Outcome({})


def _claim(out: Path, suite: Suite, source: Source) -> None:
    """Make ``out`` this suite's and this data's results folder, or refuse it."""
    mine = {"suite": suite.name, "data": source.place, "data_identity": source.identity}
    file = out / RUN_FILE
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose a folder for --out")
    if file.is_file():
        try:
            theirs = json.loads(file.read_text(encoding="utf-8"))
            same_data = source.place == theirs["data"] or source.identity == theirs["data_identity"]
            belongs = f"suite '{theirs['suite']}' on {theirs['data']}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file}: damaged ({error}); choose another folder for --out") from error
        if theirs["suite"] != suite.name or not same_data:
            raise UserError(
                f"{out}: holds results of {belongs}, not of suite '{suite.name}' on {source.place}; "
                "choose another folder for --out"
            )
    elif out.is_dir() and any(name.name != LOCK_FILE for name in out.iterdir()):
        raise UserError(
            f"{out}: is not empty and holds no results of 'scenebench run'; choose another folder for --out"
        )
    write_text(file, json.dumps(mine, indent=1) + "\n")


@contextmanager
def _only_one(out: Path) -> Iterator[int]:
    """Hold the lock on ``out``; the system drops it with the last process that holds it, however that one ends."""
    descriptor = os.open(out / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        give_up = time.monotonic() + _LOCK_SECONDS  # the engine of a killed front end needs a moment to notice
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    raise UserError(
                        f"{out}: another 'scenebench run' is at work there; wait for it or stop it"
                    ) from error
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)


def _report(plan: Plan, out: Path) -> int:
    """Write and print what the records say; returns 1 if a cell is missing."""
    from benchmarks.report.build import build_report, print_report

    missing = write_expected_cells(plan, out)
    print_report(build_report(out))
    for name, pattern in PICTURES.items():
        for path in sorted(path for job in plan.jobs for path in out.glob(f"{job.id}/{pattern}")):
            print(f"  {name:17} {path}")
    if missing:
        print(f"\n{missing} cells are missing; the same command tries them again")
    return 1 if missing else 0


def write_expected_cells(plan: Plan, out: Path) -> int:
    """Tell the report which cells the plan has, and why those without a record have none; returns their number."""
    last = last_by_job(EventLog(out).read_new())
    producers = {output: job.id for job in plan.jobs for output in job.outputs}
    cells = []
    for job in plan.jobs:
        if job.kind != "evaluate":
            continue
        reason = ""
        if not job.is_done(out):
            failed = [last[name] for name in _chain(plan, job.id, producers) if name in last]
            failed = [event for event in failed if event.state == FAILED]
            reason = f"failed: {failed[0].reason}" if failed else "missing"
        cells.append(ExpectedCell(**job.cell, reason=reason))
    write_expected(out, plan.suite, plan.size, plan.title, plan.baseline, plan.rows, plan.protocols, cells)
    return sum(bool(cell.reason) for cell in cells)


def _chain(plan: Plan, job_id: str, producers: dict[str, str]) -> list[str]:
    """The job and what it needs, causes first."""
    before = [producers[name] for name in plan.job(job_id).inputs if name in producers]
    return [name for parent in before for name in _chain(plan, parent, producers)] + [job_id]
