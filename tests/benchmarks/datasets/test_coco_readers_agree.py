"""``data coco``, ``data check`` and pretraining read one file alike: the same masks, or the same line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from coco_sound import BOTH, HEIGHT, WIDTH, Content, write_images, write_json
from coco_variants import VARIANTS, mutated
from pycocotools import mask as coco_mask

import benchmarks.datasets.prepare_coco as prepare_coco_module
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco
from benchmarks.datasets.readers import read_official
from pretrain.data.annotations import KEY, multilabels, object_maps
from pretrain.data.sources import list_images
from scenebench.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's layout; the pictures of ``val`` are a part of it as well."""
    folder = tmp_path_factory.mktemp("coco")
    for split in ("train", "val"):
        write_images(folder / f"{split}2017")
    return folder


def by_data_coco(root: Path, content: Content, out: Path) -> tuple[np.ndarray | None, str, str]:
    """(masks of the first picture, the line of a refusal, the summary)."""
    json_file = write_json(root / "annotations/instances_train2017.json", content)
    lines: list[str] = []
    try:
        folder = prepare_coco(out, CocoSpec(str(root / "train2017"), str(json_file)), report=lines.append)
    except UserError as error:
        assert not out.exists()
        return None, _without(str(error), json_file), ""
    return _prepared_masks(folder), "", "\n".join(lines)


def _prepared_masks(folder: DatasetFolder) -> np.ndarray:
    union = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for split in folder.splits:
        content, _ = folder.instances(split)
        first = [image["id"] for image in content["images"] if image["source_name"] == "img_01.jpg"]
        for annotation in content["annotations"]:
            if annotation["image_id"] in first:
                union |= coco_mask.decode(annotation["segmentation"])
    return union


def by_pretraining(root: Path, content: Content) -> tuple[np.ndarray | None, str]:
    json_file = write_json(root / "annotations/instances_train2017.json", content)
    images = list_images(root / "train2017")
    try:
        maps = object_maps(json_file, images, (HEIGHT, WIDTH))
    except UserError as error:
        return None, _without(str(error).removeprefix(f"{KEY}: "), json_file)
    return (maps[0].numpy() > 0).astype(np.uint8), ""


def by_check(root: Path, content: Content) -> tuple[list[str], str]:
    """(findings, the line of a refusal); of the training JSON."""
    json_file = write_json(root / "annotations/instances_train2017.json", content)
    write_json(root / "annotations/instances_val2017.json", content)
    findings: list[str] = []

    def collect(kind: str, path: Path, message: str) -> None:
        if path == json_file:
            findings.append(message)

    try:
        read_official("coco2017", root, collect)
    except UserError as error:
        return [], _without(str(error), json_file)
    return findings, ""


def _without(line: str, path: Path) -> str:
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", VARIANTS)
def test_all_read_the_same_masks_or_say_the_same_line(name: str, root: Path, tmp_path: Path) -> None:
    variant, content = VARIANTS[name], mutated(name)
    masks, line, summary = by_data_coco(root, content, tmp_path / "out")
    read, line_of_pretraining = by_pretraining(root, content)
    findings, line_of_check = by_check(root, content)
    assert bool(line) == bool(variant.refused), line
    assert re.search(variant.refused, line)
    assert line_of_pretraining == line
    if variant.refused:
        told = [line_of_check, *findings]
        # What does not fit its picture is found when pictures are opened, after the annotations.
        assert line in told or variant.refused == "640 x 72 pixels"
        return
    assert variant.mended in summary
    assert (len(summary.splitlines()) > 3) >= bool(variant.mended)
    np.testing.assert_array_equal(masks, variant.masks)
    np.testing.assert_array_equal(read, variant.masks)
    assert not line_of_check
    assert bool(findings) <= variant.found
    assert (
        variant.masks is not BOTH
        or multilabels(root / "annotations/instances_train2017.json", list_images(root / "train2017"))[0].tolist()
        == [[1, 1]] * 8
    )


def test_the_first_and_the_last_reader_are_the_same_function() -> None:
    from benchmarks.datasets.readers import coco
    from pretrain.data import annotations

    assert coco.read_object is annotations.read_object is prepare_coco_module.read_object
