"""Tables as aligned columns of plain text, for a terminal."""

from __future__ import annotations

from benchmarks.report.table import Table


def aligned_lines(table: Table) -> list[str]:
    """The head, if there is one, and one line a row; columns apart by two blanks. Texts must be of one line each."""
    head = [[column.full_name for column in table.columns]] if table.columns else []
    lines = [*head, *([cell.text for cell in row.cells] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
