"""What ``data coco`` makes of annotations that contradict themselves, and of names that nearly fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_sound import (
    BOXES,
    HEIGHT,
    IMAGES,
    WIDTH,
    Content,
    box_pixels,
    decomposed,
    name_of,
    rle,
    sound,
    text,
    write_images,
    write_json,
)
from coco_variants import mutated
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco
from scenebench.coco import boxes
from scenebench.coco.boxes import Evidence
from scenebench.errors import UserError


class Prepared:
    """A folder of pictures that ``data coco`` is run on."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / "images"
        self.json = folder / "instances.json"
        self.out = folder / "out"
        self.lines: list[str] = []
        write_images(self.images)

    def prepare(self, content: Content) -> DatasetFolder:
        write_json(self.json, content)
        return prepare_coco(self.out, CocoSpec(str(self.images), str(self.json)), report=self.lines.append)

    @property
    def summary(self) -> str:
        return "\n".join(self.lines)

    def annotations(self, name: str = "img_01.jpg") -> list[dict[str, Any]]:
        folder = DatasetFolder.open(self.out)
        for split in folder.splits:
            content, _ = folder.instances(split)
            for image in content["images"]:
                if image["source_name"] == name:
                    return [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
        raise AssertionError(f"{name} was not prepared")

    def semantic(self, stem: str) -> np.ndarray:
        with Image.open(next((self.out / "semantic").glob(f"*/{stem}.png"))) as image:
            return np.asarray(image)


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path)


def test_the_contents_of_a_sound_folder_are_as_they_were(data: Prepared) -> None:
    data.prepare(sound())
    assert len(data.lines) == 4  # the last says that pictures are copies
    first, second = data.annotations()
    assert (first["bbox"], first["area"], first["iscrowd"]) == (BOXES[0], 1200, 0)
    assert first["segmentation"] == rle(text(box_pixels(BOXES[0])), [HEIGHT, WIDTH])
    assert (second["bbox"], second["area"]) == (BOXES[1], 1050)


@pytest.mark.parametrize(("value", "crowd"), [("0", 0), ("false", 0), (0.0, 0), (None, 0), ("1", 1), ("true", 1)])
def test_iscrowd_may_be_text(data: Prepared, value: object, crowd: int) -> None:
    content = sound()
    for annotation in content["annotations"][::2]:
        annotation["iscrowd"] = value
    data.prepare(content)
    assert [entry["iscrowd"] for entry in data.annotations()] == [crowd, 0]
    assert ("8 crowd regions" in data.summary) == bool(crowd)


def test_where_all_are_crowds_the_error_speaks_of_iscrowd(data: Prepared) -> None:
    content = sound()
    for annotation in content["annotations"]:
        annotation["iscrowd"] = "1"
    with pytest.raises(UserError, match=r"all 16 annotations are crowds \('iscrowd' 1\)"):
        data.prepare(content)


@pytest.mark.parametrize("area", [1.0, 6912, 0.5, None, "x", float("nan"), -3])
def test_smaller_masks_lie_on_larger_ones_whatever_the_area_says(data: Prepared, area: object) -> None:
    content = sound()
    on_top, below = [40, 30, 20, 16], [10, 5, 80, 62]
    for place, (x, y, w, h) in enumerate((on_top, below)):
        polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        content["annotations"][place] |= {"bbox": [x, y, w, h], "segmentation": polygon, "area": area}
    data.prepare(content)
    found = data.semantic("img_01")
    assert (found == 1).sum() == 320
    assert (found == 2).sum() == 4640


def test_the_area_is_that_of_what_remains(data: Prepared) -> None:
    data.prepare(mutated("polygon good and odd"))
    assert "16 parts of masks dropped: an odd number of coordinates" in data.summary
    first, _ = data.annotations()
    assert first["area"] == 600
    assert first["bbox"] == BOXES[0], "a box is not judged by half a mask"


def test_a_few_boxes_that_contradict_their_masks_give_way(data: Prepared) -> None:
    content = sound()
    content["annotations"][0]["bbox"] = [10, 10, 50, 40]
    content["annotations"][2]["bbox"] = [0.1, 0.13, 0.41, 0.41]
    data.prepare(content)
    assert "2 boxes that contradict their masks: the mask's own box is used" in data.summary
    assert data.annotations()[0]["bbox"] == BOXES[0]
    assert data.annotations("img_02.jpg")[0]["bbox"] == BOXES[0]


def test_crowds_and_parts_far_apart_do_not_contradict(data: Prepared) -> None:
    content = sound()
    for annotation in content["annotations"][::2]:
        annotation |= {"iscrowd": 1, "bbox": [0, 0, 5, 5]}
    for annotation in content["annotations"][1::2]:
        mask = box_pixels([2, 2, 8, 8], [80, 60, 10, 10])
        annotation |= {"bbox": [2, 2, 88, 68], "segmentation": rle(text(mask), [HEIGHT, WIDTH])}
    data.prepare(content)
    assert "contradict" not in data.summary


def test_nothing_is_left_where_most_boxes_contradict(data: Prepared) -> None:
    with pytest.raises(UserError, match=rf"{data.json}: 16 of 16 boxes contradict their masks: .* x2, y2\]"):
        data.prepare(mutated("bbox corners"))
    assert sorted(path.name for path in data.json.parent.iterdir()) == ["images", "instances.json"]


@pytest.mark.parametrize(
    ("compared", "contradicted", "corners", "refused"),
    [(100, 51, 51, True), (100, 50, 50, False), (2, 2, 2, True), (1, 1, 1, False), (100, 60, 20, False)],
)
def test_half_of_the_boxes_may_contradict_and_a_mistake_must_explain_them(
    compared: int, contradicted: int, corners: int, refused: bool
) -> None:
    evidence = Evidence({boxes.COMPARED: compared, boxes.CONTRADICTED: contradicted, "corners": corners})
    assert bool(boxes.fault_of(evidence)) == refused


# --- names --------------------------------------------------------------------------------------------------------


def renamed(name: str) -> Content:
    content = sound()
    content["images"][0]["file_name"] = name
    return content


def test_absolute_names_inside_the_folder_are_read(data: Prepared, tmp_path: Path) -> None:
    content = sound()
    for image in content["images"]:
        image["file_name"] = str(data.images / image["file_name"])
    data.prepare(content)
    assert len(data.annotations("img_08.jpg")) == 2
    (tmp_path / "link").symlink_to(data.images)
    data.out.rename(tmp_path / "first")
    data.prepare(renamed(str(tmp_path / "link" / "img_01.jpg")))
    assert len(data.annotations()) == 2


def test_absolute_names_elsewhere_are_refused(data: Prepared, tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="must be a path inside the folder of images"):
        data.prepare(renamed(str(tmp_path / "elsewhere" / "img_01.jpg")))


def test_names_that_begin_with_the_folder_are_read(data: Prepared) -> None:
    content = sound()
    for image in content["images"]:
        image["file_name"] = f"images/{image['file_name']}"
    data.prepare(content)
    assert len(data.annotations()) == 2


@pytest.mark.parametrize("on_disk", [decomposed, str])
def test_names_of_another_unicode_form_are_read_and_said(data: Prepared, on_disk: Any) -> None:
    composed = "b\u00e4r.jpg"
    (data.images / "img_01.jpg").rename(data.images / on_disk(composed))
    data.prepare(renamed(composed if on_disk is decomposed else decomposed(composed)))
    assert "1 file names found under another Unicode form" in data.summary
    forms = ("NFC", "NFD") if on_disk is decomposed else ("NFD", "NFC")
    assert f"is {forms[0]} there and {forms[1]} on the disk" in data.summary


def test_two_files_of_the_same_letters_stay_apart(data: Prepared) -> None:
    composed = "b\u00e4r.jpg"
    (data.images / "img_01.jpg").rename(data.images / composed)
    (data.images / "img_02.jpg").rename(data.images / decomposed(composed))
    content = renamed(composed)
    content["images"][1]["file_name"] = decomposed(composed)
    data.prepare(content)
    assert "Unicode" not in data.summary
    assert len(data.annotations(composed)) == len(data.annotations(decomposed(composed))) == 2


def test_float_ids_and_sizes_are_read_and_written_whole(data: Prepared) -> None:
    content = sound()
    for image in content["images"]:
        image |= {"id": float(image["id"]), "width": 96.0, "height": 72.0}
    for annotation in content["annotations"]:
        annotation |= {key: float(annotation[key]) for key in ("id", "image_id", "category_id")}
    for category in content["categories"]:
        category["id"] = float(category["id"])
    folder = data.prepare(content)
    assert sum(folder.splits.values()) == IMAGES
    assert [entry["category_id"] for entry in data.annotations(name_of(3))] == [1, 2]
    assert ".0" not in json.dumps(folder.instances("train")[0]["categories"])
