"""``scenebench run``: plan, run what is missing, collect, print."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.evaluation.toolboxes import require_toolbox
from benchmarks.suites.data_places import require_complete
from benchmarks.suites.source import Source
from benchmarks.workflow.damage import set_aside
from benchmarks.workflow.engine import Outcome, execute
from benchmarks.workflow.engine_options import EngineOptions, with_gpus
from benchmarks.workflow.job import refusal
from benchmarks.workflow.plan import PLAN_FILE, SUITE_FILE, Plan
from benchmarks.workflow.slurm import check_cluster
from benchmarks.workflow.status_page import write_page
from benchmarks.workflow.work import Work, prepare
from scenebench.errors import UserError
from scenebench.files import write_text
from scenebench.locking import only_process

RUN_FILE = "run.json"
FORMAT_VERSION = 1
"""Of a results folder: how its cells are laid out."""
_LOCK_SECONDS = 5.0  # the engine of a killed front end needs a moment to notice


def run_suite(
    suite_name: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    out: Path | str = "results",
    options: EngineOptions | None = None,
    size: str = "",
    *,
    report: Callable[[Work, Path], int],
) -> int:
    """Run every job of a suite that is not done yet, then ``report`` on it.

    Args:
        suite_name: a suite's or a group's name, or the path of a YAML file.
        data: the user's folder of images (None: the generated scenes), or the folder that holds published data sets.
        annotations: COCO instances JSON of ``data``; ``test_annotations``: of its test images, if they are apart.
        out: the results folder. Called again on the same folder, finished jobs are kept.
        options: where and on how much the jobs run.
        size: ``paper``, ``mini`` or ``demo`` (``sizes.yaml``); empty: the suite of that very name.
        report: writes and prints what the records say, and returns the exit code; see :func:`run_work`.

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
    return run_work(work, Path(out).resolve(), options, report)


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
        UserError: data or a toolbox is missing, the data job refused its input (its line; a folder that was made for it
            goes again), or ``out`` belongs to other results or is in use.
    """
    require_complete(work.places)
    for protocol in work.protocols:
        require_toolbox(protocol)
    is_new = not out.exists()
    _claim(out, work.name, work.source)
    busy = "another 'scenebench run' is at work there"
    with only_process(out, patience=_LOCK_SECONDS, busy=busy) as lock, _taken_back(out, is_new):
        if before is not None:
            before(out)
        plan = with_gpus(work.plan, options)
        plan.write(out / PLAN_FILE)
        if len(work.plans) == 1:
            write_text(out / SUITE_FILE, json.dumps(work.plans[0].values, indent=1) + "\n")
        outcome = run_plan(plan, out, options, lock)
        _require_data(plan, out, outcome)
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
    from benchmarks.workflow.plan_text import preview_lines

    work = prepare(suite_name, data, annotations, test_annotations, size)
    out = Path(out).resolve()
    options = options or EngineOptions()
    here = options.slots > 0 or options.on_cluster  # else for another machine: what the suite asks for
    print("\n".join(preview_lines(work, with_gpus(work.plan, options) if here else work.plan, out)))
    try:
        print(f"graph: {draw_graph(work, out, out.with_name(f'{out.name}-plan.png'))}")
    except UserError as error:  # the plan was asked for, and is said
        print(f"graph: not drawn ({error})")
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


class _BadData(UserError):
    """The data job has refused its input."""


def _require_data(plan: Plan, out: Path, outcome: Outcome) -> None:
    """Where the data job refused its input there is nothing to report: its line is the outcome.

    Raises:
        UserError: with that line.
    """
    for job in plan.jobs:
        if job.kind == "data" and job.id in outcome.failed and (line := refusal(out / job.log)):
            raise _BadData(line)


@contextmanager
def _taken_back(out: Path, is_new: bool) -> Iterator[None]:
    """Remove a results folder that this call has made, where bad data left nothing in it."""
    try:
        yield
    except _BadData:
        if is_new:
            shutil.rmtree(out, ignore_errors=True)
        raise


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
