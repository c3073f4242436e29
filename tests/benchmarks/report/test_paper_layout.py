from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.published.layout import (
    LAYOUTS,
    load_methods,
    load_paper_table,
    paper_table_names,
    place_published,
)
from benchmarks.published.values import PublishedValue, read_published
from benchmarks.report.sweep_figure import PUBLISHED_CURVES
from pretrain.recipes.recipe import load_recipe
from pretrain.recipes.recipe_files import recipe_names
from scenebench.errors import UserError


@pytest.fixture(scope="module")
def values() -> list[PublishedValue]:
    return read_published()


def test_every_value_of_mls_has_exactly_one_place(values: list[PublishedValue]) -> None:
    """place_published refuses a value without a place, so every table that is laid out is whole."""
    placed = 0
    for name in paper_table_names():
        grid = place_published(load_paper_table(name), values)
        placed += sum(value is not None for line in grid for value in line)
    in_tables = {load_paper_table(name).published for name in paper_table_names()}
    assert {value.table for value in values if value.source.startswith("Zhu")} <= in_tables
    assert placed == 255 + 3


def test_rows_and_columns_stand_in_the_papers_order(values: list[PublishedValue]) -> None:
    one = load_paper_table("mls_table1")
    assert [one.label(row) for row in one.rows] == [
        "Supervised", "ReSim-C4", "LEWEL_M", "SetSim", "SoCo", "Self-EMD", "MoCo-v2", "BYOL", "DenseCL", "ORL",
        "MLS 400", "MLS 800",
    ]  # fmt: skip
    grid = place_published(one, values)
    assert [value and value.value for value in grid[-1]] == [40.5, 60.7, 44.5, 36.5, 57.7, 39.1]
    assert [value and value.value for value in grid[5]] == [39.3, 60.1, 42.8, None, None, None]
    three = load_paper_table("mls_table3")
    assert [column.title for column in three.columns] == [
        "PSANet mIoU", "PSANet mAcc", "PSANet aAcc", "PSPNet mIoU", "PSPNet mAcc", "PSPNet aAcc",
    ]  # fmt: skip
    assert [v and v.value for v in place_published(three, values)[-1]] == [79.0, 87.3, 96.2, 78.5, 86.6, 96.1]
    five = load_paper_table("mls_table5")
    assert [v and v.value for v in place_published(five, values)[1]] == [80.5, 68.8, 89.6, 87.5, 80.4, 64.1, 79.4, 60.9]
    headline = place_published(load_paper_table("saliency_headline"), values)
    assert [v and v.value for v in headline[0]] == [1.1, 4.3, 2.2]


def test_the_papers_values_are_those_of_the_recipe_that_comes_with_the_suite() -> None:
    """A recipe by its paper's values fits the paper's row; else no measured value could ever stand beside it."""
    (mls,) = load_methods().methods["MLS"]
    recipe = load_recipe("mls_coco").to_plain()
    for key, wanted in (mls.keys | mls.stated).items():
        section, name = key.split(".")
        assert recipe[section][name] == wanted, key
    known = {load_recipe(name).method for name in recipe_names()} | {"swav", "soco", "simclr"}
    assert {making.method for makings in load_methods().methods.values() for making in makings} <= known


def test_every_key_of_a_method_is_one_of_a_recipe() -> None:
    recipe: dict[str, dict[str, object]] = {}
    for name in recipe_names():
        recipe |= load_recipe(name).to_plain()
    for makings in load_methods().methods.values():
        for making in makings:
            for key in (*making.keys, *making.stated):
                section, name = key.split(".")
                assert name in recipe[section], key


def test_a_sweep_has_a_published_curve() -> None:
    swept = {load_paper_table(name).sweep for name in paper_table_names()} - {""}
    assert swept == set(PUBLISHED_CURVES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: mls_table7", "name: mls_table9", r"mls_table7\.yaml: its name is 'mls_table9'"),
        ("method: MLS Q_g only", "method: MLS Q_q only", r"unknown value 'MLS Q_q only' \(did you mean 'MLS Q"),
        ("dataset: coco2017", "dataset: coco2071", r"unknown value 'coco2071' \(did you mean 'coco2017'"),
        ("baseline: MoCo-v2", "baseline: MoCo-v3", r"baseline of MLS Q_g only: unknown value 'MoCo-v3'"),
        (
            "title: AP box",
            "titel: AP box",
            r"mls_table7\.yaml: unknown key 'columns\[0\]\.titel' \(did you mean 'title'",
        ),
        ("epochs: 400", "epochs: 401", r"places 4 of the 6 values"),
        ("metric: mask_AP,", "metric: box_AP,", r"MLS Q_g only, AP mask stands there twice"),
    ],
)
def test_a_damaged_layout_is_named(
    tmp_path: Path, values: list[PublishedValue], old: str, new: str, message: str
) -> None:
    folder = shutil.copytree(LAYOUTS, tmp_path / "tables")
    text = (folder / "mls_table7.yaml").read_text()
    assert old in text
    (folder / "mls_table7.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        place_published(load_paper_table("mls_table7", folder), values)


def test_an_unknown_table_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown table 'mls_tabel1' \(did you mean 'mls_table1'"):
        load_paper_table("mls_tabel1")
    with pytest.raises(UserError, match="unknown table 'methods'"):
        load_paper_table("methods")
    with pytest.raises(UserError, match="unknown table"):
        load_paper_table("../suites/demo")
