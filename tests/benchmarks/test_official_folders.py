"""Official layouts as the benchmarks see them, and what a wrong one is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from miniatures import (
    build_ade20k,
    build_cityscapes,
    build_coco2017,
    build_voc0712,
    build_voc2007,
    build_voc2012aug,
    write_map,
    write_voc_xml,
)
from PIL import Image

from benchmarks.datasets.preparing import prepare
from benchmarks.evaluation.official import OfficialFolder, open_data
from benchmarks.protocols.protocol import load_protocol
from benchmarks.segmentation.layout import require_labels, semantic_layout
from scenebench.errors import UserError


def test_voc_boxes_become_coco_boxes(tmp_path: Path) -> None:
    root = build_voc0712(tmp_path / "VOCdevkit")
    data = OfficialFolder.read("voc0712", root)
    assert data.splits == {"trainval": 16, "test": 4}
    content, image_root = data.instances("test")
    assert image_root == root
    names = [image["file_name"] for image in content["images"]]
    assert [root / name for name in names] == data.images("test")
    first = [a for a in content["annotations"] if a["image_id"] == content["images"][0]["id"]]
    assert [a["bbox"] for a in first] == [[0.0, 0.0, 10.0, 12.0], [7.0, 4.0, 17.0, 16.0]]  # xmin 1 is pixel 0
    assert sum(a["difficult"] for a in content["annotations"]) == 2
    assert [category["name"] for category in content["categories"]] == data.categories
    assert data.multilabel("test").sum() == 8  # difficult objects are absent


def test_coco_keeps_its_own_file(tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "coco")
    data = OfficialFolder.read("coco2017", root)
    content, image_root = data.instances("val")
    assert image_root == root / "val2017"
    assert content == json.loads((root / "annotations/instances_val2017.json").read_text())
    assert data.categories == ["person", "toothbrush"]


def test_semantic_classes_and_layouts(tmp_path: Path) -> None:
    city = build_cityscapes(tmp_path / "city")
    with pytest.raises(UserError, match="scenebench data prepare cityscapes"):
        OfficialFolder.read("cityscapes", city)
    prepare("cityscapes", city)
    data = OfficialFolder.read("cityscapes", city)
    assert (len(data.semantic_classes), data.semantic_classes[0]) == (19, "road")
    layout = semantic_layout("cityscapes", city, "val", tmp_path / "val.txt")
    for image, label in zip(data.images("val"), data.semantic("val"), strict=True):
        assert layout.map_folder / f"{layout.stem(image)}{layout.map_suffix}" == label
    ade = build_ade20k(tmp_path / "ade")
    with pytest.raises(UserError, match="scenebench data prepare ade20k"):
        OfficialFolder.read("ade20k", ade)
    prepare("ade20k", ade)
    data = OfficialFolder.read("ade20k", ade)
    assert (len(data.semantic_classes), data.semantic_classes[0]) == (150, "wall")
    for split in ("train", "val"):
        layout = semantic_layout("ade20k", ade, split, tmp_path / "x.txt")
        for image, label in zip(data.images(split), data.semantic(split), strict=True):
            assert layout.folder / f"{layout.stem(image)}{layout.suffix}" == image
            assert layout.map_folder / f"{layout.stem(image)}{layout.map_suffix}" == label
    voc = build_voc2012aug(tmp_path / "VOC2012")
    with pytest.raises(UserError, match="scenebench data prepare voc2012aug"):
        OfficialFolder.read("voc2012aug", voc)
    prepare("voc2012aug", voc, partial=True)
    data = OfficialFolder.read("voc2012aug", voc)
    assert (len(data.semantic_classes), data.semantic_classes[0]) == (21, "background")
    for split in ("train", "val"):
        layout = semantic_layout("voc2012aug", voc, split, tmp_path / "x.txt")
        for image, label in zip(data.images(split), data.semantic(split), strict=True):
            assert layout.map_folder / f"{layout.stem(image)}{layout.map_suffix}" == label


def test_the_fingerprint_follows_images_and_annotations(tmp_path: Path) -> None:
    root = build_voc0712(tmp_path / "VOCdevkit")
    before = OfficialFolder.read("voc0712", root)
    assert before.compute_fingerprint() == before.fingerprint
    shutil.copytree(root, tmp_path / "copy")
    assert OfficialFolder.read("voc0712", tmp_path / "copy").fingerprint == before.fingerprint
    write_voc_xml(root / "VOC2007/Annotations/000001.xml", [("cat", 1, 1, 9, 9, 0)])
    assert before.compute_fingerprint() != before.fingerprint


def test_a_wrong_layout_is_named_with_the_nearest_match(tmp_path: Path) -> None:
    build_voc0712(tmp_path / "data" / "VOCdevkit")
    voc = load_protocol("faster_rcnn_r50_c4_24k")
    with pytest.raises(UserError, match=r"not laid out as voc0712, but .*VOCdevkit is: give that folder"):
        open_data(tmp_path / "data", voc)
    build_coco2017(tmp_path / "coco")
    with pytest.raises(UserError, match="not laid out as voc0712: expected VOC2007.*found annotations/"):
        open_data(tmp_path / "coco", voc)


def test_a_class_count_that_disagrees(tmp_path: Path) -> None:
    build_coco2017(tmp_path / "coco")
    with pytest.raises(UserError, match=r"has 2 classes, protocol 'mask_rcnn_r50_fpn_1x' expects 80"):
        open_data(tmp_path / "coco", load_protocol("mask_rcnn_r50_fpn_1x"))
    assert len(open_data(tmp_path / "coco", load_protocol("mask_rcnn_r50_fpn_1x", size="demo")).categories) == 2


def test_an_annotation_outside_of_its_image(tmp_path: Path) -> None:
    root = build_voc0712(tmp_path / "VOCdevkit")
    write_voc_xml(root / "VOC2007/Annotations/000001.xml", [("cat", 1, 1, 40, 12, 0)])
    data = OfficialFolder.read("voc0712", root)
    with pytest.raises(UserError, match=r"000001\.jpg: object 'cat' .*16 pixels out of the image of 24x20"):
        data.instances("trainval")


def test_a_missing_split_list_and_split(tmp_path: Path) -> None:
    root = build_voc0712(tmp_path / "VOCdevkit")
    (root / "VOC2012/ImageSets/Main/trainval.txt").unlink()
    with pytest.raises(UserError, match=r"VOC2012/ImageSets/Main/trainval\.txt"):
        OfficialFolder.read("voc0712", root)
    data = OfficialFolder.read("voc2007", build_voc2007(tmp_path / "VOC2007"))
    with pytest.raises(UserError, match="did you mean 'trainval'"):
        data.images("trainvall")
    with pytest.raises(UserError, match="have no map"):
        data.semantic("test")


def test_labels_that_are_no_class(tmp_path: Path) -> None:
    good = write_map(tmp_path / "good.png", [0, 20, 255])
    require_labels([good], 21, "train")
    with pytest.raises(UserError, match=r"holds label 20; the 20 classes are 0-19, and 255 is ignored"):
        require_labels([good], 20, "train")
    zero_based = write_map(tmp_path / "zero_based.png", [*range(20), 255])
    require_labels([zero_based], 21, "train")
    with pytest.raises(UserError, match=r"hold 0-19 and 255 and never 20: 0-based classes"):
        require_labels([zero_based], 21, "train", all_occur=True)
    require_labels([zero_based, good], 21, "train", all_occur=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(UserError, match="no map of 8-bit labels"):
        require_labels([tmp_path / "colour.png"], 21, "train")
    with pytest.raises(UserError, match="'coco2017' has no semantic maps"):
        semantic_layout("coco2017", tmp_path, "train", tmp_path / "x.txt")
