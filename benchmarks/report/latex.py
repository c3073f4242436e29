"""Tables as LaTeX: a ``table`` environment each; needs the package booktabs, a scaled one graphicx too."""

from __future__ import annotations

from benchmarks.report.escaping import escape_latex
from benchmarks.report.table import Cell, Table

NEEDS = r"% needs \usepackage{booktabs}"
NEEDS_SCALED = NEEDS + r" and \usepackage{graphicx}"
_SCALE = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_EMPHASIS = {"": "{}", "bold": r"\textbf{{{}}}", "code": r"\texttt{{{}}}"}


def latex_lines(table: Table, is_scaled: bool = False) -> list[str]:
    """The environment; rows that are apart stand under a rule.

    Args:
        is_scaled: a table wider than the line is scaled to it.
    """
    texts = sum(column.is_text for column in table.columns)
    body = [" & ".join(_protected(_text(cell)) for cell in row.cells) + r" \\" for row in table.rows]
    further = next((place for place, row in enumerate(table.rows) if row.is_apart), len(body))
    return [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape_latex(table.title)}}}",
        *([_SCALE] if is_scaled else []),
        rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(table.columns) - texts)}}}",
        r"\toprule",
        " & ".join(_spanning(name, number) for name, number in table.groups) + r" \\",
        " & ".join(_protected(escape_latex(column.head)) for column in table.columns) + r" \\",
        r"\midrule",
        *body[:further],
        *([r"\midrule"] if body[further:] else []),
        *body[further:],
        r"\bottomrule",
        r"\end{tabular}" + ("}" if is_scaled else ""),
        *(rf"\par\smallskip\footnotesize {escape_latex(note)}" for note in table.notes),
        r"\end{table}",
    ]


def _spanning(name: str, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{c}}{{{escape_latex(name)}}}" if name or columns > 1 else ""


def _text(cell: Cell) -> str:
    return _EMPHASIS[cell.emphasis].format(escape_latex(cell.marked_text))


def _protected(text: str) -> str:
    """A bracket or star at the head of a row would be taken for an option of the row end before it."""
    return f"{{}}{text}" if text[:1] in ("[", "*") else text
