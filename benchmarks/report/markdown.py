"""Tables as Markdown, which is also what the terminal shows.

Not by tabulate or pandas: they pad by the width of a sign on a screen and by two more than a head is long, and know no
cell that is bold or in italics.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.escaping import escape_markdown
from benchmarks.report.table import Cell, Row, Table

_EMPHASIS = {"": "{}", "bold": "**{}**", "code": "`{}`"}


def to_markdown(table: Table, level: int = 3) -> str:
    """Heading, the table with padded columns, and its notes as a list."""
    parts = [f"{'#' * level} {escape_markdown(table.title)}", "", *markdown_lines(table)]
    return "\n".join([*parts, "", *markdown_list(table.notes)]) + "\n"


def markdown_lines(table: Table, is_padded: bool = True) -> list[str]:
    """The lines of the table alone; padded columns are for tables that are read as text."""
    lines = [[escape_markdown(column.full_name) for column in table.columns], *map(_texts, table.rows)]
    if not is_padded:
        head, *body = (f"| {' | '.join(line)} |" for line in lines)
        return [head, f"|{'---|' * len(table.columns)}", *body]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *body = (
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |" for line in lines
    )
    return [head, f"|{'|'.join('-' * (width + 2) for width in widths)}|", *body]


def markdown_list(notes: Sequence[str]) -> list[str]:
    """The lines of a list, text as text."""
    return [f"- {escape_markdown(note)}" for note in notes]


def _texts(row: Row) -> list[str]:
    first, *others = map(_text, row.cells)
    return [f"_{first}_" if row.is_apart else first, *others]


def _text(cell: Cell) -> str:
    return _EMPHASIS[cell.emphasis].format(escape_markdown(cell.marked_text))
