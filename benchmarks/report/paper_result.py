"""What a paper's table is made of once measured values stand beside the published ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.published.layout import PaperTable
from benchmarks.published.values import PublishedValue
from benchmarks.report.table import Column, Measured, Row


@dataclass(frozen=True)
class Group:
    """Columns that were measured together.

    Attributes:
        title: "measured", or the data and size that set the group apart.
        columns: of the group "measured" those of the paper.
        cells: one list a row of the table, in the order of :attr:`PaperResult.rows`.
        reasons: why the values stand apart; empty for the group "measured".
    """

    title: str
    columns: list[Column]
    cells: list[list[Measured]]
    reasons: list[str] = field(default_factory=list)

    @property
    def is_comparable(self) -> bool:
        """Whether its columns are the paper's."""
        return not self.reasons


@dataclass(frozen=True)
class PaperResult:
    """A paper's table with what was measured beside it.

    Attributes:
        published: one list a row, one value a column; None where nothing is printed.
        rows: without cells; the paper's, and what was measured and is none of them (``is_apart``).
        groups: the first is "measured"; the others stand apart.
        notes: of this result.
    """

    layout: PaperTable
    rows: list[Row]
    published: list[list[PublishedValue | None]]
    groups: list[Group]
    notes: list[str] = field(default_factory=list)

    @property
    def best(self) -> list[float | None]:
        """The highest published value of each column."""
        columns = [[value.value for value in column if value] for column in zip(*self.published, strict=True)]
        return [max(values) if len(set(values)) > 1 else None for values in columns]

    def difference(self, row: int, column: int) -> float | None:
        """Measured minus published, where both are there."""
        published, cell = self.published[row][column], self.groups[0].cells[row][column]
        return None if published is None or cell.summary is None else cell.summary.mean - published.value

    def row_named(self, method: str, near: int) -> int | None:
        """Place of the row that ``method`` names as the baseline of row ``near``: of the same data and epochs first."""
        mine = [place for place, row in enumerate(self.rows) if row.method == method and place != near]
        wanted = self.rows[near]

        def distance(place: int) -> tuple[bool, bool]:
            return self.rows[place].data != wanted.data, self.rows[place].epochs != wanted.epochs

        return min(mine, key=distance, default=None)
