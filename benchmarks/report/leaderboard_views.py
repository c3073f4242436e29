"""Tables as the leaderboard's template and script want them: rows with what filters ask for, cells with ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records.record import Record
from benchmarks.report.escaping import visible
from benchmarks.report.leaderboard_published import PublishedView
from benchmarks.report.ranks import Rank, rank_intervals
from benchmarks.report.render import general_notes, own_notes, value_text
from benchmarks.report.table_parts import Row, Table, clip

MAX_TEXT = 2000
_FINGERPRINT_DIGITS = 8
MOST_GROUPS = 3
"""Data sets that have pictures; the tables show all."""
Panel = tuple[Table, int]
"""A table, and the number of one of its columns."""


@dataclass(frozen=True)
class RowView:
    """A row, what it was pretrained with, and its rank by column (primary columns only, references have none)."""

    row: Row
    architecture: str
    epochs: int
    ranks: dict[int, Rank]


@dataclass(frozen=True)
class TableView:
    """A table with what the page's head and foot need.

    Attributes:
        groups: (protocol, columns it spans).
        fingerprint: see :func:`told_apart`.
    """

    table: Table
    rows: list[RowView]
    groups: list[tuple[str, int]]
    notes: list[str]
    fingerprint: str


def table_views(tables: Sequence[Table], records: Sequence[Record]) -> list[TableView]:
    """One view a table."""
    by_hash = {record.content_hash: record for record in records}
    return [_view(table, by_hash, mark) for table, mark in zip(tables, told_apart(tables), strict=True)]


def told_apart(tables: Sequence[Table]) -> list[str]:
    """Of each table the start of its data's fingerprint, where other data have the same name and size; else ""."""
    named = Counter((name, size) for name, size, _ in {(t.data, t.size, t.fingerprint) for t in tables})
    return [t.fingerprint[:_FINGERPRINT_DIGITS] if named[t.data, t.size] > 1 else "" for t in tables]


def _view(table: Table, records: Mapping[str, Record], fingerprint: str) -> TableView:
    ranks = column_ranks(table)
    rows = [
        _row_view(row, {i: of[n] for i, of in ranks.items() if n in of}, records) for n, row in enumerate(table.rows)
    ]
    groups: list[tuple[str, int]] = []
    for column in table.columns:
        span = 2 if column.primary else 1  # a primary metric is followed by its rank
        if groups and groups[-1][0] == column.title:
            groups[-1] = (column.title, groups[-1][1] + span)
        else:
            groups.append((column.title, span))
    marks: dict[str, int] = {}
    for row in table.rows:
        for cell in row.cells:
            value_text(cell, marks)
    notes = own_notes(table, marks) + general_notes([table])
    return TableView(table, rows, groups, [clip(note, MAX_TEXT) for note in notes], fingerprint)


def panel_groups(tables: Sequence[Table]) -> list[tuple[str, list[Panel]]]:
    """The columns that a picture shows together, those of one data set and size, and what its file's name ends in."""
    groups: dict[tuple[str, str, str], list[Panel]] = {}
    for table in tables:
        for index, column in enumerate(table.columns):
            if column.primary and any(row.cells[index].summary for row in table.rows):
                groups.setdefault((table.data, table.fingerprint, table.size), []).append((table, index))
    shown = list(groups.values())[:MOST_GROUPS]
    return [("" if number == 1 else f"-{number}", panels) for number, panels in enumerate(shown, start=1)]


def column_ranks(table: Table) -> dict[int, dict[int, Rank]]:
    """Of every primary column: number of the row -> rank among the backbones (references do not take part)."""
    ranks = {}
    for index, column in enumerate(table.columns):
        if column.primary:
            judged = [n for n, row in enumerate(table.rows) if not row.is_reference and row.cells[index].summary]
            found = rank_intervals([table.rows[n].cells[index].values for n in judged])
            ranks[index] = dict(zip(judged, found, strict=True))
    return ranks


def _row_view(row: Row, ranks: dict[int, Rank], records: Mapping[str, Record]) -> RowView:
    known = next((records[name] for cell in row.cells for name in cell.records if name in records), None)
    if known is None or row.is_reference:
        return RowView(row, "", 0, ranks)
    return RowView(row, visible(clip(known.backbone.architecture)), known.backbone.epochs, ranks)


def script_data(tables: Sequence[TableView], published: Sequence[PublishedView]) -> dict[str, Any]:
    """What the page's script sorts and filters by: rows and values in the order of the page's tables.

    Lists throughout: no text of a record becomes a key.
    """
    return {"tables": [_measured(view) for view in tables] + [_published(view) for view in published]}


def _measured(view: TableView) -> dict[str, Any]:
    rows = []
    for each in view.rows:
        sort: list[Any] = [each.row.label, each.architecture, each.epochs or None]
        for index, cell in enumerate(each.row.cells):
            sort.append(None if cell.summary is None else cell.summary.mean)
            if view.table.columns[index].primary:
                sort.append(each.ranks[index].place if index in each.ranks else None)
        rows.append(
            {
                "sort": sort,
                "origin": "reference" if each.row.is_reference else each.row.origin,
                "architecture": each.architecture,
                "epochs": each.epochs,
                "text": f"{each.row.label} {each.row.method} {each.architecture}",
            }
        )
    table = view.table
    return {"kinds": [table.kind.name], "data": [visible(table.data)], "size": visible(table.size), "rows": rows}


def _published(view: PublishedView) -> dict[str, Any]:
    rows = [
        {
            "sort": [
                row.first.method,
                row.first.pretrain_data,
                row.first.pretrain_epochs,
                *row.values,
                row.first.origin,
            ],
            "origin": "published",
            "architecture": view.architecture,
            "epochs": row.first.pretrain_epochs or 0,
            "text": f"{row.first.method} {row.first.pretrain_data} {view.source}",
        }
        for row in view.rows
    ]
    return {"kinds": view.kinds, "data": view.data, "size": "", "rows": rows}


@dataclass(frozen=True)
class Choices:
    """What the filters offer."""

    kinds: list[tuple[str, str]]
    data: list[str]
    architectures: list[str]
    epochs: list[int]
    sizes: list[str]


def choices(tables: Sequence[TableView], published: Sequence[PublishedView], kinds: Mapping[str, str]) -> Choices:
    """Every value that some row has, in order; at most 200 of each."""
    known = {view.table.kind.name for view in tables} | {kind for view in published for kind in view.kinds}
    rows = [row for view in tables for row in view.rows]
    epochs = {row.epochs for row in rows} | {row.first.pretrain_epochs or 0 for view in published for row in view.rows}
    data = [visible(view.table.data) for view in tables] + [name for view in published for name in view.data]
    architectures = {row.architecture for row in rows} | {view.architecture for view in published}
    return Choices(
        kinds=[(name, title) for name, title in kinds.items() if name in known],
        data=list(dict.fromkeys(data))[:200],
        architectures=sorted(architectures - {""})[:200],
        epochs=sorted(epochs - {0})[:200],
        sizes=sorted({visible(view.table.size) for view in tables} - {""})[:200],
    )
