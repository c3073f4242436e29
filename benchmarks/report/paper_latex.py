"""A paper's table as LaTeX; needs the packages booktabs and graphicx (a table wider than the line is scaled to it)."""

from __future__ import annotations

from benchmarks.report.escaping import escape_latex
from benchmarks.report.paper_parts import PaperResult
from benchmarks.report.paper_render import Field, Sheet, difference_sheet, value_sheet


def paper_to_latex(result: PaperResult) -> str:
    """One ``table`` environment a sheet: the values, and the differences to baselines."""
    sheets = [(result.layout.title, value_sheet(result))]
    differences = difference_sheet(result)
    if differences:
        sheets.append((f"{result.layout.title}: differences to the baseline", differences))
    lines = [r"% needs \usepackage{booktabs} and \usepackage{graphicx}"]
    for title, sheet in sheets:
        lines += _environment(title, sheet)
    return "\n".join(lines) + "\n"


def _environment(title: str, sheet: Sheet) -> list[str]:
    width = len(sheet.head)
    texts = sheet.groups[0][1]
    return [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape_latex(title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * texts}{'r' * (width - texts)}}}",
        r"\toprule",
        " & ".join(_spanning(name, number) for name, number in sheet.groups) + r" \\",
        " & ".join(_protected(escape_latex(name)) for name in sheet.head) + r" \\",
        r"\midrule",
        *_body(sheet),
        r"\bottomrule",
        r"\end{tabular}}",
        *(rf"\par\smallskip\footnotesize {escape_latex(note)}" for note in sheet.notes),
        r"\end{table}",
    ]


def _body(sheet: Sheet) -> list[str]:
    lines = [" & ".join(_protected(_field(part)) for part in line) + r" \\" for line in sheet.rows]
    return [
        *lines[: sheet.further_from],
        *([r"\midrule"] if lines[sheet.further_from :] else []),
        *lines[sheet.further_from :],
    ]


def _spanning(name: str, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{c}}{{{escape_latex(name)}}}"


def _field(part: Field) -> str:
    return rf"\textbf{{{escape_latex(part.text)}}}" if part.bold else escape_latex(part.text)


def _protected(text: str) -> str:
    """A bracket or star at the head of a row would be taken for an option of the row end before it."""
    return f"{{}}{text}" if text[:1] in ("[", "*") else text
