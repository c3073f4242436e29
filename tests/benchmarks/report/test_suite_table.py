from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_records import demo_records, fill, make_record

from benchmarks.records.collect import ExpectedCell, Results, collect, write_expected
from benchmarks.records.record import Record
from benchmarks.report.markdown import to_markdown
from benchmarks.report.suite_table import general_notes, make_tables, suite_to_csv, suite_to_latex
from benchmarks.report.table import Measured, SuiteTable
from benchmarks.statistics.summary import Summary, difference, summarise
from scenebench.errors import UserError


def results_of(records: list[Record], gaps: list[ExpectedCell] | None = None, **changes: object) -> Results:
    values = {"title": "T", "baseline": "random", "rows": [], "protocols": []}
    return Results(**{**values, **changes}, records=records, gaps=gaps or [])  # type: ignore[arg-type]


def sealed(records: list[Record]) -> list[Record]:
    return [record.model_copy(update={"content_hash": record.computed_hash()}) for record in records]


def cell(table: SuiteTable, label: str, protocol: str, metric: str) -> Measured:
    row = next(row for row in table.rows if row.label == label)
    places = [(c.setting.protocol if c.setting else "", c.metric) for c in table.columns]
    return row.measured(places.index((protocol, metric)))


def metrics(table: SuiteTable) -> list[str]:
    return [table.columns[place].metric for place in table.measured_columns]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=9), st.randoms())
def test_summaries_agree_with_the_library_and_do_not_depend_on_order(values: list[float], rng: random.Random) -> None:
    found = summarise(values)
    assert found is not None
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found.n == len(values)
    if len(values) > 1:
        assert found.std == pytest.approx(statistics.stdev(values), abs=1e-9)
    else:
        assert found.std is None
    shuffled = list(values)
    rng.shuffle(shuffled)
    assert summarise(shuffled) == found


def test_a_difference_has_a_spread_only_where_both_sides_have_one() -> None:
    assert difference(Summary(30, 3.0, 3), Summary(20, 4.0, 3)) == (10, 5.0)
    assert difference(Summary(30, None, 1), Summary(20, 4.0, 3)) == (10, None)
    assert summarise([]) is None


def test_of_an_error_the_lowest_is_the_best_and_of_a_control_none() -> None:
    values = {"a": (40.0, 20.0, 41.0), "b": (30.0, 10.0, 31.0)}
    records = [
        make_record(label, "saliency_human", metrics=dict(zip(("max_F", "MAE", "max_F_shuffled"), found, strict=True)))
        for label, found in values.items()
    ]
    records.append(
        make_record("centre prior", "saliency_human", metrics={"max_F": 60.0, "MAE": 5.0}, origin="reference")
    )
    of_task = records[0].protocol.model_copy(update={"task": "saliency"})
    (table,) = make_tables(results_of(sealed([one.model_copy(update={"protocol": of_task}) for one in records])))
    assert table.kind.name == "saliency"
    assert table.title == "Saliency: Saliency maps against people, % on scenes, size demo"
    best = {
        (row.label, table.columns[place].metric)
        for row in table.rows
        for place in table.measured_columns
        if row.measured(place).best
    }
    assert best == {("a", "max_F"), ("b", "MAE")}
    assert "MAE: the lowest is the best." in general_notes([table])
    assert not any("MAE" in note for note in general_notes([]))


def test_the_demo_gives_a_table_for_each_kind(demo_results: Results) -> None:
    tables = {table.kind.name: table for table in make_tables(demo_results)}
    assert list(tables) == ["classification", "detection", "instance_segmentation", "semantic_segmentation"]
    knn = tables["classification"]
    assert [row.label for row in knn.rows] == [
        "random",
        "mls",
        "moco",
        "saliency",
        "colour-histogram probe",
        "scene-type oracle",
    ]
    found = cell(knn, "mls", "multilabel_knn", "mAP")
    assert found.values == (27.0, 28.0, 29.0)
    assert found.summary == Summary(28.0, 1.0, 3)
    assert found.best
    assert found.delta == pytest.approx(7.0)
    assert found.delta_spread == pytest.approx(2**0.5)
    assert len(set(found.records)) == 3
    assert cell(knn, "random", "multilabel_knn", "mAP").delta is None
    reference = cell(knn, "scene-type oracle", "multilabel_knn", "mAP")
    assert (reference.best, reference.delta) == (False, None)
    assert metrics(tables["detection"]) == ["box_AP", "box_AP50", "box_AP75"]
    assert metrics(tables["instance_segmentation"]) == ["mask_AP", "mask_AP50", "mask_AP75"]
    assert metrics(tables["semantic_segmentation"]) == ["mIoU", "mAcc", "aAcc"] * 2
    # Every table of the data names the shortcut references, also where they have no value.
    for table in tables.values():
        references = {row.label: row for row in table.rows if row.is_reference}
        assert set(references) == {"scene-type oracle", "colour-histogram probe"}
        if table.kind.task != "classification":
            assert {row.measured(c).state for row in references.values() for c in table.measured_columns} == {"none"}


def test_a_reference_above_all_backbones_is_not_the_best() -> None:
    records = [make_record("a"), make_record("b", metrics={"mAP": 11.0})]
    records.append(make_record("oracle", metrics={"mAP": 90.0}, method="scene_type_oracle", origin="reference"))
    (table,) = make_tables(results_of(sealed(records)))
    assert [(row.label, row.measured(1).best) for row in table.rows] == [("a", False), ("b", True), ("oracle", False)]


def test_tables_never_mix_data_sizes_or_protocol_versions() -> None:
    base = make_record("a")
    other_data = base.dataset.model_copy(update={"fingerprint": "f" * 16})
    other_protocol = base.protocol.model_copy(update={"version": 2, "hash": "9" * 16})
    records = sealed(
        [
            base,
            make_record("a", metrics={"mAP": 50.0}, dataset=other_data),
            make_record("a", metrics={"mAP": 60.0}, size="mini"),
            make_record("a", metrics={"mAP": 70.0}, protocol="multilabel_knn"),
        ]
    )
    records[3] = sealed([records[3].model_copy(update={"protocol": other_protocol})])[0]
    tables = make_tables(results_of(records))
    assert len(tables) == 3
    assert len({table.name for table in tables}) == 3
    values = [[t.rows[0].measured(c).values for c in t.measured_columns] for t in tables]
    assert sorted(values) == [[(10.0,), (70.0,)], [(50.0,)], [(60.0,)]]
    both = next(table for table in tables if len(table.measured_columns) == 2)
    assert len({both.columns[place].group for place in both.measured_columns}) == 2, "two versions must be told apart"


def test_the_data_with_the_most_records_come_first() -> None:
    few, many = make_record("random"), [make_record("random", seed=seed) for seed in range(3)]
    few = few.model_copy(update={"dataset": few.dataset.model_copy(update={"name": "a few photographs"})})
    tables = make_tables(results_of(sealed([few, *many])))
    assert [table.data for table in tables] == ["scenes", "a few photographs"]


def test_rows_of_one_label_and_different_recipes_keep_apart() -> None:
    records = [make_record("mls", recipe={"seed": s, "mls": {"k": k}}, seed=s) for k in (5, 20) for s in (0, 1)]
    (table,) = make_tables(results_of(sealed(records)))
    assert [row.measured(1).summary.n for row in table.rows if row.measured(1).summary] == [2, 2]
    assert len({row.label for row in table.rows}) == 2
    assert all(row.label.startswith("mls [") for row in table.rows)


def test_gaps_are_shown_and_explained() -> None:
    def gap(label: str, seed: int, reason: str) -> ExpectedCell:
        return ExpectedCell(label, "multilabel_knn", "classification", ["mAP"], seed, False, "r.json", reason)

    records = sealed([make_record("random"), make_record("mls"), make_record("moco", metrics={"mAP": None})])
    gaps = [
        gap("mls", 1, "failed: ValueError: a | b"),
        gap("saliency", 0, "failed: no space"),
        gap("random", 1, "missing"),
    ]
    rows = ["random", "mls", "moco", "saliency"]
    (table,) = make_tables(results_of(records, gaps, rows=rows, protocols=["multilabel_knn"]))
    assert [row.measured(1).state for row in table.rows] == ["measured", "measured", "undefined", "failed"]
    text = to_markdown(table)
    assert "10.0 (1 of 2) [2]" in text
    assert "failed [3]" in text
    assert "- [2] failed: ValueError: a \\| b" in text
    assert "undefined" in text
    lines = suite_to_csv([table]).splitlines()
    assert lines[4].endswith("failed,,,0,1,,,random,0,,failed: no space,,,,")


def test_only_gaps_still_make_a_table() -> None:
    gap = ExpectedCell("mls", "fcn_demo", "segmentation", ["mIoU"], 0, False, "r.json", "failed: it broke")
    (table,) = make_tables(results_of([], [gap], rows=["mls"], protocols=["fcn_demo"]))
    assert "failed [1]" in to_markdown(table)


def test_text_is_byte_equal_whatever_the_order_of_the_records(demo_results: Results) -> None:
    shuffled = list(demo_results.records)
    random.Random(3).shuffle(shuffled)
    other = results_of(shuffled, baseline=demo_results.baseline)
    for render in (to_markdown, suite_to_latex):
        assert [render(t) for t in make_tables(demo_results)] == [render(t) for t in make_tables(other)]
    assert suite_to_csv(make_tables(demo_results)) == suite_to_csv(make_tables(other))


def test_markdown_and_latex_take_text_as_text() -> None:
    label = "a|b_<script>&*`\\x](y)\n# c\x1b[31m $"
    (table,) = make_tables(results_of(sealed([make_record("random"), make_record(label)])))
    row = next(line for line in to_markdown(table).splitlines() if "script" in line)
    assert row.count(" | ") == 2, "a pipe in a label must not make a column"
    assert "<script>" not in row
    assert "\x1b" not in row
    latex = next(line for line in suite_to_latex(table).splitlines() if "script" in line)
    assert latex.startswith(r"a|b\_\textless{}script\textgreater{}\&*`\textbackslash{}x](y) \# c")
    assert r"\$" in latex


def test_a_spreadsheet_sees_no_formula() -> None:
    (table,) = make_tables(results_of(sealed([make_record("random"), make_record("=HYPERLINK(1)")])))
    line = next(line for line in suite_to_csv([table]).splitlines() if "HYPERLINK" in line)
    assert ",'=HYPERLINK(1)," in line


def test_latex_is_balanced(demo_results: Results) -> None:
    for table in make_tables(demo_results):
        text = suite_to_latex(table)
        for name in ("table", "tabular"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
        assert text.count("{") == text.count("}")
        width = text.split(r"\begin{tabular}{")[1].split("}")[0]
        rows = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {line.count("&") + 1 for line in rows} == {len(width)}


@pytest.mark.parametrize("older", [1.0, 2.0, 3.0, 4.0, 5.0])  # whichever way the hashes happen to sort
def test_a_repeated_run_is_no_further_seed(tmp_path: Path, older: float) -> None:
    later = make_record("mls", metrics={"mAP": 30.0}, started="2027-01-01T00:00:00+00:00")
    results = collect(fill(tmp_path, [later, make_record("mls", metrics={"mAP": older})]))
    assert [record.metrics["mAP"] for record in results.records] == [30.0]
    assert results.repeats == 1


def test_collecting_refuses_what_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        collect(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no records"):
        collect(tmp_path)
    fill(tmp_path, demo_records()[:2])
    path = tmp_path / "run000" / "record.json"
    path.write_text(path.read_text().replace("20.0", "99.0"))
    with pytest.raises(UserError, match="damaged or edited"):
        collect(tmp_path)


def test_after_a_suite_a_damaged_record_is_a_gap_and_strangers_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, [make_record("random"), make_record("mls"), make_record("of another plan")])
    damaged = tmp_path / "run001" / "record.json"
    damaged.write_text(damaged.read_text()[:100])
    cells = [
        ExpectedCell(name, "multilabel_knn", "classification", ["mAP"], 0, False, f"run00{i}/record.json", "")
        for i, name in enumerate(("random", "mls"))
    ]
    write_expected(tmp_path, "s", "demo", "Title", "random", ["random", "mls"], ["multilabel_knn"], cells)
    results = collect(tmp_path)
    assert [record.backbone.label for record in results.records] == ["random"]
    assert results.gaps[0].reason.startswith("failed: run001/record.json: not a readable record")
    assert results.title == "Title"
    content = json.loads((tmp_path / "expected.json").read_text())
    content["cells"][0]["record"] = "../outside/record.json"
    (tmp_path / "expected.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="leads out of the folder"):
        collect(tmp_path)
