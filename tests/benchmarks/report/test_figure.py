from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree
from pathlib import Path

from made_up_records import make_record
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.records.collect import Results
from benchmarks.report.figure import draw_figure, house_style, save_svg
from benchmarks.report.tables import make_tables


def test_equal_tables_give_equal_bytes(demo_results: Results, tmp_path: Path) -> None:
    first, second = (draw_figure(make_tables(demo_results), tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["comparison.png", "comparison.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert Image.open(first[0]).size[0] > 1000
    xml.etree.ElementTree.parse(first[1])
    assert b"<dc:date>" not in first[1].read_bytes()


def test_the_last_digit_of_a_coordinate_changes_no_byte(tmp_path: Path) -> None:
    """Processors round differently: what is committed on one machine is what another one makes."""
    pictures = []
    for number, width in enumerate((0.8, math.nextafter(0.8, 1))):
        figure = Figure(figsize=(3, 2))
        axes = figure.add_axes((0.1, 0.1, width, 0.8))
        axes.plot([1, 2, 4], [3, 1, 2], "o-")
        with house_style():
            hashed = io.BytesIO()
            figure.savefig(hashed, format="svg", metadata={"Date": None})
            pictures.append((hashed.getvalue(), save_svg(figure, tmp_path / f"{number}.svg").read_bytes()))
    (hashed_one, one), (hashed_other, other) = pictures
    assert hashed_one != hashed_other
    assert one == other


def test_every_id_is_there_once_and_every_reference_leads_to_one(demo_results: Results, tmp_path: Path) -> None:
    _, svg = draw_figure(make_tables(demo_results), tmp_path)
    text = svg.read_text()
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= set(ids)
    assert {"p1", "m1"} <= used


def test_other_numbers_give_another_picture(demo_results: Results, tmp_path: Path) -> None:
    before = draw_figure(make_tables(demo_results), tmp_path / "a")
    record = demo_results.records[0]
    demo_results.records[0] = record.model_copy(update={"metrics": dict.fromkeys(record.metrics, 90.0)})
    after = draw_figure(make_tables(demo_results), tmp_path / "b")
    assert before[0].read_bytes() != after[0].read_bytes()


def test_formulas_and_markup_in_labels_are_drawn_as_text(tmp_path: Path) -> None:
    record = make_record(r"$\frac{$ <b>&")
    record = record.model_copy(update={"content_hash": record.computed_hash()})
    tables = make_tables(Results("T", "", [], [], [record], []))
    _, svg = draw_figure(tables, tmp_path)
    xml.etree.ElementTree.parse(svg)


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    record = make_record("a", metrics={"mAP": None})
    record = record.model_copy(update={"content_hash": record.computed_hash()})
    assert draw_figure(make_tables(Results("T", "", [], [], [record], [])), tmp_path) == []
