"""Labels and object maps from hand-made COCO JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from pretrain.data.annotations import multilabels, object_maps
from scenebench.errors import UserError

CATEGORIES = [{"id": 90, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 17, "name": "cow"}]
ROOT = Path("/data/images")


def box(number: int, image: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    x, y, w, h = bbox
    polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
    entry = {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
    return entry | {"segmentation": [polygon]} | more


def write(folder: Path, names: list[str], annotations: list[dict[str, Any]], size: tuple[int, int] = (8, 8)) -> Path:
    """Images numbered 1, 2, ... with ``size`` = (height, width)."""
    images = [
        {"id": number, "file_name": name, "height": size[0], "width": size[1]}
        for number, name in enumerate(names, start=1)
    ]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    return path


# --- multilabels --------------------------------------------------------------------------------------------------


def test_labels_have_a_column_for_each_category_in_the_order_of_the_ids(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ["b.jpg", "a.jpg", "elsewhere.jpg", "empty.jpg"],
        [
            box(1, 1, 90, [0, 0, 4, 4]),
            box(2, 1, 90, [4, 4, 4, 4]),
            box(3, 2, 17, [0, 0, 4, 4], iscrowd=1),
            box(4, 2, 3, [0, 0, 2, 2]),
            box(5, 3, 3, [0, 0, 2, 2]),
            box(6, 1, 3, [0, 0, 0, 2]),  # a box without area
        ],
    )
    images = [ROOT / "a.jpg", ROOT / "b.jpg", ROOT / "empty.jpg", ROOT / "unknown.jpg"]
    labels, labelled = multilabels(path, images)
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]  # dog 3, cow 17 (a crowd), cat 90
    assert labelled.tolist() == [True, True, True, False]


def test_names_with_folders_are_matched_by_the_end_of_the_path(tmp_path: Path) -> None:
    path = write(tmp_path, ["train/1.jpg", "val\\1.jpg"], [box(1, 1, 3, [0, 0, 4, 4]), box(2, 2, 90, [0, 0, 4, 4])])
    labels, labelled = multilabels(path, [ROOT / "val" / "1.jpg", ROOT / "train" / "1.jpg", ROOT / "1.jpg"])
    assert labels.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert labelled.tolist() == [True, True, False]


def test_members_of_an_archive_are_matched_by_their_name(tmp_path: Path) -> None:
    class Member:
        name = "train/1.jpg"

    path = write(tmp_path, ["1.jpg"], [box(1, 1, 3, [0, 0, 4, 4])])
    labels, _ = multilabels(path, [Member()])  # type: ignore[list-item]
    assert labels.tolist() == [[1, 0, 0]]


def test_a_name_that_fits_several_images_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ["1.jpg"], [])
    with pytest.raises(UserError, match=r"data.annotations: '1.jpg' of .* fits 2 images"):
        multilabels(path, [ROOT / "train" / "1.jpg", ROOT / "val" / "1.jpg"])


def test_two_entries_for_one_image_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, ["1.jpg", "images/1.jpg"], [])
    with pytest.raises(UserError, match=r'data.annotations: .*instances.json: file_name "images/1.jpg" is given twice'):
        multilabels(path, [ROOT / "1.jpg"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "holds a list"),
        ('{"images": [], "annotations": []}', "not COCO instances"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1}]}', "not COCO instances"),
        ('{"images": [], "annotations": [], "categories": []}', "'categories' is empty"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 1}]}', "twice"),
        (
            '{"images": [], "annotations": [{"id": 7, "image_id": 1, "category_id": 1}], "categories": [{"id": 1}]}',
            "annotation 7 belongs to image 1",
        ),
        (
            '{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": [], "categories": [{"id": 1}]}',
            "none of the images",
        ),
    ],
)
def test_what_is_not_coco_of_these_images_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "instances.json"
    path.write_text(content)
    for read in (lambda: multilabels(path, [ROOT / "a.jpg"]), lambda: object_maps(path, [ROOT / "a.jpg"], (2, 2))):
        with pytest.raises(UserError, match=message) as error:
            read()
        assert str(error.value).startswith("data.annotations: ")
        assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.annotations: .*none.json: no such annotation file"):
        multilabels(tmp_path / "none.json", [ROOT / "a.jpg"])


# --- object maps --------------------------------------------------------------------------------------------------


def test_a_map_is_the_share_of_each_cell_that_any_object_covers(tmp_path: Path) -> None:
    # 8 x 12 pixels in 2 x 3 cells of 4 x 4.
    rows = np.zeros((8, 12), dtype=np.uint8, order="F")
    rows[4:8, 8:12] = 1
    run_lengths = coco_mask.encode(rows)
    run_lengths["counts"] = run_lengths["counts"].decode()
    path = write(
        tmp_path,
        ["a.jpg"],
        [
            box(1, 1, 3, [0, 0, 4, 4]),
            box(2, 1, 3, [2, 0, 4, 4]),  # overlaps the first: a union, not a sum
            box(3, 1, 90, [8, 4, 4, 4], segmentation=run_lengths),
            box(4, 1, 90, [0, 4, 1, 4], segmentation={"size": [8, 12], "counts": [4, 4, 88]}, iscrowd=1),
            box(5, 1, 17, [8, 0, 4, 1], segmentation=[]),  # no mask: the box
        ],
        size=(8, 12),
    )
    maps = object_maps(path, [ROOT / "a.jpg"], (2, 3))
    assert maps.dtype == torch.uint8
    assert maps.tolist() == [[[255, 128, 64], [64, 0, 255]]]


def test_cells_that_part_pixels_get_exact_shares(tmp_path: Path) -> None:
    path = write(tmp_path, ["a.jpg"], [box(1, 1, 3, [0, 0, 2, 5])], size=(5, 5))
    found = object_maps(path, [ROOT / "a.jpg"], (2, 3))[0]
    fine = np.zeros((30, 30))  # 6 x 6 points a pixel
    fine[:, :12] = 255
    expected = fine.reshape(2, 15, 3, 10).mean(axis=(1, 3))
    assert found.tolist() == np.rint(expected).astype(int).tolist()


def test_images_of_which_nothing_is_known_have_a_uniform_map(tmp_path: Path) -> None:
    path = write(tmp_path, ["a.jpg", "b.jpg"], [box(1, 1, 3, [0, 0, 4, 8])])
    maps = object_maps(path, [ROOT / "unlisted.jpg", ROOT / "b.jpg", ROOT / "a.jpg"], (1, 2))
    assert maps.tolist() == [[[255, 255]], [[255, 255]], [[255, 0]]]


def test_an_object_too_small_for_any_cell_leaves_a_uniform_map(tmp_path: Path) -> None:
    path = write(tmp_path, ["a.jpg"], [box(1, 1, 3, [0, 0, 1, 1])], size=(64, 64))
    assert object_maps(path, [ROOT / "a.jpg"], (1, 1)).tolist() == [[[255]]]


@pytest.mark.parametrize(
    "segmentation",
    [{"size": [4, 4], "counts": [16]}, {"size": [8, 8], "counts": [60]}, {"counts": "1"}, [[0, 0, "a", 1, 1, 1]]],
)
def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path, segmentation: Any) -> None:
    path = write(tmp_path, ["a.jpg"], [box(7, 1, 3, [0, 0, 4, 4], segmentation=segmentation)])
    with pytest.raises(UserError, match=r"data.annotations: .* mask of annotation 7 does not fit image 'a.jpg'"):
        object_maps(path, [ROOT / "a.jpg"], (2, 2))


def test_maps_need_the_size_of_the_image(tmp_path: Path) -> None:
    path = write(tmp_path, ["a.jpg"], [box(1, 1, 3, [0, 0, 4, 4])])
    content = json.loads(path.read_text())
    del content["images"][0]["width"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="needs 'width' and 'height'"):
        object_maps(path, [ROOT / "a.jpg"], (2, 2))
