"""How to read the tables: notes that are the same for all of them, each where it is needed."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.escaping import one_line
from benchmarks.report.markdown import markdown_list
from benchmarks.report.metrics import LOWER_IS_BETTER
from benchmarks.report.table import Measured, SuiteTable

# Notes that belong wherever a method is named.
METHOD_NOTES = {
    "saliency": "The method 'saliency' is a re-implementation from the abstract of arXiv 2302.11461; "
    "its paper's details were not available.",
}


def general_notes(tables: Sequence[SuiteTable]) -> list[str]:
    """How to read the tables; the same for all of them."""
    rows = [row for table in tables for row in table.rows]
    notes = ["Mean ± standard deviation over seeds, (number of seeds). Bold: the highest mean among the backbones."]
    columns = [column for table in tables for column in table.columns]
    shown = {column.metric for column in columns}
    notes += [f"{metric}: the lowest is the best." for metric in LOWER_IS_BETTER if metric in shown]
    if any(column.warning for column in columns):
        notes.append(
            "A column that cannot tell: its positive control is not as far above its negative one as the suite asks, "
            "or every backbone is at the floor. Nothing in it is bold, and no claim is drawn from it."
        )
    said = [note for table in tables for note in table.notes]
    if any(" spreads" in note for note in said):
        notes.append(
            "Spreads: differences over the standard deviation of the seeds, pooled over the backbones of the column."
        )
    if any("detects " in note or "would detect" in note for note in said):
        notes.append(
            "Detects: the true difference that a two-sided t test at 5 % finds four times in five with so many seeds; "
            "by the spread of paired differences, where the seeds are paired."
        )
    baselines = sorted({row.label for row in rows if row.is_baseline})
    if baselines:
        names = ", ".join(f"'{name}'" for name in baselines)
        notes.append(f"Δ: difference to the mean of {names}, ± √(s² + s²) of the two standard deviations.")
    notes.append("A difference within its spread, or of single seeds, is no evidence that one method is better.")
    if any(row.is_reference for row in rows):
        notes.append("References (in italics) evaluate no backbone: they show what shortcuts alone reach on this data.")
        cells = [cell.value for row in rows if row.is_reference for cell in row.cells]
        if any(isinstance(cell, Measured) and cell.state == "none" for cell in cells):
            notes.append("A reference without a value (–) names whole images only: it finds no objects and no regions.")
    methods = {row.method for row in rows}
    return [one_line(note) for note in notes + [METHOD_NOTES[name] for name in sorted(methods & set(METHOD_NOTES))]]


def notes_to_markdown(tables: Sequence[SuiteTable]) -> str:
    """How to read the tables, once for all of them."""
    return "\n".join(["### How to read these tables", "", *markdown_list(general_notes(tables))]) + "\n"
