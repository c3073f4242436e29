"""A column that cannot tell says so in every writer, and nothing in it is bold or a finding."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from control_records import CONTROLS, NOISE, controlled, reference
from made_up_records import fill

from benchmarks.compare.compare import compare
from benchmarks.compare.sides import find_side
from benchmarks.compare.text import to_json, to_text
from benchmarks.compare.text import to_markdown as comparison_to_markdown
from benchmarks.records.collect import Results, collect
from benchmarks.records.record import Record
from benchmarks.report.column_standing import standings
from benchmarks.report.how_to_read import general_notes
from benchmarks.report.leaderboard_tables import column_ranks
from benchmarks.report.markdown import to_markdown
from benchmarks.report.run_report import build_leaderboard
from benchmarks.report.suite_table import make_tables, suite_to_csv, suite_to_latex
from benchmarks.report.table import SuiteTable

FAILS = {"random": 16.9, "supervised": 17.8, "mls": 18.8}
PASSES = {"random": 16.9, "supervised": 35.2, "mls": 18.8}
BORDERLINE = {"random": 16.0, "supervised": 24.0, "mls": 18.0}
MISSING = {"random": 16.9, "mls": 18.8}
PHRASE = "this column cannot tell: supervised − random = +0.9, 0.9 spreads, needed 8"


def table_of(records: list[Record]) -> SuiteTable:
    return make_tables(Results("T", "random", [], [], records, []))[0]


def lines_of_csv(table: SuiteTable) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(suite_to_csv([table]))))


def test_where_the_positive_control_fails_every_writer_says_so() -> None:
    table = table_of(controlled(FAILS))
    markdown, latex = to_markdown(table), suite_to_latex(table)
    assert "mAP (cannot tell)" in markdown
    assert PHRASE in markdown
    assert "**" not in markdown, "nothing is bold"
    assert "mAP (cannot tell)" in latex
    assert "this column cannot tell: supervised" in latex
    assert "0.9 spreads, needed 8" in latex
    assert r"\textbf" not in latex
    assert {line["column_note"] for line in lines_of_csv(table)} == {PHRASE}
    assert {line["best"] for line in lines_of_csv(table)} == {"0"}
    assert column_ranks(table) == {}
    assert any("no claim is drawn from it" in note for note in general_notes([table]))


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (PASSES, "measures: supervised − random = +18.3, 18.3 spreads, needed 8; detects "),
        (BORDERLINE, "measures: supervised − random = +8.0, 8.0 spreads, needed 8; detects "),
        (MISSING, "range not known: no value of the control supervised; detects "),
    ],
    ids=["passes", "borderline", "missing"],
)
def test_where_it_passes_or_is_missing_the_column_stays(means: dict[str, float], said: str) -> None:
    table = table_of(controlled(means))
    markdown = to_markdown(table)
    assert "cannot tell" not in markdown + suite_to_latex(table) + "".join(general_notes([table]))
    assert said in markdown
    assert "**" in markdown
    assert {line["column_note"] for line in lines_of_csv(table)} == {""}
    assert list(column_ranks(table)) == [1]


def test_a_hair_below_the_border_cannot_tell() -> None:
    table = table_of(controlled({**BORDERLINE, "supervised": 23.99}))
    assert "this column cannot tell: supervised − random = +8.0, 8.0 spreads, needed 8" in to_markdown(table)


def test_a_negative_control_above_the_positive_one_fails_whatever_was_asked() -> None:
    asked_nothing = {**CONTROLS, "spreads": 0.0, "range": {}}
    table = table_of(controlled({"random": 20.0, "supervised": 19.0}, controls=asked_nothing))
    assert "this column cannot tell: supervised − random = −1.0, −1.0 spreads, needed 0" in to_markdown(table)


def test_points_are_asked_for_too() -> None:
    asked = {**CONTROLS, "range": {"multilabel_linear.mAP": {"spreads": 8.0, "points": 20.0}}}
    assert "18.3 spreads, needed 8 and 20 points" in to_markdown(table_of(controlled(PASSES, controls=asked)))
    assert table_of(controlled(PASSES, controls=asked)).columns[1].warning


def test_single_seeds_leave_the_range_open() -> None:
    markdown = to_markdown(table_of(controlled(PASSES, seeds=1)))
    assert "range not known: supervised − random = +" in markdown
    assert "no spread known, needed 8" in markdown
    assert "detects" not in markdown


def test_one_seed_beside_three_of_the_negative_control() -> None:
    """As in the demo: the spread is that of random initialisation."""
    records = controlled({"random": 16.9}) + controlled({"supervised": 35.2, "mls": 18.8}, seeds=1)
    markdown = to_markdown(table_of(records))
    assert (
        "measures: supervised − random = +17.3, 17.3 spreads, needed 8; one seed detects nothing; 5 would" in markdown
    )


def test_records_that_state_no_controls_say_what_they_detect_and_no_more() -> None:
    markdown = to_markdown(table_of(controlled(FAILS, suite_resolved={}, suite_hash="")))
    assert "mAP: detects " in markdown
    assert "at n = 3, paired." in markdown
    assert "cannot tell" not in markdown
    assert "measures" not in markdown


def test_only_the_suites_own_records_speak_for_its_column() -> None:
    """A stranger's rows of the same names change neither range nor spread."""
    strange = controlled({"random": 0.0, "supervised": 90.0}, suite="strange", suite_resolved={}, suite_hash="")
    own = controlled(FAILS)
    known = list(standings([*own, *strange]).values())
    assert [one.range for one in known] == [one.range for one in standings(own).values()]


@pytest.mark.parametrize(
    ("protocol", "metric", "means", "chance", "floor"),
    [
        ("mask_rcnn_fpn_demo", "box_AP", {"random": 0.0, "mls": 0.4}, None, "no backbone reaches 1"),
        ("mask_rcnn_fpn_demo", "box_AP", {"random": 0.0, "mls": 4.0}, None, ""),
        ("fcn_demo", "mIoU", {"random": 47.0, "mls": 47.5}, None, "no mIoU is above 50.0"),
        ("fcn_demo", "mIoU", {"random": 57.0, "mls": 58.0}, None, ""),
        ("fcn_demo", "mIoU", {"random": 57.0, "mls": 58.0}, 57.2, "within 2.0 points of 57.2"),
        ("multilabel_knn", "mAP", {"random": 15.0, "mls": 16.0}, 15.4, "within 2.0 points of 15.4"),
        ("multilabel_knn", "mAP", {"random": 15.0, "mls": 26.0}, 15.4, ""),
        ("multilabel_knn", "mAP", {"random": 15.0, "mls": 16.0}, None, ""),
    ],
)
def test_a_floor(protocol: str, metric: str, means: dict[str, float], chance: float | None, floor: str) -> None:
    noise = (0.0,) * 3 if metric == "box_AP" else NOISE
    records = controlled(means, protocol, (metric,), noise=noise, suite_resolved={}, suite_hash="")
    if chance is not None:
        records.append(reference(chance, protocol, metric))
    table = table_of(records)
    (column,) = [one for one in table.columns if one.metric]
    assert column.warning.startswith("this column cannot tell: at its floor, " if floor else "")
    assert floor in column.warning
    assert bool(column.warning) == bool(floor)
    assert ("**" in to_markdown(table)) == (not floor)


def test_a_passing_control_is_no_floor() -> None:
    """A narrow range well above the spread is a range, even close to chance."""
    tight = {**CONTROLS, "range": {}}
    records = controlled({"random": 15.4, "supervised": 19.4}, "multilabel_knn", controls=tight)
    assert not table_of([*records, reference(18.0, "multilabel_knn", "mAP")]).columns[1].warning


def test_the_leaderboard_says_so_and_ranks_nobody(tmp_path: Path) -> None:
    fill(tmp_path / "results", controlled(FAILS) + controlled(PASSES, "multilabel_knn"))
    _, page = build_leaderboard(tmp_path / "results", tmp_path / "board")
    text = page.read_text(encoding="utf-8")
    assert "mAP (cannot tell)" in text
    assert text.count(PHRASE) >= 2  # the head's pointer, and the notes
    assert text.count('class="number rank"') + text.count(">Rank<") >= 1


def test_compare_says_so_for_the_suites_records(tmp_path: Path) -> None:
    """Also where both sides are single rows of it."""
    folder = fill(tmp_path / "records", controlled(FAILS) + controlled(PASSES, "multilabel_knn"))
    found = compare(find_side("random", [folder]), find_side("mls", [folder]))
    linear, knn = sorted(found.differences, key=lambda one: one.protocol, reverse=True)
    assert (linear.warning, linear.p, linear.why_none) == (PHRASE, None, "cannot tell")
    assert knn.warning == ""
    assert knn.p is not None
    assert knn.p_holm == knn.p, "what cannot tell is no test to be corrected for"
    for text in (to_text(found), comparison_to_markdown(found)):
        assert "Nothing can be concluded from" in text
        assert PHRASE in text
    assert PHRASE in to_json(found)
    whole = compare(find_side(str(folder), []), find_side(str(folder), []))
    assert {one.warning for one in whole.differences} == {PHRASE, ""}


def test_nothing_changes_where_nothing_is_stated(tmp_path: Path) -> None:
    fill(tmp_path, controlled(FAILS, suite_resolved={}, suite_hash=""))
    found = compare(find_side(str(tmp_path), []), find_side(str(tmp_path), []))
    assert "Nothing can be concluded" not in to_text(found)
    assert collect(tmp_path).records
