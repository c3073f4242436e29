"""From a finished run to what is kept of it under ``results/``: records, diagnostics and what the run has cost.

    python -m benchmarks.report.publish RUN_FOLDER... --to results
    python -m benchmarks.report.publish results/mini-photos --to results --name mini_photos

A record is copied as it is. Weights, logs and data stay where they are. What is kept lies under the suite's name; a run
of the same suite on other data needs a name of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.collect import RECORD_FILE
from benchmarks.records.record import read_record
from benchmarks.workflow.events import FINISHED, EventLog
from benchmarks.workflow.plan import PLAN_FILE, read_plan
from scenebench.errors import UserError
from scenebench.exit_codes import exit_code
from scenebench.files import write_text

RECORDS, DIAGNOSTICS, COSTS = "records", "diagnostics", "costs"
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)


def publish(run: Path, results: Path, name: str = "") -> list[Path]:
    """Copy what is kept of the run under ``name`` (default: its suite's); what was kept there before is replaced.

    Returns:
        The files written.

    Raises:
        UserError: not a folder of ``scenebench run``, no record yet, a damaged one, ``name`` is no plain name, or what
            was kept under it is of other data.
    """
    if name and not _NAME.fullmatch(name):
        raise UserError(f"--name '{name}': letters, digits, '_' and '-', as in mini_photos")
    if not (run / PLAN_FILE).is_file():
        raise UserError(f"{run}: holds no results of 'scenebench run' ({PLAN_FILE} is missing); name its --out")
    plan = read_plan(run / PLAN_FILE)
    records = [run / job.outputs[0] for job in plan.jobs if job.kind == "evaluate" and (run / job.outputs[0]).is_file()]
    if not records:
        raise UserError(f"{run}: holds no record yet; run 'scenebench run {plan.suite} --out {run}' first")
    data = {read_record(record).dataset.name for record in records}  # a damaged one is an error
    name = name or plan.suite
    kept_data = {read_record(path).dataset.name for path in (results / RECORDS / name).rglob(RECORD_FILE)}
    if kept_data - data:
        raise UserError(
            f"{results / RECORDS / name}: holds records on {', '.join(sorted(kept_data))}, and {run} is on "
            f"{', '.join(sorted(data))}; give it a name of its own with --name"
        )
    for kept in (results / RECORDS / name, results / DIAGNOSTICS / name):
        shutil.rmtree(kept, ignore_errors=True)
    written = [_copy(path, results / RECORDS / name / path.parent.name / RECORD_FILE) for path in records]
    for job in plan.jobs:
        if job.kind == "pretrain":
            for path in sorted((run / job.id / DIAGNOSTICS).glob("*.*")):
                written.append(_copy(path, results / DIAGNOSTICS / name / Path(job.id).name / path.name))
    cost = results / COSTS / f"{name}.json"
    write_text(cost, json.dumps(run_cost(run), indent=1, sort_keys=True) + "\n")
    return [*written, cost]


def run_cost(run: Path) -> dict[str, float | int | str]:
    """Seconds of all finished jobs by kind; each runs on one core, so these are core-seconds at most.

    A job that was run again counts each time that it finished.
    """
    plan = read_plan(run / PLAN_FILE)
    kinds = {job.id: job.kind for job in plan.jobs}
    seconds = dict.fromkeys(("data", "pretrain", "evaluate"), 0.0)
    jobs = 0
    for event in EventLog(run).read_new():
        if event.state == FINISHED and event.job in kinds:
            seconds[kinds[event.job]] += event.seconds
            jobs += 1
    total = {f"{kind}_seconds": round(value, 1) for kind, value in seconds.items()}
    return {"suite": plan.suite, "jobs": jobs, "core_hours": round(sum(seconds.values()) / 3600, 3), **total}


def _copy(source: Path, target: Path) -> Path:
    write_text(target, source.read_text(encoding="utf-8"))
    return target


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Keep records, diagnostics and costs of finished runs.")
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN_FOLDER", help="results folder of 'scenebench run'")
    parser.add_argument("--to", type=Path, default=Path("results"), metavar="FOLDER", help="(default: results)")
    parser.add_argument("--name", default="", help="keep one run under this name (default: its suite's)")
    arguments = parser.parse_args(argv)

    def command() -> None:
        if arguments.name and len(arguments.run) > 1:
            raise UserError(f"--name {arguments.name}: names one run, {len(arguments.run)} are given")
        for run in arguments.run:
            print(f"{run}: {len(publish(run, arguments.to, arguments.name))} files -> {arguments.to}")

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
