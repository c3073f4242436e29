"""``scenebench run``: plan, run what is missing, collect, print."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report.results import ExpectedCell, write_expected
from benchmarks.toolboxes import require_toolbox
from benchmarks.workflow.damage import set_aside
from benchmarks.workflow.data_places import require_complete
from benchmarks.workflow.engine import Outcome, execute
from benchmarks.workflow.engine_options import EngineOptions, with_gpus
from benchmarks.workflow.events import FAILED, EventLog, last_by_job
from benchmarks.workflow.plan import PLAN_FILE, Plan
from benchmarks.workflow.slurm import check_cluster
from benchmarks.workflow.source import Source
from benchmarks.workflow.status import LOCK_FILE, read_status, status_lines
from benchmarks.workflow.status_page import write_page
from benchmarks.workflow.work import Work, prepare
from scenebench.errors import UserError
from scenebench.files import write_text

RUN_FILE = "run.json"
FORMAT_VERSION = 1
"""Of a results folder: how its cells are laid out."""
SUITES_FOLDER = "suites"
"""Of a group: a folder of tables for each suite."""
_LOCK_SECONDS = 5.0
# What jobs leave to look at, beside their outputs.
PICTURES = {"contact sheet": "contact_sheet.png", "pretraining": "figures/*.png", "predictions": "predictions.png"}


def run_suite(
    suite_name: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    out: Path | str = "results",
    options: EngineOptions | None = None,
    size: str = "",
) -> int:
    """Run every job of a suite that is not done yet, then write and print tables and leaderboard.

    Args:
        suite_name: a suite's or a group's name, or the path of a YAML file.
        data: the user's folder of images (None: the generated scenes), or the folder that holds published data sets.
        annotations: COCO instances JSON of ``data``; ``test_annotations``: of its test images, if they are apart.
        out: the results folder. Called again on the same folder, finished jobs are kept.
        options: where and on how much the jobs run.
        size: ``paper``, ``mini`` or ``demo`` (``sizes.yaml``); empty: the suite of that very name.

    Returns:
        The exit code: 0; 1 if a job failed (the tables say which and why); 130 or 143 if stopped by a signal.

    Raises:
        UserError: bad suite or data, a toolbox that is not installed, a cluster that does not fit, or ``out`` belongs
            to other results or is in use.
    """
    options = options or EngineOptions()
    if options.on_cluster:
        check_cluster(options.partition)
    work = prepare(suite_name, data, annotations, test_annotations, size)
    return run_work(work, Path(out).resolve(), options, _report_all)


def run_work(
    work: Work,
    out: Path,
    options: EngineOptions,
    report: Callable[[Work, Path], int],
    before: Callable[[Path], None] | None = None,
) -> int:
    """Claim ``out`` for this work, run what is not done, then ``report``; returns the exit code.

    Args:
        before: called once the folder is ours and before any job, to lay files into it.
        report: called when no signal stopped the jobs; its result is the exit code.

    Raises:
        UserError: data or a toolbox is missing, or ``out`` belongs to other results or is in use.
    """
    require_complete(work.places)
    for protocol in work.protocols:
        require_toolbox(protocol)
    _claim(out, work.name, work.source)
    with _only_one(out) as lock:
        if before is not None:
            before(out)
        plan = with_gpus(work.plan, options)
        plan.write(out / PLAN_FILE)
        outcome = run_plan(plan, out, options, lock)
        write_page(out, time.time())
        if outcome.signal:
            print("stopped; the finished jobs are kept, and the same command goes on from here")
            return 128 + outcome.signal
        return report(work, out)


def show_plan(
    suite_name: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    out: Path | str = "results",
    options: EngineOptions | None = None,
    size: str = "",
) -> int:
    """Print what :func:`run_suite` would do, and draw the graph (``OUT-plan.png``); runs nothing."""
    from benchmarks.workflow.graph_picture import draw_graph
    from benchmarks.workflow.preview import preview_lines

    work = prepare(suite_name, data, annotations, test_annotations, size)
    out = Path(out).resolve()
    options = options or EngineOptions()
    here = options.slots > 0 or options.on_cluster  # else for another machine: what the suite asks for
    print("\n".join(preview_lines(work, with_gpus(work.plan, options) if here else work.plan, out)))
    print(f"graph: {draw_graph(work, out, out.with_name(f'{out.name}-plan.png'))}")
    return 0


def run_plan(plan: Plan, out: Path, options: EngineOptions, lock: int) -> Outcome:
    """Run the unfinished jobs of a plan that stands in ``out``; ``lock``: descriptor of the lock on ``out``.

    What is there and damaged is set aside first, so that it is made again.
    """
    for job in plan.jobs:
        for reason in set_aside(job, out):
            print(f"damaged, made again: {reason}")
    unfinished = plan.unfinished(out)
    kept = len(plan.jobs) - len(unfinished)
    print(f"{plan.title}: {len(unfinished)} jobs to run{f', {kept} kept' if kept else ''}  ->  {out}", flush=True)
    return execute(plan, out, options, lock) if unfinished else Outcome({})


def _claim(out: Path, name: str, source: Source) -> None:
    """Make ``out`` the results folder of the suite ``name`` and this data, or refuse it."""
    mine = {"format_version": FORMAT_VERSION, "suite": name, "data": source.place, "data_identity": source.identity}
    file = out / RUN_FILE
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose a folder for --out")
    if file.is_file():
        try:
            theirs = json.loads(file.read_text(encoding="utf-8"))
            version = theirs.get("format_version", FORMAT_VERSION)  # the first ones did not say it
            same_data = source.place == theirs["data"] or source.identity == theirs["data_identity"]
            belongs = f"suite '{theirs['suite']}' on {theirs['data']}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file}: damaged ({error}); choose another folder for --out") from error
        if version != FORMAT_VERSION:
            raise UserError(
                f"{file}: results folder of format {version}, this version works on {FORMAT_VERSION}; "
                "choose another folder for --out"
            )
        if theirs["suite"] != name or not same_data:
            raise UserError(
                f"{out}: holds results of {belongs}, not of suite '{name}' on {source.place}; "
                "choose another folder for --out"
            )
    elif out.is_dir() and any(not name.name.startswith(".") for name in out.iterdir()):
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


def _report_all(work: Work, out: Path) -> int:
    """Write and print what the records say, suite by suite, and sum up; returns 1 if a cell is missing."""
    if len(work.plans) == 1:
        missing = _report(work.plan, out, out)
    else:
        missing = sum(_report(plan, out, out / SUITES_FOLDER / plan.suite) for plan in work.plans)
    print("\n" + "\n".join(status_lines(read_status(out, time.time()))))
    return 1 if missing else 0


def _report(plan: Plan, out: Path, folder: Path) -> int:
    """Tables of one suite in ``folder``; returns the number of missing cells."""
    from benchmarks.report.build import build_report, print_report

    if not plan.protocols:
        print(f"\n{plan.title}: the suite has no protocols; the backbones lie in {out / 'cells/pretrain'}")
        return len(plan.unfinished(out))
    missing = write_expected_cells(plan, out, folder)
    print_report(build_report(folder))
    for name, pattern in PICTURES.items():
        for path in sorted(path for job in plan.jobs for path in out.glob(f"{job.id}/{pattern}")):
            print(f"  {name:17} {path}")
    if missing:
        print(f"\n{missing} cells are missing; the same command tries them again")
    return missing


def write_expected_cells(plan: Plan, out: Path, folder: Path | None = None) -> int:
    """Tell the report which cells the plan has, and why those without a record have none; returns their number.

    Args:
        folder: of the tables, where it is not ``out``: the records are copied there, for a report stands on its own.
    """
    folder = folder or out
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
            reason = "missing"
            if failed:
                log = plan.job(failed[0].job).log
                reason = f"failed: {failed[0].reason} (log: {log})"
        elif folder != out:
            write_text(folder / job.outputs[0], (out / job.outputs[0]).read_text(encoding="utf-8"))
        cells.append(ExpectedCell(**job.cell, reason=reason))
    write_expected(folder, plan.suite, plan.size, plan.title, plan.baseline, plan.rows, plan.protocols, cells)
    return sum(bool(cell.reason) for cell in cells)


def _chain(plan: Plan, job_id: str, producers: dict[str, str]) -> list[str]:
    """The job and what it needs, causes first."""
    before = [producers[name] for name in plan.job(job_id).inputs if name in producers]
    return [name for parent in before for name in _chain(plan, parent, producers)] + [job_id]
