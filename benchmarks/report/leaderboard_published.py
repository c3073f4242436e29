"""Published values as the leaderboard shows them: tables of their own, one a source, never a measured column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.published.layout import load_methods
from benchmarks.published.values import CONTEXT_FILE, PUBLISHED, PublishedValue
from benchmarks.report.table_parts import METRIC_NAMES

_KIND_BY_METRIC = {"box_AP": "detection", "mask_AP": "instance_segmentation", "mIoU": "semantic_segmentation"}
_DATA_BY_TASK = {
    "coco": "COCO",
    "voc07": "VOC 2007",
    "voc12": "VOC 2012",
    "voc0712": "VOC 2007+2012",
    "cityscapes": "Cityscapes",
    "imagenet": "ImageNet",
}


@dataclass
class PublishedRow:
    """One method of one source; ``values`` are by column, ``notes`` are numbers of the table's notes."""

    first: PublishedValue
    values: list[float | None]
    notes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class PublishedView:
    """One table or figure of one source: methods x metrics. ``kinds`` and ``data`` are what the filters know it by."""

    name: str
    source: str
    kinds: list[str]
    data: list[str]
    architecture: str
    columns: list[tuple[str, str]]
    rows: list[PublishedRow]
    notes: list[str]


def published_views(values: Sequence[PublishedValue]) -> list[PublishedView]:
    """All of them, in the order of the values."""
    by_table: dict[str, list[PublishedValue]] = {}
    for value in values:
        by_table.setdefault(value.table, []).append(value)
    return [_view(name, mine) for name, mine in by_table.items()]


def _view(name: str, values: Sequence[PublishedValue]) -> PublishedView:
    columns = list(dict.fromkeys((value.protocol, value.metric) for value in values))
    notes = list(dict.fromkeys(note for value in values for note in value.notes))
    rows: dict[tuple[object, ...], PublishedRow] = {}
    for value in values:
        key = (value.method, value.pretrain_data, value.pretrain_epochs)
        row = rows.setdefault(key, PublishedRow(value, [None] * len(columns)))
        row.values[columns.index((value.protocol, value.metric))] = value.value
        row.notes += [number for note in value.notes if (number := notes.index(note) + 1) not in row.notes]
    return PublishedView(
        name=name,
        source=values[0].source,
        kinds=list(dict.fromkeys(_kind(value.metric) for value in values)),
        data=list(dict.fromkeys(_data(value.task) for value in values)),
        architecture="" if name in _tables_of_context() else load_methods().architecture,
        columns=[(protocol, METRIC_NAMES.get(metric, metric)) for protocol, metric in columns],
        rows=list(rows.values()),
        notes=notes,
    )


def _kind(metric: str) -> str:
    return next((kind for prefix, kind in _KIND_BY_METRIC.items() if metric.startswith(prefix)), "classification")


def _data(task: str) -> str:
    first = task.split("_")[0]
    return _DATA_BY_TASK.get(first, first)


def _tables_of_context() -> set[str]:
    """Tables of other sources, whose architecture is not stored."""
    lines = (PUBLISHED / CONTEXT_FILE).read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(",")[0] for line in lines}
