"""Kinds of damage that ``data check`` must find, each done to a miniature."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from coco_damages import COCO_DAMAGES, Damage
from miniature_files import write_image, write_lines, write_map, write_voc_xml
from miniatures import (
    build_ade20k,
    build_aircraft,
    build_cars,
    build_cityscapes,
    build_cub200,
    build_dtd,
    build_flowers102,
    build_imagenet,
    build_indoor67,
    build_pets,
    build_voc2007,
    build_voc2012,
)
from scipy.io import loadmat, savemat


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def _append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


def _replace_line(path: Path, index: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[index] = line
    write_lines(path, lines)


def _set_flower_label(root: Path, label: int) -> None:
    labels = loadmat(root / "imagelabels.mat")["labels"]
    labels[0, 0] = label
    savemat(root / "imagelabels.mat", {"labels": labels})


def _set_car_label(root: Path, label: int) -> None:
    path = root / "cars_test_annos_withlabels.mat"
    annotations = loadmat(path)["annotations"]
    annotations["class"][0, 0] = label
    savemat(path, {"annotations": annotations})


DAMAGES: dict[str, tuple[str, Callable[..., Path], Damage, str, str]] = COCO_DAMAGES | {
    # what: data set, builder, damage, kind of the finding, a part of its message
    "truncated JPEG": (
        "pets",
        build_pets,
        lambda root: _truncate(root / "images/Abyssinian_1.jpg"),
        "decode",
        "images/Abyssinian_1.jpg",
    ),
    "empty file": (
        "imagenet",
        build_imagenet,
        lambda root: next((root / "val").rglob("*.JPEG")).write_bytes(b""),
        "decode",
        "is no image",
    ),
    "image missing": (
        "voc2007",
        build_voc2007,
        lambda root: [(root / f"{kind}").unlink() for kind in ("JPEGImages/000001.jpg", "Annotations/000001.xml")],
        "missing",
        "names JPEGImages/000001.jpg",
    ),
    "image without annotation": (
        "voc2007",
        build_voc2007,
        lambda root: write_image(root / "JPEGImages/000777.jpg", seed=777),
        "unlisted",
        "000777.jpg: has no Annotations/000777.xml",
    ),
    "annotation without image": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000777.xml", []),
        "missing",
        "000777.xml: has no JPEGImages/000777.jpg",
    ),
    "broken XML": (
        "voc2007",
        build_voc2007,
        lambda root: (root / "Annotations/000009.xml").write_text("<annotation><object>"),
        "list",
        "not an annotation in XML",
    ),
    "XML with entities": (
        "voc2007",
        build_voc2007,
        lambda root: (root / "Annotations/000009.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'),
        "list",
        "declares entities",
    ),
    "unknown class": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000009.xml", [("unicorn", 1, 1, 5, 5, 0)]),
        "label",
        "class 'unicorn'",
    ),
    "box outside": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000009.xml", [("cat", 1, 1, 26, 20, 0)]),
        "box",
        "reaches 2 pixels out of the image of 24x20",
    ),
    "box at 0 where coordinates start at 1": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000009.xml", [("cat", 0, 1, 9, 9, 0)]),
        "box",
        "reaches 1 pixels out",
    ),
    "box without area": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000009.xml", [("cat", 5, 5, 5, 9, 0)]),
        "box",
        "has no area",
    ),
    "size contradicted": (
        "voc2007",
        build_voc2007,
        lambda root: write_voc_xml(root / "Annotations/000009.xml", [("cat", 2, 2, 5, 9, 0)], size=(20, 24)),
        "size",
        "24x20 pixels, its annotation says 20x24",
    ),
    "same bytes in two splits": (
        "voc2007",
        build_voc2007,
        lambda root: shutil.copy(root / "JPEGImages/000001.jpg", root / "JPEGImages/000009.jpg"),
        "duplicate",
        "has the same bytes as JPEGImages/000001.jpg (train)",
    ),
    "one image in two lists": (
        "dtd",
        lambda root: build_dtd(root, partitions=1),
        lambda root: _append(root / "labels/test1.txt", (root / "labels/train1.txt").read_text().split()[0]),
        "duplicate",
        "is in train1 and in test1",
    ),
    "stem twice": (
        "voc2007",
        build_voc2007,
        lambda root: _append(root / "ImageSets/Main/test.txt", "000009"),
        "list",
        "names 000009 twice",
    ),
    "map in colours": (
        "voc2012",
        build_voc2012,
        lambda root: write_image(root / "SegmentationClass/2008_000500.png", seed=1),
        "decode",
        "mode RGB",
    ),
    "map of another size": (
        "voc2012",
        build_voc2012,
        lambda root: write_map(root / "SegmentationClass/2008_000500.png", [0, 20], size=(20, 24)),
        "mask",
        "20x24 pixels, its image 24x20",
    ),
    "map with a class too many": (
        "voc2012",
        build_voc2012,
        lambda root: write_map(root / "SegmentationClass/2008_000500.png", [0, 20, 21]),
        "mask",
        "holds 21, which are no labels",
    ),
    "train ids under the name of label ids": (
        "cityscapes",
        build_cityscapes,
        lambda root: write_map(
            root / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png", [0, 18, 255], size=(24, 12)
        ),
        "mask",
        "255 (ignored) among labels that have no ignored value",
    ),
    "map missing": (
        "cityscapes",
        build_cityscapes,
        lambda root: (root / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png").unlink(),
        "missing",
        "has no gtFine/val/lindau",
    ),
    "frame missing": (
        "cityscapes",
        build_cityscapes,
        lambda root: (root / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png").unlink(),
        "missing",
        "has no leftImg8bit/val/lindau",
    ),
    "ADE20K prepared map under the name of an official one": (
        "ade20k",
        build_ade20k,
        lambda root: write_map(root / "annotations/training/ADE_train_00000001.png", [0, 149, 255]),
        "mask",
        "holds 255",
    ),
    "ADE20K map missing": (
        "ade20k",
        build_ade20k,
        lambda root: (root / "annotations/validation/ADE_val_00000002.png").unlink(),
        "missing",
        "has no annotations/validation/ADE_val_00000002.png",
    ),
    "ADE20K image missing": (
        "ade20k",
        build_ade20k,
        lambda root: (root / "images/validation/ADE_val_00000002.jpg").unlink(),
        "missing",
        "has no images/validation/ADE_val_00000002.jpg",
    ),
    "ImageNet image in the wrong folder": (
        "imagenet",
        build_imagenet,
        lambda root: (root / "train/n01440764/n01440764_0.JPEG").rename(root / "train/n01443537/n01440764_0.JPEG"),
        "label",
        "is an image of n01440764 in the folder of n01443537",
    ),
    "ImageNet class without validation images": (
        "imagenet",
        build_imagenet,
        lambda root: shutil.rmtree(root / "val/n01443537"),
        "missing",
        "has no folder n01443537",
    ),
    "CUB label out of range": (
        "cub200",
        build_cub200,
        lambda root: _replace_line(root / "image_class_labels.txt", 0, "1 201"),
        "label",
        "label 201 is not in 1-3",
    ),
    "CUB label of another folder": (
        "cub200",
        build_cub200,
        lambda root: _replace_line(root / "image_class_labels.txt", 0, "1 2"),
        "label",
        "labelled '002.Bird_1'",
    ),
    "CUB image without split": (
        "cub200",
        build_cub200,
        lambda root: _replace_line(root / "train_test_split.txt", 0, "1 2"),
        "list",
        "says nothing usable of image 1",
    ),
    "Flowers label 0": (
        "flowers102",
        build_flowers102,
        lambda root: _set_flower_label(root, 0),
        "label",
        "label 0 is not in 1-102",
    ),
    "Cars label 0-based": (
        "cars",
        build_cars,
        lambda root: _set_car_label(root, 0),
        "label",
        "00001.jpg: label 0 is not in 1-3",
    ),
    "Cars image not listed": (
        "cars",
        build_cars,
        lambda root: write_image(root / "cars_test/00099.jpg", seed=9),
        "unlisted",
        "is in no cars_test_annos",
    ),
    "Aircraft unknown variant": (
        "aircraft",
        build_aircraft,
        lambda root: _replace_line(root / "data/images_variant_val.txt", 0, "0001009 Concorde"),
        "label",
        "'Concorde' is not in variants.txt",
    ),
    "Indoor image missing": (
        "indoor67",
        build_indoor67,
        lambda root: (root / "Images/bakery/bakery_0001.jpg").unlink(),
        "missing",
        "names Images/bakery/bakery_0001.jpg",
    ),
    "Pets class contradicted": (
        "pets",
        build_pets,
        lambda root: _replace_line(root / "annotations/test.txt", 0, "Abyssinian_7 2 1 1"),
        "label",
        "Abyssinian_7: class 2",
    ),
    "DTD unknown class": (
        "dtd",
        build_dtd,
        lambda root: _append(root / "labels/test1.txt", "stripy/stripy_0001.jpg"),
        "label",
        "there is no folder images/stripy",
    ),
}
