from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.evaluation.inputs import (
    choose,
    read_image,
    read_square,
    require_decodable,
)
from benchmarks.evaluation.picture_sheet import (
    CELL,
    Instance,
    Panel,
    category_colour,
    describe_semantic,
    draw_instances,
    draw_semantic,
    save_sheet,
)
from scenebench.errors import UserError


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200))
def test_a_larger_limit_only_adds_images(count: int, limit: int, more: int) -> None:
    chosen = choose(count, limit)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(limit, count)
    assert all(0 <= index < count for index in chosen)
    assert set(chosen) <= set(choose(count, limit + more))


def test_the_choice_is_fixed_and_spread() -> None:
    assert choose(5, None) == choose(5, 9) == [0, 1, 2, 3, 4]
    assert choose(1000, 4) == choose(1000, 4)
    assert choose(1000, 4) != [0, 1, 2, 3]


def test_reading(tmp_path: Path) -> None:
    Image.new("L", (30, 10), 77).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").mode == "RGB"
    square = read_square(tmp_path / "grey.png", 16)
    assert square.shape == (3, 16, 16)
    assert set(square.ravel()) == {77}
    (tmp_path / "text.jpg").write_text("no image")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.jpg"):
        with pytest.raises(UserError, match=f"{path.name}: cannot be decoded"):
            require_decodable([tmp_path / "grey.png", path], "test")


@pytest.mark.parametrize(("size", "refused"), [((3000, 1), True), ((1, 3000), True), ((2000, 20), False)])
def test_a_picture_that_no_toolbox_can_resize_is_named(tmp_path: Path, size: tuple[int, int], refused: bool) -> None:
    Image.new("RGB", size).save(tmp_path / "strip.png")
    if not refused:
        require_decodable([tmp_path / "strip.png"], "test")
        return
    with pytest.raises(UserError, match=rf"strip\.png: {size[0]} x {size[1]} pixels: one side is more than 100 times"):
        require_decodable([tmp_path / "strip.png"], "test")


def test_sheets(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), (10, 10, 10))
    mask = np.zeros((20, 40), bool)
    mask[5:15, 5:20] = True
    picture = draw_instances(image, [Instance(1, (5, 5, 20, 15), mask, 0.5)], ["nut", "fig"])
    assert picture.size == (CELL, CELL // 2)
    assert np.asarray(picture)[64, 64].tolist() != [10, 10, 10]  # tinted
    assert np.asarray(picture)[100, 250].tolist() == [10, 10, 10]
    labels = np.zeros((20, 40), np.uint8)
    labels[:, 20:], labels[:2, 20:] = 2, 255
    tinted = np.asarray(draw_semantic(image, labels))
    assert tinted[90, 60].tolist() == [10, 10, 10]
    assert tinted[90, 200].tolist() == [round(0.4 * 10 + 0.6 * c - 0.5) for c in category_colour(1)]
    assert describe_semantic(labels, ["nut", "fig"]) == "fig"
    assert describe_semantic(np.zeros((2, 2), np.uint8), ["nut"]) == "nothing"
    panel = Panel("truth: " + "a long name, " * 20, picture)
    save_sheet(tmp_path / "sheet.png", [(panel, panel)] * 3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 4 * CELL
        assert sheet.height > 2 * picture.height
    square, wide = (Panel("", Image.new("RGB", (CELL, height))) for height in (CELL, CELL // 4))
    heights = []
    for panels in ([square], [square, wide, wide, wide], [square, wide, square]):  # two a row
        save_sheet(tmp_path / "rows.png", [(each, each) for each in panels])
        with Image.open(tmp_path / "rows.png") as rows:
            heights.append(rows.height)
    one, mixed, two = heights
    assert CELL < one < CELL + CELL // 4  # captions and margins
    assert two == one + CELL + (mixed - one - CELL // 4)
    assert CELL // 4 < mixed - one < CELL // 2
    save_sheet(tmp_path / "empty.png", [])
    assert (tmp_path / "empty.png").is_file()
    assert len({category_colour(index) for index in range(60)}) == 60
