"""The files of the diagnostics: a table each, as CSV, with the rows of each epoch that was measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scenebench.files import write_text

FOLDER = "diagnostics"
ABOUT, PSEUDO_LABELS, BY_CATEGORY, SALIENCY = "about.json", "pseudo_labels.csv", "by_category.csv", "saliency.csv"
CAUSES, PEOPLE = "causes.csv", "saliency_human.csv"

Row = dict[str, Any]


def read_rows(path: Path) -> list[dict[str, float]]:
    """The lines of one of the files; empty where it was not written."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return parse_rows(file)


def parse_rows(lines: Iterable[str]) -> list[dict[str, float]]:
    """The rows of a table, its head first."""
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def replace_rows(path: Path, step: int, rows: list[Row]) -> None:
    """Add the rows of ``step``, and drop those of this step and later ones.

    A row that an earlier version wrote has NaN for what it did not measure, and loses what is measured no more.
    """
    kept = [row for row in read_rows(path) if row["step"] < step]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), restval="nan", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in [*kept, *rows]:
        writer.writerow({key: _text(value) for key, value in row.items()})
    write_text(path, buffer.getvalue())


def _text(value: float) -> str:
    """Whole numbers without a point, others with six digits behind it."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}"
