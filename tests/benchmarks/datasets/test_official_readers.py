"""Each reader gives what its builder wrote: images, labels, boxes, maps, splits."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from miniature_files import write_lines, write_map, write_voc_xml
from miniatures import (
    BUILDERS,
    SYNSETS,
    build_ade20k,
    build_aircraft,
    build_cars,
    build_cityscapes,
    build_coco2017,
    build_cub200,
    build_dtd,
    build_flowers102,
    build_imagenet,
    build_indoor67,
    build_pets,
    build_voc0712,
    build_voc2007,
    build_voc2012,
    build_voc2012aug,
    flower_label,
)
from PIL import Image

from benchmarks.datasets.preparing import prepare
from benchmarks.datasets.readers import READABLE, read_official
from benchmarks.datasets.readers.ade20k import read_ade20k
from benchmarks.datasets.readers.cityscapes import TRAIN_IDS, read_cityscapes
from benchmarks.datasets.readers.voc import VOC_CLASSES
from benchmarks.datasets.registry import list_data_sets
from benchmarks.datasets.samples import OfficialData
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def sizes(data: OfficialData) -> dict[str, int]:
    return {split: len(samples) for split, samples in data.splits.items()}


def names(data: OfficialData, split: str) -> list[str]:
    """Class names of a single-label split."""
    return [data.classes[sample.labels[0]] for sample in data.split(split)]


def test_every_registered_data_set_has_a_reader_and_a_miniature() -> None:
    assert set(READABLE) == set(list_data_sets()) == set(BUILDERS) | {"scenes"}


def test_coco(tmp_path: Path) -> None:
    data = read_official("coco2017", build_coco2017(tmp_path))
    assert data.classes == ["person", "toothbrush"]
    assert sizes(data) == {"train": 6, "val": 4}
    empty, one, two = data.split("train")[:3]
    assert (empty.boxes, empty.labels, empty.image.name, empty.size) == ((), (), "000000000001.jpg", (24, 20))
    (box,) = one.boxes
    assert (box.label, box.left, box.top, box.right, box.bottom) == (1, 2, 3, 8.5, 11)
    assert two.labels == (0, 1)
    assert [box.crowd for box in data.split("train")[-1].boxes] == [False, False, True]


def test_voc2007(tmp_path: Path) -> None:
    data = read_official("voc2007", build_voc2007(tmp_path))
    assert data.classes == list(VOC_CLASSES)
    assert sizes(data) == {"train": 4, "val": 4, "trainval": 8, "test": 4}
    sample = data.split("train")[1]  # 000002: bird, cow or so, and a difficult third
    assert sample.image.name == "000002.jpg"
    assert [VOC_CLASSES[box.label] for box in sample.boxes] == [VOC_CLASSES[2], VOC_CLASSES[9], VOC_CLASSES[5]]
    assert [box.difficult for box in sample.boxes] == [False, False, True]
    assert sample.labels == (2, 9)
    first = sample.boxes[0]
    assert (first.left, first.top, first.right, first.bottom) == (0, 0, 10, 12)
    assert data.split("trainval") == data.split("train") + data.split("val")


def test_voc2012_and_its_palette_maps(tmp_path: Path) -> None:
    data = read_official("voc2012", build_voc2012(tmp_path))
    assert sizes(data) == {
        "train": 4,
        "val": 4,
        "trainval": 8,
        "segmentation_train": 4,
        "segmentation_val": 4,
        "segmentation_trainval": 8,
    }
    mask = data.split("segmentation_val")[0].mask
    assert mask is not None
    with Image.open(mask) as image:
        assert image.mode == "P"
        assert set(np.unique(np.asarray(image))) <= data.mask_values
    assert mask.stem == data.split("segmentation_val")[0].image.stem


def test_voc2012aug_needs_its_list_and_then_reads_it(tmp_path: Path) -> None:
    build_voc2012aug(tmp_path, each=4, added=3)
    with pytest.raises(UserError, match=r"no ImageSets/Segmentation/trainaug.txt \(did you mean"):
        read_official("voc2012aug", tmp_path)
    prepare("voc2012aug", tmp_path, partial=True)
    data = read_official("voc2012aug", tmp_path)
    assert sizes(data) == {"train": 7, "val": 4}
    assert {sample.mask.parent.name for sample in data.split("train") if sample.mask} == {"SegmentationClassAug"}
    assert {sample.mask.parent.name for sample in data.split("val") if sample.mask} == {"SegmentationClass"}


def test_voc0712_joins_both_years(tmp_path: Path) -> None:
    data = read_official("voc0712", build_voc0712(tmp_path))
    assert sizes(data) == {"trainval": 16, "test": 4}
    years = [sample.image.parent.parent.name for sample in data.split("trainval")]
    assert years == ["VOC2007"] * 8 + ["VOC2012"] * 8


def test_own_data_in_voc_layout_name_their_classes(tmp_path: Path) -> None:
    build_voc2007(tmp_path)
    for path in (tmp_path / "Annotations").iterdir():
        write_voc_xml(path, [("nut", 2, 2, 5, 5, 0), ("fig", 3, 3, 9, 9, 0)])
    data = read_official("voc", tmp_path)
    assert data.classes == ["fig", "nut"]
    assert data.split("test")[0].labels == (0, 1)


def test_real_data_in_voc_layout(shared_data: Path) -> None:
    data = read_official("voc", shared_data / "bccd_voc")
    assert data.classes == ["Platelets", "RBC", "WBC"]
    assert sizes(data) == {"train": 205, "val": 87, "trainval": 292, "test": 72}
    assert sum(len(sample.boxes) for split in ("trainval", "test") for sample in data.split(split)) == 4888


def test_cityscapes(tmp_path: Path) -> None:
    data = read_official("cityscapes", build_cityscapes(tmp_path))
    assert sizes(data) == {"train": 4, "val": 2, "test": 2}
    sample = data.split("train")[0]
    assert sample.image.name == "aachen_000000_000019_leftImg8bit.png"
    assert sample.mask == tmp_path / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    with pytest.raises(UserError, match="has no gtFine/train/aachen/aachen_000000_000019_gtFine_labelTrainIds.png"):
        read_cityscapes(Tree(tmp_path), labels="labelTrainIds")
    prepare("cityscapes", tmp_path)
    prepared = read_cityscapes(Tree(tmp_path), labels="labelTrainIds")
    assert prepared.mask_values == TRAIN_IDS
    assert prepared.split("train")[0].mask != sample.mask


def test_ade20k(tmp_path: Path) -> None:
    data = read_official("ade20k", build_ade20k(tmp_path))
    assert sizes(data) == {"train": 4, "val": 4}
    assert (len(data.classes), data.classes[0], data.classes[149]) == (150, "wall", "flag")
    sample = data.split("val")[1]
    assert sample.image == tmp_path / "images/validation/ADE_val_00000002.jpg"
    assert sample.mask == tmp_path / "annotations/validation/ADE_val_00000002.png"
    with pytest.raises(UserError, match="has no annotations_detectron2/training/ADE_train_00000001.png"):
        read_ade20k(Tree(tmp_path), maps="annotations_detectron2")
    prepare("ade20k", tmp_path)
    assert "0 maps written, 8 were there" in prepare("ade20k", tmp_path)[0]
    prepared = read_ade20k(Tree(tmp_path), maps="annotations_detectron2")
    assert prepared.mask_values == frozenset({*range(150), 255})
    for official, own in zip(data.split("train"), prepared.split("train"), strict=True):
        with Image.open(official.mask) as before, Image.open(own.mask) as after:
            labels = np.asarray(before).astype(int)
            assert np.array_equal(np.asarray(after), np.where(labels == 0, 255, labels - 1))
    write_map(tmp_path / "annotations/training/ADE_train_00000001.png", [0, 151])
    with pytest.raises(UserError, match="holds 151, which is no label"):
        prepare("ade20k", tmp_path)


def test_imagenet(tmp_path: Path) -> None:
    data = read_official("imagenet", build_imagenet(tmp_path))
    assert data.classes == list(SYNSETS)
    assert sizes(data) == {"train": 12, "val": 6}
    for split in ("train", "val"):
        assert names(data, split) == [sample.image.parent.name for sample in data.split(split)]


def test_imagenet_with_flat_validation_images_is_refused(tmp_path: Path) -> None:
    build_imagenet(tmp_path)
    for path in sorted((tmp_path / "val").rglob("*.JPEG")):
        path.rename(tmp_path / "val" / path.name)
    for folder in SYNSETS:
        (tmp_path / "val" / folder).rmdir()
    with pytest.raises(UserError, match=r"the images of val/ lie flat \(ILSVRC2012_val_"):
        read_official("imagenet", tmp_path)


def test_cub(tmp_path: Path) -> None:
    data = read_official("cub200", build_cub200(tmp_path, classes=3, each=4))
    assert data.classes == ["001.Bird_0", "002.Bird_1", "003.Bird_2"]
    assert sizes(data) == {"train": 6, "test": 6}
    for split in ("train", "test"):
        assert names(data, split) == [sample.image.parent.name for sample in data.split(split)]
    assert [sample.image.name for sample in data.split("train")][:2] == ["Bird_0_0000.jpg", "Bird_0_0002.jpg"]


def test_flowers(tmp_path: Path) -> None:
    data = read_official("flowers102", build_flowers102(tmp_path))
    assert sizes(data) == {"train": 4, "val": 4, "test": 6, "trainval": 8}
    for sample in data.split("trainval") + data.split("test"):
        assert sample.labels == (flower_label(int(sample.image.stem[-5:])) - 1,)
    assert len({sample.image for sample in data.split("trainval") + data.split("test")}) == 14


def test_cars(tmp_path: Path) -> None:
    data = read_official("cars", build_cars(tmp_path, classes=3, train=6, test=4))
    assert data.classes == [f"Make {label} Coupe 2012" for label in range(3)]
    assert sizes(data) == {"train": 6, "test": 4}
    assert [sample.labels for sample in data.split("test")] == [(0,), (1,), (2,), (0,)]
    assert data.split("test")[1].image == tmp_path / "cars_test/00002.jpg"


def test_cars_without_test_labels_names_the_file_to_add(tmp_path: Path) -> None:
    build_cars(tmp_path)
    (tmp_path / "cars_test_annos_withlabels.mat").rename(tmp_path / "devkit/cars_test_annos.mat")
    with pytest.raises(UserError, match=r"cars_test_annos.mat has no labels; add cars_test_annos_withlabels.mat"):
        read_official("cars", tmp_path)


def test_a_set_of_one_image_reads_too(tmp_path: Path) -> None:
    """MATLAB's squeezed arrays of one element have no dimension."""
    data = read_official("cars", build_cars(tmp_path, classes=1, train=1, test=1))
    assert (sizes(data), data.classes) == ({"train": 1, "test": 1}, ["Make 0 Coupe 2012"])


def test_matlab_files_are_never_unpickled(tmp_path: Path) -> None:
    build_flowers102(tmp_path)

    class Harm:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "harm",))

    (tmp_path / "setid.mat").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(UserError, match=r"setid.mat: not a MATLAB file"):
        read_official("flowers102", tmp_path)
    assert not (tmp_path / "harm").exists()


def test_aircraft(tmp_path: Path) -> None:
    data = read_official("aircraft", build_aircraft(tmp_path, each=2))
    assert data.classes == ["707-320", "A330-200", "Cessna 172", "F/A-18"]
    assert sizes(data) == {"train": 8, "val": 8, "test": 8, "trainval": 16}
    assert names(data, "test") == [name for name in data.classes for _ in range(2)]


def test_indoor(tmp_path: Path) -> None:
    data = read_official("indoor67", build_indoor67(tmp_path, train=3, test=2))
    assert data.classes == ["airport_inside", "bakery", "winecellar"]
    assert sizes(data) == {"train": 9, "test": 6}
    assert data.split("train")[0].image.name == "airport_inside 0000.jpg"  # with a blank in its name
    assert names(data, "test") == [sample.image.parent.name for sample in data.split("test")]


def test_pets(tmp_path: Path) -> None:
    data = read_official("pets", build_pets(tmp_path))
    assert data.classes == ["Abyssinian", "american_bulldog", "Bengal"]
    assert sizes(data) == {"trainval": 6, "test": 6}
    assert names(data, "test") == [sample.image.stem.rpartition("_")[0] for sample in data.split("test")]


def test_dtd(tmp_path: Path) -> None:
    data = read_official("dtd", build_dtd(tmp_path, partitions=2))
    assert data.classes == ["banded", "blotchy", "zigzagged"]
    assert sizes(data) == {f"{split}{n}": 6 for n in (1, 2) for split in ("train", "val", "test")} | {
        "trainval1": 12,
        "trainval2": 12,
    }
    assert data.split("test1") != data.split("test2")


def test_scenes(tmp_path: Path) -> None:
    folder = generate_scenes(tmp_path / "s", ScenesSpec(images=6, size=32, seed=1))
    data = read_official("scenes", folder.root)
    assert data.classes == folder.categories
    assert sizes(data) == folder.splits
    assert all(sample.mask is not None and sample.boxes for sample in data.split("train"))


def test_what_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown value 'voc207' .did you mean 'voc2007'"):
        read_official("voc207", "anywhere")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_official("voc2007", "nowhere")


def test_a_split_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    data = read_official("pets", build_pets(tmp_path))
    with pytest.raises(UserError, match="split: unknown value 'trainvall' .did you mean 'trainval'"):
        data.split("trainvall")


def test_the_strict_reader_stops_at_the_first_fault(tmp_path: Path) -> None:
    build_voc2007(tmp_path)
    write_lines(tmp_path / "ImageSets/Main/test.txt", ["000009", "999999"])
    with pytest.raises(UserError, match=r"test.txt: names JPEGImages/999999.jpg, which is not there; 'scenebench"):
        read_official("voc2007", tmp_path)
