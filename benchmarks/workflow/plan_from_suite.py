"""From a suite to a plan: every recipe and protocol resolved, every job laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.protocols.protocol import Protocol, load_protocol
from benchmarks.suites.data_places import DataPlace, place_of
from benchmarks.suites.source import Source
from benchmarks.suites.suite import (
    SCENE_TYPE_ORACLE,
    BackboneRow,
    CheckpointRow,
    ProtocolColumn,
    Suite,
)
from benchmarks.workflow.costs import estimated_gpu_hours
from benchmarks.workflow.plan import SUITE_FILE, Job, Plan, check_acyclic, each_once, with_priorities
from benchmarks.workflow.planned_data import PlannedData, dataset_of, log_of, planned_data, slug
from pretrain.recipes.recipe import Recipe, load_recipe
from scenebench.config import config_hash, override
from scenebench.errors import UserError

Entry = TypeVar("Entry", BackboneRow, ProtocolColumn)
_REFERENCE_SEED = 0
_REFERENCE_LABELS = {
    "scene_type_oracle": "scene-type oracle",
    "colour_histogram": "colour-histogram probe",
    "box_shape": "box-shape probe",
    "chance": "chance, no picture seen",
}


def build_plan(suite: Suite, source: Source, shared: bool = False) -> Plan:
    """Resolve every recipe and protocol of ``suite`` and lay out its jobs.

    Args:
        shared: other suites may need the same evaluations. Then a cell's identity knows neither suite nor label, and
            its record is filed under each of them when the tables are made (:mod:`.filing`).

    Raises:
        UserError: unknown recipe, protocol, key or value, or a recipe that learns from labels in a row without them.
    """
    data = planned_data(source)
    columns = resolve_columns(suite, source)
    of_suite = _OfSuite("", "", suite.size) if shared else _OfSuite("given", suite.name, suite.size)
    jobs = [data.job] if data.job else []
    pictures: dict[str, str] = {}
    rows = {row.label: _for_source(row, source) for row in suite.backbones}
    for row in rows.values():
        for seed in row.seeds:
            if isinstance(row, CheckpointRow):
                subject = row.file
            else:
                pretraining = replace(_pretrain_job(row, seed, data, rows), wanted=bool(suite.pictures))
                jobs.append(pretraining)
                subject = pretraining.outputs[0]
                shown = slug(row.label) + (f"-s{seed}" if len(row.seeds) > 1 else "")
                pictures |= {f"{shown}-{name}": f"{pretraining.id}/figures/{name}" for name in suite.pictures}
            for column, protocol in columns:
                for run in seeds_of_runs(row, seed, column, protocol):
                    jobs.append(_evaluate_job(of_suite, column, protocol, data, row.label, run, subject))
    mandatory = [name for _, protocol in columns for name in protocol.MANDATORY_REFERENCES]
    wanted = dict.fromkeys([*suite.references, *mandatory])
    references = [name for name in wanted if source.scene_types or name != SCENE_TYPE_ORACLE]
    for name in references:
        for column, protocol in columns:
            if name in protocol.references:
                label, subject = reference_label(name), f"reference:{name}"
                jobs.append(_evaluate_job(of_suite, column, protocol, data, label, _REFERENCE_SEED, subject))
    unique = each_once(jobs)  # two rows may share a pretraining
    check_acyclic(unique, f"suite {suite.name}")
    return Plan(
        suite=suite.name,
        size=suite.size,
        title=f"{suite.name} on {source.name}" if source.is_users else suite.title,
        baseline=suite.baseline,
        rows=[row.label for row in suite.backbones] + [reference_label(name) for name in references],
        protocols=[protocol.id for _, protocol in columns],
        jobs=with_priorities(unique),
        values=suite.resolved,
        pictures=pictures,
    )


def seeds_of_runs(row: BackboneRow, seed: int, column: ProtocolColumn, protocol: Protocol) -> list[int]:
    """The seeds by which the backbone of one pretraining seed is evaluated.

    Its own; and the row's first backbone by the seeds of further runs that the protocol asks for, where it asks for
    more than there are pretrainings. A column's own ``seeds`` come first.
    """
    if column.seeds is not None:
        return [seed] if seed in column.seeds else []
    further = [run for run in protocol.seeds if run not in row.seeds] if seed == row.seeds[0] else []
    return [seed, *further[: max(0, len(protocol.seeds) - len(row.seeds))]]


def resolve_columns(suite: Suite, source: Source) -> list[tuple[ProtocolColumn, Protocol]]:
    """The protocols of a suite with what holds for this data; on the user's own in the suite's order for it."""
    columns = [
        (column, load_protocol(column.protocol, column.overrides, suite.size))
        for column in (_for_source(column, source) for column in suite.protocols)
    ]
    first = suite.user_data_order if source.is_users else []
    places = {name: place for place, name in enumerate(first)}
    return sorted(columns, key=lambda column: places.get(column[1].id, len(first)))


def data_places(suite: Suite, source: Source) -> list[DataPlace]:
    """The published data sets that a suite reads, each once; empty where its data are made or the user's own."""
    if not source.folder:
        return []
    names = [suite.pretrain_data, *(dataset_of(protocol) for _, protocol in resolve_columns(suite, source))]
    return [place_of(name, source.folder) for name in dict.fromkeys(filter(None, names))]


def _for_source(entry: Entry, source: Source) -> Entry:
    """A row or column of the suite with the overrides that hold for this data."""
    if source.scene_types:  # generated
        return entry
    return replace(entry, overrides=[*entry.overrides, *entry.user_data_overrides])


def reference_label(name: str) -> str:
    """How a reference row is called in the tables."""
    return _REFERENCE_LABELS.get(name, name.replace("_", " "))


def _pretrain_job(row: BackboneRow, seed: int, data: PlannedData, rows: Mapping[str, BackboneRow]) -> Job:
    """``rows``, by label, are those that this one may fork from."""
    recipe, overrides = _recipe_of(row, seed, data)
    _check_labels(row, recipe)
    if row.labels:
        overrides.append(f"data.annotations={data.annotations}")
    start = _start_of(row, seed, recipe, data, rows)
    if start is not None:
        overrides.append(override("init_from", start.id))
    what = recipe.identity()
    # Within a workflow a path names the data; a published data set is the same wherever it lies.
    places = recipe.places() if data.job else {**recipe.places(), "root": data.id}
    known = {"recipe": {**what, "data": {**what.get("data", {}), **places}}, "data": data.identity}
    if start is not None:
        known["init_from"] = start.id  # its identity is in it
    identity = config_hash(known)
    folder = f"cells/pretrain/{slug(recipe.name)}-s{seed}-{identity[:8]}"
    return Job(
        id=folder,
        kind="pretrain",
        label=f"pretrain {row.label}, seed {seed}" + (f", from {row.init_from}" if start is not None else ""),
        command=["scenebench", "pretrain", row.recipe, *overrides, "--out", folder],
        inputs=[*data.inputs, *(start.outputs if start is not None else [])],
        outputs=[f"{folder}/backbone.safetensors"],
        log=log_of(folder),
        **_cost(row, recipe),
    )


def _recipe_of(row: BackboneRow, seed: int, data: PlannedData) -> tuple[Recipe, list[str]]:
    """The recipe of one pretraining, and what is changed in it; the annotations, beside, for whoever reads labels."""
    overrides = [*row.overrides, f"seed={seed}", f"data.root={data.images}"]
    # No part of its identity where labels are not read.
    return load_recipe(row.recipe, [*overrides, f"data.annotations={data.annotations}"]), overrides


def _start_of(
    row: BackboneRow, seed: int, recipe: Recipe, data: PlannedData, rows: Mapping[str, BackboneRow]
) -> Job | None:
    """The pretraining that this one starts from; None from scratch."""
    if recipe.init_from and (row.init_from or not recipe.init_hash):
        raise UserError(
            f"backbone '{row.label}': the recipe's init_from names weights of which the plan knows nothing; name a row "
            "by the row's own init_from: LABEL, or add init_hash (a run says it when it starts)"
        )
    if not row.init_from:
        return None
    parent = rows[row.init_from]
    for label, about in ((row.init_from, _recipe_of(parent, seed, data)[0].about), (row.label, recipe.about)):
        if not about.trains:
            raise UserError(
                f"backbone '{row.label}': init_from: '{label}' trains nothing, so nothing is gone on with; remove it"
            )
    return _pretrain_job(parent, seed, data, rows)


def _cost(entry: BackboneRow | ProtocolColumn, recipe: Recipe | None) -> dict[str, Any]:
    """What a job is expected to take: as stated, or, of a pretraining on GPUs, estimated from its recipe."""
    hours = entry.gpu_hours
    if hours is None:
        hours = estimated_gpu_hours(recipe) if entry.gpus and recipe is not None else 0.0
    seconds = hours * 3600 / entry.gpus if entry.gpus and hours else entry.seconds
    return {"seconds": seconds, "gpus": entry.gpus, "gpu_hours": hours, "disk_mb": entry.disk_mb}


def _check_labels(row: BackboneRow, recipe: Recipe) -> None:
    if recipe.reads_labels() and not row.labels:
        raise UserError(
            f"backbone '{row.label}': the recipe learns from labels, which a suite gives only where it is told to; "
            "add 'labels: true' to the row"
        )


@dataclass(frozen=True)
class _OfSuite:
    """What a record says of its suite; ``label``: "" where rows are named when the record is filed."""

    label: str
    name: str
    size: str


def _evaluate_job(
    suite: _OfSuite, column: ProtocolColumn, protocol: Protocol, data: PlannedData, label: str, seed: int, subject: str
) -> Job:
    """``subject`` is the backbone file, or ``reference:NAME``."""
    is_reference = subject.startswith("reference:")
    inputs = [*data.inputs, *([] if is_reference else [subject])]
    identity = config_hash(
        {
            "protocol": protocol.hash,
            "inputs": [data.id, subject],  # their identities are in their paths
            "seed": seed,
            # the record repeats them
            "names": [label, suite.name, suite.size] if suite.name else [suite.size],
        }
    )
    row = f"{slug(label)}-s{seed}-{slug(protocol.id)}"
    evaluated = subject.removeprefix("reference:") if is_reference else Path(subject).parent.name.rpartition("-s")[0]
    folder = f"cells/evaluate/{row if suite.name else f'{slug(evaluated)}-s{seed}-{slug(protocol.id)}'}-{identity[:8]}"
    command = ["scenebench", "evaluate", subject, "--protocol", column.protocol]
    command += ["--data", data.root_for(protocol), "--seed", str(seed)]
    command += ["--out", folder, "--size", suite.size]
    if suite.name:
        command += ["--label", label, "--suite", suite.name, "--suite-file", SUITE_FILE]
    command += column.overrides
    record = f"{folder}/record.json"
    return Job(
        id=folder,
        kind="evaluate",
        label=f"evaluate {label}{'' if is_reference else f', seed {seed}'}, {protocol.id}",
        command=command,
        inputs=inputs,
        outputs=[record],
        log=log_of(folder),
        **_cost(column, None),
        cell={
            "label": label,
            "protocol": protocol.id,
            "task": protocol.task,
            "metrics": list(protocol.metrics),
            "seed": seed,
            "is_reference": is_reference,
            "record": record if suite.name else f"records/{row}-{identity[:8]}/record.json",
        },
    )
