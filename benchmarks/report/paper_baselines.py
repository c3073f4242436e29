"""Differences to the matched baseline, and which value of a column is the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.records.record import Record
from benchmarks.report.measured import compared, with_best
from benchmarks.report.paper_result import PaperResult
from benchmarks.report.table import Measured, Row
from benchmarks.statistics.summary import Summary

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
        evaluated = [place for place, row in enumerate(result.rows) if not row.is_reference]
        for column in range(len(group.columns)):
            for place, cell in with_best({place: cells[place][column] for place in evaluated}).items():
                cells[place][column] = cell
        groups.append(replace(group, cells=cells))
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


def _against(cell: Measured, base: Measured, by_hash: Mapping[str, Record]) -> tuple[Measured, bool]:
    """``cell`` with its difference to ``base``, and whether the two are matched (True where there is none to take)."""
    if cell.summary is None or base.summary is None:
        return cell, True
    if _budget(cell, by_hash) != _budget(base, by_hash):
        return cell, False
    return compared(cell, base), True


def _budget(cell: Measured, by_hash: Mapping[str, Record]) -> set[tuple[str, int]]:
    """Pretraining data and epochs of the records behind a cell."""
    backbones = [by_hash[name].backbone for name in cell.records if name in by_hash]
    return {(backbone.dataset_fingerprint or backbone.dataset, backbone.epochs) for backbone in backbones}


def _as_gain(cell: Measured, row: Row) -> Measured:
    """In a table of gains a method's cell says its gain; a baseline's and a further row's value stays what it is."""
    if not row.baseline or cell.summary is None:
        return cell
    if cell.delta is None:
        return replace(cell, state="missing", summary=None, reasons=("no matched baseline was measured",))
    return replace(cell, summary=Summary(cell.delta, cell.delta_spread, cell.summary.n))
