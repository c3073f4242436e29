from __future__ import annotations

import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest
from made_up_records import make_record
from matplotlib.figure import Figure

from benchmarks.published.values import read_published
from benchmarks.records.collect import Results
from benchmarks.records.record import Record
from benchmarks.report import curve
from benchmarks.report.build import write_board, write_tables
from benchmarks.report.curve import PUBLISHED_CURVES, draw_curve, find_sweeps
from benchmarks.report.tables import Table, make_tables

SEEDS = (0, 1, 2)


def mls(mls_keys: dict[str, Any], seed: int, **others: Any) -> dict[str, Any]:
    """A recipe as a backbone file holds it: every key, also those that may differ between seeds."""
    return {
        "name": "mls_demo",
        "method": "mls",
        "seed": seed,
        "mls": {"k": 5, "loss": "bce", "loss_weight": 0.5, "dictionary_size": 1024, **mls_keys},
        "data": {"root": f"cells/{seed}/images", "annotations": f"{seed}.json", "workers": seed},
        "run": {"threads": seed},
        "probe": {"every_epochs": seed},
        **others,
    }


def sealed(*args: Any, **kwargs: Any) -> Record:
    record = make_record(*args, **kwargs)
    return record.model_copy(update={"content_hash": record.computed_hash()})


def records_of(rows: dict[str, dict[str, Any]], protocols: tuple[str, ...] = ("multilabel_knn",)) -> list[Record]:
    """Rows of method mls by label, each on three seeds, and a MoCo baseline."""
    records = []
    for seed in SEEDS:
        for protocol in protocols:
            for number, (label, keys) in enumerate(rows.items()):
                values = {"mAP": 30.0 + number + 0.5 * seed}
                records.append(sealed(label, protocol, seed, values, "mls", recipe=mls(keys, seed)))
            moco = {"name": "moco_demo", "method": "moco", "seed": seed}
            records.append(sealed("moco", protocol, seed, {"mAP": 28.0}, recipe=moco))
    return records


def results_of(records: list[Record], baseline: str = "moco") -> tuple[Results, list[Table]]:
    results = Results("T", baseline, [], [], records, [])
    return results, make_tables(results)


def sweep_of(records: list[Record], baseline: str = "moco") -> curve.Sweep | None:
    results, tables = results_of(records, baseline)
    sweeps = find_sweeps(tables, results.records)
    assert len(sweeps) < 2
    return sweeps[0] if sweeps else None


def drawn(monkeypatch: pytest.MonkeyPatch, records: list[Record], baseline: str = "moco") -> Figure:
    """The figure before it becomes a file."""
    figures: list[Figure] = []

    def keep(figure: Figure, folder: Path, name: str) -> list[Path]:
        figures.append(figure)
        return [folder / name]

    monkeypatch.setattr(curve, "save_figure", keep)
    results, tables = results_of(records, baseline)
    assert draw_curve(tables, results.records, Path("nowhere")) == [Path("nowhere/curve")]
    return figures[0]


def lines_of(axes: Any) -> list[tuple[list[float], list[float]]]:
    """(x, y) of every line that joins points."""
    joined = [line for line in axes.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]
    return [([float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()]) for line in joined]


SWEPT = {"D 8192": {"dictionary_size": 8192}, "D 256": {"dictionary_size": 256}, "D 1024": {"dictionary_size": 1024}}


def test_the_swept_value_is_read_from_the_recipes() -> None:
    sweep = sweep_of(records_of(SWEPT))
    assert sweep is not None
    assert sweep.key == "mls.dictionary_size"
    assert list(sweep.rows.items()) == [(256.0, "D 256"), (1024.0, "D 1024"), (8192.0, "D 8192")]


@pytest.mark.parametrize(
    "rows",
    [
        {"a": {}},
        {"a": {"loss": "bce"}, "b": {"loss": "infonce"}},
        {"a": {"k": 1, "loss_weight": 0.1}, "b": {"k": 2, "loss_weight": 0.2}},
        {"a": {"k": 1}, "b": {"k": True}},
        {"a": {"k": 1}, "b": {"k": 10**400}},
        {"a": {"k": 1}, "b": {"k": None}},
    ],
)
def test_no_sweep_where_the_rows_differ_in_anything_else(rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    results, tables = results_of(records_of(rows))
    assert find_sweeps(tables, results.records) == []
    assert draw_curve(tables, results.records, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_several_numbers_one_at_a_time_are_a_curve_each(tmp_path: Path) -> None:
    rows = {"usual": {}, "k 1": {"k": 1}, "k 20": {"k": 20}, "D 256": {"dictionary_size": 256}}
    rows |= {"D 4096": {"dictionary_size": 4096}, "loss infonce": {"loss": "infonce"}, "lambda 2": {"loss_weight": 2}}
    results, tables = results_of(records_of(rows))
    found = {sweep.key: sweep.rows for sweep in find_sweeps(tables, results.records)}
    assert found == {
        "mls.k": {1.0: "k 1", 5.0: "usual", 20.0: "k 20"},
        "mls.dictionary_size": {256.0: "D 256", 1024.0: "usual", 4096.0: "D 4096"},
    }, "of lambda there are two values, of the loss no numbers"
    names = {path.name for path in draw_curve(tables, results.records, tmp_path)}
    assert names == {f"curve-mls_{key}.{kind}" for key in ("k", "dictionary_size") for kind in ("png", "svg")}


def test_a_key_that_is_no_name_names_no_file(tmp_path: Path) -> None:
    rows: dict[str, dict[str, Any]] = {"usual": {"/../k": 5, "loss_weight": 0.5, "k": 5}}
    rows |= {f"{k}": {"/../k": k, "loss_weight": 0.5} for k in (1, 2)}
    rows |= {f"lambda {weight}": {"/../k": 5, "loss_weight": weight} for weight in (1, 2)}
    results, tables = results_of(records_of(rows))
    assert [sweep.key for sweep in find_sweeps(tables, results.records)] == ["mls.loss_weight"]
    assert {path.name for path in draw_curve(tables, results.records, tmp_path)} == {"curve.png", "curve.svg"}


def test_the_baseline_may_be_of_the_same_method_and_apart() -> None:
    rows = {"infonce": {"loss": "infonce"}, "k 1": {"k": 1}, "k 5": {"k": 5}}
    sweep = sweep_of(records_of(rows), "infonce")
    assert sweep is not None
    assert list(sweep.rows.values()) == ["k 1", "k 5"]
    assert sweep_of(records_of(rows), "moco") is None
    # and it may be a point of the curve
    sweep = sweep_of(records_of({"k 1": {"k": 1}, "k 5": {"k": 5}}), "k 5")
    assert sweep is not None
    assert list(sweep.rows.values()) == ["k 1", "k 5"]


def test_the_panel_shows_means_spreads_seeds_and_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(monkeypatch, records_of(SWEPT)).axes[0]
    # 8192 was measured at 30 + .5 seed, 256 at 31, 1024 at 32: the mean of three seeds is .5 above
    assert lines_of(axes) == [([256.0, 1024.0, 8192.0], [31.5, 32.5, 30.5])]
    (bars,) = [container for container in axes.containers if hasattr(container, "has_yerr")]
    segments = bars.lines[2][0].get_segments()
    assert [[round(float(y), 9) for _, y in segment] for segment in segments] == [[31, 32], [32, 33], [30, 31]]
    dots = {(float(x), float(y)) for line in axes.lines if line.get_alpha() for x, y in line.get_xydata()}
    assert dots == {(x, y + 0.5 * s) for x, y in ((8192, 30), (256, 31), (1024, 32)) for s in SEEDS}
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(dashed.get_ydata()) == {28.0}
    assert [text.get_text() for text in axes.texts] == ["moco"]
    assert axes.get_xlabel() == "D (mls.dictionary_size)"
    assert axes.get_ylabel() == "mAP (%)"


def test_the_axis_is_logarithmic_where_the_values_span_more_than_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    for values, scale in (([1, 5, 10], "linear"), ([1, 5, 11], "log"), ([0, 2, 20], "linear")):
        records = records_of({f"w {value}": {"loss_weight": value} for value in values})
        axes = drawn(monkeypatch, records).axes[0]
        assert axes.get_xscale() == scale
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(value) for value in values]


def test_the_published_curve_has_a_panel_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn(monkeypatch, records_of(SWEPT, ("multilabel_knn", "multilabel_linear")))
    ours, also_ours, published = [axes for axes in figure.axes if axes.get_visible()]
    assert lines_of(published) == [
        ([1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0], [39.3, 40.0, 40.1, 39.8, 39.7, 39.6])
    ]
    assert published.get_title(loc="left").replace("\n", " ").startswith("Published: Zhu, Fu, Wu")
    assert [text.get_text() for text in published.texts] == ["MoCo-v2, table 6"]
    assert not published.get_shared_y_axes().joined(published, ours)
    for axes in (ours, also_ours):
        assert max(max(y) for _, y in lines_of(axes)) < 35
    assert "not comparable" in figure.get_suptitle()


def test_a_key_without_a_published_curve_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    records = records_of({"t 1": {"temperature": 0.1}, "t 2": {"temperature": 0.2}})
    figure = drawn(monkeypatch, records)
    assert len(figure.axes) == 1
    assert figure.axes[0].get_xlabel() == "mls.temperature"
    assert "published" not in figure.get_suptitle()


def test_every_published_curve_is_there() -> None:
    values = read_published()
    lengths = {}
    for key, source in PUBLISHED_CURVES.items():
        mine = [v for v in values if (v.table, v.metric) == (source.table, source.metric) and source.prefix in v.method]
        lengths[key] = len(mine)
        assert [v.method for v in values if (v.table, v.method) == source.baseline and v.metric == source.metric]
    assert lengths == {"mls.k": 4, "mls.dictionary_size": 6, "mls.loss_weight": 5}
    assert [source.symbol for source in PUBLISHED_CURVES.values()] == ["k", "D", "lambda"]


def test_a_row_without_records_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        record
        if record.backbone.label != "D 1024"
        else sealed("D 1024", metrics={"mAP": None}, method="mls", recipe=mls(SWEPT["D 1024"], 0))
        for record in records_of(SWEPT)
    ]
    axes = drawn(monkeypatch, list({record.content_hash: record for record in records}.values())).axes[0]
    assert lines_of(axes) == [([256.0, 8192.0], [31.5, 30.5])]


def test_equal_records_give_equal_bytes_and_the_files_are_listed(tmp_path: Path) -> None:
    results, tables = results_of(records_of(SWEPT))
    first, second = (write_tables(results, tables, tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first[3:]] == ["comparison.png", "comparison.svg", "curve.png", "curve.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    xml.etree.ElementTree.parse(first[-1])


def test_the_leaderboard_shows_the_curve_beside_the_comparison(tmp_path: Path) -> None:
    page = write_board(*results_of(records_of(SWEPT)), tmp_path / "board").read_text()
    curves = list((tmp_path / "board/figures").glob("*curve*.svg"))
    assert len(curves) == 2  # for light and dark
    assert all(f'src="figures/{path.name}"' in page for path in curves)
    assert "against the swept value" in page
