"""Differences to the matched baseline, and which value of a column is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.records.record import Record
from benchmarks.report.paper_parts import Group, PaperResult, ResultRow
from benchmarks.report.statistics import Summary, bootstrap_interval, difference, welch
from benchmarks.report.table_parts import Cell

NOT_MATCHED = "the baseline was pretrained on other data, or for longer or shorter: no difference is taken"


def with_baselines(result: PaperResult, records: Sequence[Record]) -> PaperResult:
    """``result`` with differences to matched baselines in its cells, and the best value of each column marked.

    Where the table's values are gains, a cell's value becomes its difference.
    """
    by_hash = {record.content_hash: record for record in records}
    groups = []
    notes = list(result.notes)
    for group in result.groups:
        cells = [list(line) for line in group.cells]
        for place, row in enumerate(result.rows):
            base = result.row_named(row.baseline, place) if row.baseline else None
            if base is None:
                continue
            for column, cell in enumerate(group.cells[place]):
                changed, is_matched = _against(cell, group.cells[base][column], by_hash)
                cells[place][column] = changed
                if not is_matched and NOT_MATCHED not in notes:
                    notes.append(NOT_MATCHED)
        if result.layout.gains:
            cells = [[_as_gain(cell, row) for cell in line] for line, row in zip(cells, result.rows, strict=True)]
        groups.append(replace(group, cells=_with_best(cells, result.rows)))
    return replace(result, groups=groups, notes=notes)


def published_difference(result: PaperResult, row: int, column: int) -> float | None:
    """Published value minus that of the row's baseline; a published gain is itself one."""
    value = result.published[row][column]
    if value is None or not result.rows[row].baseline:
        return None
    if result.layout.gains:
        return value.value
    base = result.row_named(result.rows[row].baseline, row)
    other = result.published[base][column] if base is not None else None
    return None if other is None else value.value - other.value


def _against(cell: Cell, base: Cell, by_hash: Mapping[str, Record]) -> tuple[Cell, bool]:
    """``cell`` with its difference to ``base``, and whether the two are matched (True where there is none to take)."""
    if cell.summary is None or base.summary is None:
        return cell, True
    if _budget(cell, by_hash) != _budget(base, by_hash):
        return cell, False
    delta, spread = difference(cell.summary, base.summary)
    test = welch(cell.summary, base.summary)
    interval = bootstrap_interval(cell.values, base.values)
    return replace(cell, delta=delta, delta_spread=spread, welch_p=test.p if test else None, interval=interval), True


def _budget(cell: Cell, by_hash: Mapping[str, Record]) -> set[tuple[str, int]]:
    """Pretraining data and epochs of the records behind a cell."""
    backbones = [by_hash[name].backbone for name in cell.records if name in by_hash]
    return {(backbone.dataset_fingerprint or backbone.dataset, backbone.epochs) for backbone in backbones}


def _as_gain(cell: Cell, row: ResultRow) -> Cell:
    """In a table of gains a method's cell says its gain; a baseline's and a further row's value stays what it is."""
    if not row.baseline or cell.summary is None:
        return cell
    if cell.delta is None:
        return replace(cell, state="missing", summary=None, reasons=("no matched baseline was measured",))
    return replace(cell, summary=Summary(cell.delta, cell.delta_spread, cell.summary.n))


def _with_best(cells: list[list[Cell]], rows: Sequence[ResultRow]) -> list[list[Cell]]:
    """The highest mean of each column, among the rows that judge a backbone; nothing where all are equal."""
    marked = [list(line) for line in cells]
    for column in range(len(cells[0]) if cells else 0):
        places = [
            (line[column].summary.mean, place)  # type: ignore[union-attr]
            for place, line in enumerate(cells)
            if line[column].summary is not None and not rows[place].is_reference
        ]
        if len({mean for mean, _ in places}) > 1:
            top = max(mean for mean, _ in places)
            for mean, place in places:
                marked[place][column] = replace(cells[place][column], best=mean == top)
    return marked


def groups_with_differences(result: PaperResult) -> list[Group]:
    """Groups in which some difference to a baseline was measured."""
    return [group for group in result.groups if any(cell.delta is not None for line in group.cells for cell in line)]
