"""One table, drawn by every writer: the same texts, and text stays text."""

from __future__ import annotations

import csv
import io

from benchmarks.report.aligned_text import aligned_lines
from benchmarks.report.csv_values import setting_of, to_csv, values_of
from benchmarks.report.latex import latex_lines
from benchmarks.report.markdown import markdown_lines, to_markdown
from benchmarks.report.table import (
    Cell,
    Column,
    Footnotes,
    Measured,
    Row,
    Setting,
    Table,
    signed,
    summary_text,
    text_table,
    value_text,
)
from benchmarks.statistics.summary import Summary

MEASURED = Measured("measured", Summary(31.25, 0.5, 3), planned=5, values=(31.0, 31.5, 31.25), best=True)
TABLE = Table(
    title="A & B",
    columns=(Column("row", is_text=True), Column("mAP", "kNN"), Column("mAP", "linear"), Column("Δ", "linear", "Δ")),
    rows=(
        Row("a|b", (Cell("a|b"), Cell("31.2", MEASURED, "bold", (1, 3)), Cell("–"), Cell(""))),
        Row("[odd", (Cell("[odd"), Cell("x"), Cell("y"), Cell("z")), is_apart=True),
    ),
    notes=("Note of <b>.",),
)


def test_markdown_names_the_groups_in_each_head_and_pads() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[:2] == ["### A &amp; B", ""]
    assert lines[2] == "| row    | kNN: mAP       | linear: mAP | Δ |"
    assert lines[3] == "|--------|----------------|-------------|---|"
    assert lines[4] == "| a\\|b   | **31.2 [1,3]** | –           |   |"
    assert lines[5] == "| _[odd_ | x              | y           | z |"
    assert lines[6:] == ["", "- Note of &lt;b&gt;."]
    assert markdown_lines(TABLE, is_padded=False)[1:3] == ["|---|---|---|---|", "| a\\|b | **31.2 [1,3]** | – |  |"]


def test_latex_spans_the_groups_and_rules_off_what_is_apart() -> None:
    lines = latex_lines(TABLE)
    assert r"\begin{tabular}{lrrr}" in lines
    assert r" & \multicolumn{1}{c}{kNN} & \multicolumn{2}{c}{linear} \\" in lines
    assert r"a|b & \textbf{31.2 [1,3]} & -- &  \\" in lines
    rule = lines.index(r"\midrule", lines.index(r"\midrule") + 1)
    assert lines[rule + 1] == r"{}[odd & x & y & z \\", "a bracket would be an option of the row end before it"
    assert len(latex_lines(TABLE, is_scaled=True)) == len(lines) + 1


def test_data_of_one_name_and_two_fingerprints_share_no_head() -> None:
    settings = [Setting("scenes", fingerprint, "mini", "knn", 1, "0") for fingerprint in ("a", "a", "b")]
    columns = [Column("mAP", "scenes, size mini", setting=setting) for setting in settings]
    assert Table("", tuple(columns), ()).groups == [("scenes, size mini", 2), ("scenes, size mini", 1)]


def test_a_terminal_sees_aligned_columns() -> None:
    assert aligned_lines(text_table(["a", "long"], [["1234", "x"]])) == ["a     long", "1234  x"]
    assert aligned_lines(text_table([], [["a", "b"], ["long", "c"]])) == ["a     b", "long  c"], "a list has no head"


def test_csv_has_all_digits_and_no_formula() -> None:
    setting = Setting("scenes", "f" * 16, "demo", "=cmd()", 1, "0" * 16)
    head = ["protocol", "mean", "n", "best", "delta", "values", "absent"]
    text = to_csv(head, [setting_of(setting) | values_of(MEASURED)])
    (line,) = csv.DictReader(io.StringIO(text))
    assert line == {
        "protocol": "'=cmd()",
        "mean": "31.250000",
        "n": "3",
        "best": "1",
        "delta": "",
        "values": "31.000000 31.500000 31.250000",
        "absent": "",
    }


def test_texts_of_numbers() -> None:
    assert value_text(MEASURED) == "31.2 ± 0.5 (3 of 5)"
    assert value_text(MEASURED, planned=False) == summary_text(Summary(31.25, 0.5, 3)) == "31.2 ± 0.5 (3)"
    assert [value_text(Measured(state)) for state in ("none", "failed")] == ["–", "failed"]
    assert [signed(value) for value in (0.04, -0.04, -0.06)] == ["+0.0", "+0.0", "−0.1"]


def test_footnotes_are_numbered_in_the_order_of_asking() -> None:
    footnotes = Footnotes()
    assert (footnotes.mark(["b", "a", "b"]), footnotes.mark(["c", "b"]), footnotes.mark([])) == ((1, 2), (1, 3), ())
    assert footnotes.lines() == ["[1] b", "[2] a", "[3] c"]
    assert footnotes.lines(longest=0)[0].startswith("[1]")
