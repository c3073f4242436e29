"""The one model of a table: what every format draws, with the numbers behind its cells.

Suites' tables, the papers', the leaderboard's, comparisons and the small tables of pages are made of these. There is
one writer a format: :mod:`.markdown`, :mod:`.latex`, :mod:`.csv_values`, :mod:`.aligned_text`, and for pages
``templates/index.html``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.report.escaping import clip, one_line
from benchmarks.report.metrics import Kind
from benchmarks.statistics.ranks import Rank
from benchmarks.statistics.summary import Summary
from scenebench.config import config_hash


@dataclass(frozen=True)
class Setting:
    """On what and how a column was measured; values of two settings never share a column."""

    data: str
    fingerprint: str
    size: str
    protocol: str
    version: int
    hash: str


@dataclass(frozen=True)
class Measured:
    """The numbers of one cell, in percent.

    Attributes:
        state: ``measured``, ``undefined`` (the metric has no value), ``missing``, ``failed`` or ``none`` (not planned).
        summary: over the seeds that were measured.
        planned: number of seeds that were planned.
        delta, delta_spread: difference to the baseline's mean, and its spread.
        welch_p, interval: Welch's two-sided p value and the bootstrap interval of the difference; None of single seeds.
        best: the best mean among the backbones (references do not count).
        records: content hashes of the records behind it.
        values: one a record.
        reasons: why seeds are missing.
    """

    state: str
    summary: Summary | None = None
    planned: int = 0
    delta: float | None = None
    delta_spread: float | None = None
    welch_p: float | None = None
    interval: tuple[float, float] | None = None
    best: bool = False
    records: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()


NOTHING = Measured("none")


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        name: what its head says under ``group``, which spans neighbours of the same group.
        long_name: what it says where nothing spans columns; "": group and name.
        metric, setting: of a measured column; the setting is None where nothing was measured yet.
        is_main: whether the metric is a main one (:data:`.metrics.MAIN_METRICS`).
        role: ``meta`` (says what stands in the row) or ``rank``; a page styles such columns.
        note: what a pointer may show of the head.
        warning: why nothing may be concluded from the column (:mod:`.column_standing`); "" where something may.
    """

    name: str
    group: str = ""
    long_name: str = ""
    is_text: bool = False
    metric: str = ""
    setting: Setting | None = None
    is_main: bool = False
    role: Literal["", "meta", "rank"] = ""
    note: str = ""
    warning: str = ""

    @property
    def head(self) -> str:
        """What the head says under ``group``."""
        return self.name + self._mark

    @property
    def full_name(self) -> str:
        """The head where nothing spans columns."""
        return (self.long_name or (f"{self.group}: {self.name}" if self.group else self.name)) + self._mark

    @property
    def _mark(self) -> str:
        return " (cannot tell)" if self.warning else ""


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: as it is drawn.
        value: what stands behind it, and what a page sorts by.
        marks: numbers of the notes that concern it.
        note: what a pointer may show.
    """

    text: str = ""
    value: Measured | Rank | float | str | None = None
    emphasis: Literal["", "bold", "code"] = ""
    marks: tuple[int, ...] = ()
    note: str = ""

    @property
    def marked_text(self) -> str:
        """``31.2 ± 0.4 (3) [1,2]``: the text with the numbers of its notes."""
        return self.text + (f" [{','.join(map(str, self.marks))}]" if self.marks else "")


@dataclass(frozen=True)
class Row:
    """A row: its cells, and who stands in it.

    Attributes:
        data, epochs, architecture: what the backbone was pretrained on, for how long (None: not said), and what it is.
        baseline: label of the row that its differences are taken to; "" for none.
        is_baseline: whether the table's differences are taken to it.
        is_apart: references, and rows that are not a paper's: under a rule, in italics.
    """

    label: str = ""
    cells: tuple[Cell, ...] = ()
    method: str = ""
    origin: str = ""
    data: str = ""
    epochs: int | None = None
    architecture: str = ""
    baseline: str = ""
    is_baseline: bool = False
    is_apart: bool = False

    @property
    def is_reference(self) -> bool:
        """Whether the row evaluates no backbone."""
        return self.origin == "reference"

    def measured(self, column: int) -> Measured:
        """The numbers of a cell; :data:`NOTHING` of one that holds none."""
        value = self.cells[column].value
        return value if isinstance(value, Measured) else NOTHING

    @property
    def records(self) -> list[str]:
        """Content hashes of the records behind all cells."""
        return [name for column in range(len(self.cells)) for name in self.measured(column).records]


@dataclass(frozen=True)
class Table:
    """A table: its title, columns, rows, and notes below it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def groups(self) -> list[tuple[str, int]]:
        """(what spans them, number of columns) of neighbours; data of one name and two fingerprints stay apart."""

        def key(column: Column) -> tuple[str, str]:
            return column.group, column.setting.fingerprint if column.setting else ""

        return [(group, len(list(same))) for (group, _), same in itertools.groupby(self.columns, key)]


@dataclass(frozen=True)
class SuiteTable(Table):
    """A table of records of one kind, data set and size."""

    kind: Kind = field(kw_only=True)
    data: str = field(kw_only=True)
    fingerprint: str = field(kw_only=True)
    size: str = field(kw_only=True)
    categories: int = field(kw_only=True)

    @property
    def name(self) -> str:
        """What tells this table from every other one of the same results, for files and anchors."""
        return f"{self.kind.name}-{self.fingerprint[:8]}-{config_hash([self.data, self.size])[:4]}"

    @property
    def place(self) -> str:
        """What it was measured on."""
        return measured_on(self.data, self.size)

    @property
    def baseline(self) -> str:
        """Label of the row that differences are taken to, "" where there is none."""
        return next((row.label for row in self.rows if row.is_baseline), "")

    @property
    def measured_columns(self) -> list[int]:
        """Places of the columns that hold measured values."""
        return [place for place, column in enumerate(self.columns) if column.metric]

    @property
    def main_columns(self) -> list[int]:
        """Those of main metrics."""
        return [place for place in self.measured_columns if self.columns[place].is_main]


def by_data(tables: Sequence[SuiteTable]) -> list[tuple[str, list[SuiteTable]]]:
    """Tables of one data set and size together, each with what the names of its files end in: "", "-2", "-3"."""
    groups: dict[tuple[str, str, str], list[SuiteTable]] = {}
    for table in tables:
        groups.setdefault((table.data, table.fingerprint, table.size), []).append(table)
    return [("" if number == 1 else f"-{number}", group) for number, group in enumerate(groups.values(), start=1)]


def measured_on(data: str, size: str) -> str:
    """Data and size, as titles say them."""
    return one_line(f"{data}, size {size}" if size else data)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> Table:
    """A table of plain texts."""
    cells = [tuple(Cell(text) for text in row) for row in rows]
    return Table(title, tuple(Column(name, is_text=True) for name in head), tuple(Row(cells=row) for row in cells))


def signed(value: float, digits: int = 1) -> str:
    """``+0.4`` or ``−1.2``."""
    return f"{'−' if round(value, digits) < 0 else '+'}{abs(value):.{digits}f}"


def summary_text(summary: Summary, digits: int = 1, planned: int | None = None) -> str:
    """``31.2 ± 0.4 (3)``: mean, standard deviation, number of seeds (``3 of 5`` where more were planned)."""
    spread = "" if summary.std is None else f" ± {summary.std:.{digits}f}"
    seeds = f"{summary.n}" if planned in (None, summary.n) else f"{summary.n} of {planned}"
    return f"{summary.mean:.{digits}f}{spread} ({seeds})"


class Footnotes:
    """Notes, numbered from 1 in the order in which cells ask for them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, notes: Iterable[str]) -> tuple[int, ...]:
        """Numbers of the notes, rising."""
        wanted = list(dict.fromkeys(notes))
        self.texts += [note for note in wanted if note not in self.texts]
        return tuple(sorted(self.texts.index(note) + 1 for note in wanted))

    def lines(self, longest: int = 10_000) -> list[str]:
        """The notes, each behind its number."""
        return [f"[{number}] {clip(note, longest)}" for number, note in enumerate(self.texts, start=1)]


def value_text(cell: Measured, planned: bool = True) -> str:
    """The value, or the word for why there is none."""
    if cell.summary is None:
        return "–" if cell.state == "none" else cell.state
    return summary_text(cell.summary, planned=cell.planned if planned else None)


def difference_text(cell: Measured) -> str:
    """``+5.1 ± 0.6``: the difference to the baseline and its spread, "" for the baseline itself."""
    if cell.delta is None:
        return ""
    return signed(cell.delta) + ("" if cell.delta_spread is None else f" ± {cell.delta_spread:.1f}")
