"""From a finished run to what is kept of it under ``results/``: records, diagnostics and what the run has cost.

A record is kept as it is, a line in ``records/NAME.jsonl``. Weights, logs and data stay where they are. What is kept
lies under the suite's name; a run of the same suite on other data needs a name of its own. What was kept before stays,
unless this run is said to take its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.records.adding import Admitted, admit_all, refuse_repeats, store_files, writing_to
from benchmarks.records.store import SUFFIX
from benchmarks.report.kept_diagnostics import kept_texts, read_kept
from benchmarks.workflow.events import FINISHED, EventLog
from benchmarks.workflow.plan import PLAN_FILE, Plan, read_plan
from scenebench.errors import UserError
from scenebench.files import replace_all

RECORDS, DIAGNOSTICS, COSTS = "records", "diagnostics", "costs"
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)


def publish(run: Path, results: Path, name: str = "", replace: bool = False) -> list[Path]:
    """Keep what is kept of the run under ``name`` (default: its suite's), beside what was kept there before.

    Args:
        replace: what was kept there before goes.

    Returns:
        The files written; all of them, or none.

    Raises:
        UserError: not a folder of ``scenebench run``, no record yet, a damaged one, ``name`` is no plain name, or what
            was kept under it is of other data or says otherwise of the same cell.
    """
    if name and not _NAME.fullmatch(name):
        raise UserError(f"--name '{name}': letters, digits, '_' and '-', as in mini_photos")
    if not (run / PLAN_FILE).is_file():
        raise UserError(f"{run}: holds no results of 'scenebench run' ({PLAN_FILE} is missing); name its --out")
    plan = read_plan(run / PLAN_FILE)
    found = [run / job.outputs[0] for job in plan.jobs if job.kind == "evaluate" and (run / job.outputs[0]).is_file()]
    if not found:
        raise UserError(f"{run}: holds no record yet; run 'scenebench run {plan.suite} --out {run}' first")
    records = [one for path in found for one in admit_all(path)]
    name = name or plan.suite
    with writing_to(results / RECORDS):
        texts = _records(records, results / RECORDS / name, replace)
        texts |= _diagnostics(run, plan, results / DIAGNOSTICS / name, replace)
        texts[results / COSTS / f"{name}.json"] = json.dumps(run_cost(run), indent=1, sort_keys=True) + "\n"
        replace_all(texts)
    return list(texts)


def _records(new: Sequence[Admitted], place: Path, replace: bool) -> dict[Path, str]:
    """The store of the kept records and the new ones."""
    if place.is_dir():
        raise UserError(
            f"{place}: holds one file a record; run 'scenebench records convert {place.parent}', then move it"
        )
    store = place.with_name(f"{place.name}{SUFFIX}")
    kept = admit_all(store) if store.is_file() else []
    data, kept_data = ({one.record.dataset.name for one in each} for each in (new, kept))
    if kept_data - data:
        raise UserError(
            f"{store}: holds records on {', '.join(sorted(kept_data))}, and the run is on "
            f"{', '.join(sorted(data))}; give it a name of its own with --name"
        )
    if replace:
        return store_files(store, new)
    known = {one.record.content_hash for one in kept}
    added = [one for one in new if one.record.content_hash not in known]
    try:
        refuse_repeats(kept, added)
    except UserError as error:
        raise UserError(f"{error}; --replace puts this run in the place of what is kept") from error
    return store_files(store, [*kept, *added])


def _diagnostics(run: Path, plan: Plan, folder: Path, replace: bool) -> dict[Path, str]:
    """The files of the kept diagnostics and the new ones; a run of the same name takes the place of its elder."""
    runs = {} if replace else read_kept(folder)
    for job in plan.jobs:
        if job.kind == "pretrain":
            runs |= {Path(job.id).name: one for one in read_kept(run / job.id / DIAGNOSTICS).values()}
    return kept_texts(folder, runs)


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
