"""A new row beside the board's: only records of the same protocol (version and values), data and size stand there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.records.collect import Results
from benchmarks.records.record import Record
from benchmarks.report.how_to_read import notes_to_markdown
from benchmarks.report.markdown import to_markdown
from benchmarks.report.run_report import LEADERBOARD_FOLDER, write_board
from benchmarks.report.suite_table import make_tables, suite_to_csv
from benchmarks.report.table import SuiteTable
from scenebench.files import write_text

MARKDOWN, CSV = "table.md", "table.csv"


@dataclass(frozen=True)
class BoardComparison:
    """The new results with what stands beside them.

    Attributes:
        board: records of the board that do; ``left_out``: how many do not, being of other data, sizes or protocols.
    """

    results: Results
    tables: list[SuiteTable]
    board: list[Record]
    left_out: int

    def sentence(self, label: str, places: Sequence[Path]) -> str:
        """What stands beside what, for a person."""
        if not places:
            return f"'{label}' is new; no board to set it beside (--board RECORDS)"
        where = ", ".join(map(str, places))
        if not self.board:
            return (
                f"'{label}' is new; none of the {self.left_out} records of the board ({where}) is of the same protocol "
                "versions, data and size, so none stands beside it"
            )
        rows = len({record.backbone.label for record in self.board})
        others = f"; {self.left_out} of other protocol versions, data or sizes left out" if self.left_out else ""
        return f"'{label}' is new; beside it {rows} rows of the board ({where}){others}"


def compare_with_board(new: Results, board: Sequence[Record], baseline: str) -> BoardComparison:
    """Put the fitting records of ``board`` beside ``new``.

    Args:
        baseline: label that differences are taken to, where it is among the rows.
    """
    comparable = {_column(record) for record in new.records}
    known = {record.content_hash for record in new.records}
    others = [record for record in board if record.content_hash not in known]
    fitting = [record for record in others if _column(record) in comparable]
    records = [*new.records, *fitting]
    labels = {record.backbone.label for record in records}
    results = replace(new, records=records, rows=[], baseline=baseline if baseline in labels else "")
    return BoardComparison(results, make_tables(results), fitting, len(others) - len(fitting))


def write_table(comparison: BoardComparison, head: str, out: Path) -> list[Path]:
    """Write the table as Markdown and CSV into ``out``."""
    markdown = "\n".join([f"{head}\n", *map(to_markdown, comparison.tables), notes_to_markdown(comparison.tables)])
    for name, text in ((MARKDOWN, markdown), (CSV, suite_to_csv(comparison.tables))):
        write_text(out / name, text)
    return [out / MARKDOWN, out / CSV]


def write_page(comparison: BoardComparison, out: Path) -> Path:
    """Write the leaderboard's page of these rows into ``out/leaderboard``."""
    return write_board(comparison.results, comparison.tables, out / LEADERBOARD_FOLDER)


def _column(record: Record) -> tuple[str, str, int, str, str, str]:
    protocol, data = record.protocol, record.dataset
    return protocol.id, protocol.hash, protocol.version, data.name, data.fingerprint, record.size
