"""The leaderboard's tables, measured and published, with what its script sorts and filters by.

Published values stand in tables of their own, one a source, and never in a measured column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.published.layout import load_methods
from benchmarks.published.values import CONTEXT_FILE, PUBLISHED, PublishedValue
from benchmarks.records.record import Record
from benchmarks.report.escaping import clip, visible
from benchmarks.report.how_to_read import general_notes
from benchmarks.report.metrics import kind_of, metric_label
from benchmarks.report.table import Cell, Column, Footnotes, Measured, Row, SuiteTable, Table, by_data
from benchmarks.statistics.ranks import Rank, rank_intervals

MAX_TEXT = 2000
_FINGERPRINT_DIGITS = 8
MOST_GROUPS = 3
"""Data sets that have pictures; the tables show all."""
_DATA_BY_TASK = {
    "coco": "COCO",
    "voc07": "VOC 2007",
    "voc12": "VOC 2012",
    "voc0712": "VOC 2007+2012",
    "cityscapes": "Cityscapes",
    "imagenet": "ImageNet",
}
_RANK = "rank of the mean, and its 95 % interval over resamples of the seeds"
Panel = tuple[SuiteTable, int]
"""A table, and the place of one of its columns."""


@dataclass(frozen=True)
class Section:
    """A table of the page, what its filters know it by, and the words by which a row is searched.

    Attributes:
        name: of its anchor.
        suite: the table of records that a measured one is made of; None of a published one.
        fingerprint: see :func:`distinguishing_fingerprints`.
    """

    name: str
    table: Table
    kinds: list[str]
    data: list[str]
    searched: list[str]
    size: str = ""
    suite: SuiteTable | None = None
    fingerprint: str = ""


def measured_sections(tables: Sequence[SuiteTable], records: Sequence[Record]) -> list[Section]:
    """One a table."""
    by_hash = {record.content_hash: record for record in records}
    return [
        _measured(table, by_hash, mark) for table, mark in zip(tables, distinguishing_fingerprints(tables), strict=True)
    ]


def distinguishing_fingerprints(tables: Sequence[SuiteTable]) -> list[str]:
    """Of each table the start of its data's fingerprint, where other data have the same name and size; else ""."""
    named = Counter((name, size) for name, size, _ in {(t.data, t.size, t.fingerprint) for t in tables})
    return [t.fingerprint[:_FINGERPRINT_DIGITS] if named[t.data, t.size] > 1 else "" for t in tables]


def _measured(table: SuiteTable, records: Mapping[str, Record], fingerprint: str) -> Section:
    """The table with what each backbone is, and behind each main metric, in place of its difference, its rank."""
    ranks = column_ranks(table)
    head = [Column("Backbone", is_text=True), Column("Architecture", is_text=True, role="meta")]
    head.append(Column("Epochs", role="meta"))
    for place in table.measured_columns:
        head.append(table.columns[place])
        if place in ranks:
            column = table.columns[place]
            head.append(Column("Rank", column.group, setting=column.setting, role="rank", note=_RANK))
    rows = []
    for number, row in enumerate(table.rows):
        known = None if row.is_reference else next((records[one] for one in row.records if one in records), None)
        architecture = visible(clip(known.backbone.architecture)) if known else ""
        epochs = known.backbone.epochs if known else 0
        cells = [Cell(row.label, row.label), Cell(architecture or "–", architecture)]
        cells.append(Cell(str(epochs or "–"), epochs or None))
        for place in table.measured_columns:
            cells.append(row.cells[place])
            if place in ranks:
                cells.append(Cell(value=ranks[place].get(number)))
        rows.append(replace(row, cells=tuple(cells), architecture=architecture, epochs=epochs))
    notes = tuple(clip(note, MAX_TEXT) for note in [*table.notes, *general_notes([table])])
    return Section(
        name=table.name,
        table=Table(table.title, tuple(head), tuple(rows), notes),
        kinds=[table.kind.name],
        data=[visible(table.data)],
        searched=[f"{row.label} {row.method} {row.architecture}" for row in rows],
        size=visible(table.size),
        suite=table,
        fingerprint=fingerprint,
    )


def published_sections(values: Sequence[PublishedValue]) -> list[Section]:
    """One a table or figure of a source, in the order of the values: methods x metrics."""
    by_table: dict[str, list[PublishedValue]] = {}
    for value in values:
        by_table.setdefault(value.table, []).append(value)
    return [_published(name, mine) for name, mine in by_table.items()]


def _published(name: str, values: Sequence[PublishedValue]) -> Section:
    source = values[0].source
    columns = list(dict.fromkeys((value.protocol, value.metric) for value in values))
    is_one = len({protocol for protocol, _ in columns}) == 1
    head = [Column("Method", is_text=True), Column("Pretrained on", is_text=True), Column("Epochs")]
    for protocol, metric in columns:
        prefix = "" if is_one else f"{protocol.replace('_', ' ')}: "
        head.append(Column(prefix + metric_label(metric), note=protocol))
    head.append(Column("Origin", is_text=True))
    footnotes = Footnotes()
    for value in values:
        footnotes.mark(value.notes)
    rows: dict[tuple[object, ...], list[PublishedValue]] = {}
    for value in values:
        rows.setdefault((value.method, value.pretrain_data, value.pretrain_epochs), []).append(value)
    architecture = "" if name in _tables_of_context() else load_methods().architecture
    table = Table(
        title=source,
        columns=tuple(head),
        rows=tuple(_published_row(mine, columns, architecture, footnotes) for mine in rows.values()),
        notes=tuple(footnotes.texts),
    )
    return Section(
        name=f"published-{name}",
        table=table,
        kinds=list(dict.fromkeys(kind_of(value.metric) for value in values)),
        data=list(dict.fromkeys(_data(value.task) for value in values)),
        searched=[f"{row.label} {row.data} {source}" for row in table.rows],
    )


def _published_row(
    values: Sequence[PublishedValue], columns: Sequence[tuple[str, str]], architecture: str, footnotes: Footnotes
) -> Row:
    first = values[0]
    found = {(value.protocol, value.metric): value.value for value in values}
    marks = footnotes.mark([note for value in values for note in value.notes])
    epochs = first.pretrain_epochs
    cells = [Cell(first.method, first.method, marks=marks), Cell(first.pretrain_data or "–", first.pretrain_data)]
    cells.append(Cell("?" if epochs is None else str(epochs), epochs))
    cells += [Cell(str(found.get(column, "–")), found.get(column)) for column in columns]
    cells.append(Cell(first.origin, first.origin, note=first.origin_basis))
    return Row(first.method, tuple(cells), origin="published", data=first.pretrain_data, epochs=epochs,
               architecture=architecture)  # fmt: skip


def _data(task: str) -> str:
    first = task.split("_")[0]
    return _DATA_BY_TASK.get(first, first)


def _tables_of_context() -> set[str]:
    """Tables of other sources, whose architecture is not stored."""
    lines = (PUBLISHED / CONTEXT_FILE).read_text(encoding="utf-8").splitlines()[1:]
    return {line.split(",")[0] for line in lines}


def panel_groups(tables: Sequence[SuiteTable]) -> list[tuple[str, list[Panel]]]:
    """The columns that a picture shows together, those of one data set and size, and what its file's name ends in."""
    panels = {table.name: _panels(table) for table in tables}
    groups = by_data([table for table in tables if panels[table.name]])[:MOST_GROUPS]
    return [(suffix, [panel for table in group for panel in panels[table.name]]) for suffix, group in groups]


def _panels(table: SuiteTable) -> list[Panel]:
    return [(table, place) for place in table.main_columns if any(row.measured(place).summary for row in table.rows)]


def column_ranks(table: SuiteTable) -> dict[int, dict[int, Rank]]:
    """Of every main column: number of the row -> rank among the backbones (references do not take part).

    A column that cannot tell ranks nobody.
    """
    ranks = {}
    for place in (place for place in table.main_columns if not table.columns[place].warning):
        evaluated = [n for n, row in enumerate(table.rows) if not row.is_reference and row.measured(place).summary]
        found = rank_intervals([table.rows[n].measured(place).values for n in evaluated])
        ranks[place] = dict(zip(evaluated, found, strict=True))
    return ranks


def script_data(sections: Sequence[Section]) -> dict[str, Any]:
    """What the page's script sorts and filters by: rows and values in the order of the page's tables.

    Lists throughout: no text of a record becomes a key.
    """
    return {
        "tables": [
            {
                "kinds": each.kinds,
                "data": each.data,
                "size": each.size,
                "rows": [
                    {
                        "sort": [_sorted_by(cell) for cell in row.cells],
                        "origin": row.origin,
                        "architecture": row.architecture,
                        "epochs": row.epochs or 0,
                        "text": text,
                    }
                    for row, text in zip(each.table.rows, each.searched, strict=True)
                ],
            }
            for each in sections
        ]
    }


def _sorted_by(cell: Cell) -> Any:
    if isinstance(cell.value, Measured):
        return None if cell.value.summary is None else cell.value.summary.mean
    return cell.value.place if isinstance(cell.value, Rank) else cell.value


@dataclass(frozen=True)
class Choices:
    """What the filters offer."""

    kinds: list[tuple[str, str]]
    data: list[str]
    architectures: list[str]
    epochs: list[int]
    sizes: list[str]


def choices(sections: Sequence[Section], kinds: Mapping[str, str]) -> Choices:
    """Every value that some row has, in order; at most 200 of each."""
    known = {kind for each in sections for kind in each.kinds}
    rows = [row for each in sections for row in each.table.rows]
    return Choices(
        kinds=[(name, title) for name, title in kinds.items() if name in known],
        data=list(dict.fromkeys(name for each in sections for name in each.data))[:200],
        architectures=sorted({row.architecture for row in rows} - {""})[:200],
        epochs=sorted({row.epochs or 0 for row in rows} - {0})[:200],
        sizes=sorted({each.size for each in sections} - {""})[:200],
    )
