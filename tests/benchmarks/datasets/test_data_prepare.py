"""``data prepare`` writes what papers assume, once, and refuses what contradicts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from miniature_files import write_lines, write_map, write_voc_xml
from miniatures import (
    SYNSETS,
    build_cars,
    build_cityscapes,
    build_coco2017,
    build_cub200,
    build_flowers102,
    build_imagenet,
    build_voc0712,
    build_voc2007,
    build_voc2012aug,
)
from PIL import Image
from pycocotools.coco import COCO

from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco
from benchmarks.datasets.preparing import prepare
from benchmarks.datasets.preparing.cityscapes import train_id_table
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.readers.imagenet import read_subset
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

TRAINAUG = "ImageSets/Segmentation/trainaug.txt"


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


def test_voc0712_lists(tmp_path: Path) -> None:
    build_voc0712(tmp_path)
    lines = prepare("voc0712", tmp_path)
    assert [line.rpartition(": ")[2] for line in lines] == ["16 entries", "4 entries"]
    entries = (tmp_path / "lists/voc0712_trainval.txt").read_text().splitlines()
    assert entries[0] == "VOC2007/JPEGImages/000001.jpg VOC2007/Annotations/000001.xml"
    assert entries[-1].startswith("VOC2012/JPEGImages/2008_")
    assert all((tmp_path / path).is_file() for entry in entries for path in entry.split())


@pytest.mark.parametrize("name", ["voc", "voc0712", "cityscapes", "voc2012aug", "cub200", "imagenet"])
def test_the_second_preparation_changes_nothing(name: str, tmp_path: Path) -> None:
    root = {
        "voc": build_voc2007,
        "voc0712": build_voc0712,
        "cityscapes": build_cityscapes,
        "voc2012aug": build_voc2012aug,
        "cub200": build_cub200,
        "imagenet": build_imagenet,
    }[name](tmp_path / "data")
    lists = (write_lines(tmp_path / "few.txt", ["n01440764_0.JPEG"]),) if name == "imagenet" else ()
    prepare(name, root, lists=lists, partial=True)
    before = snapshot(tmp_path)
    lines = prepare(name, root, lists=lists, partial=True)
    assert snapshot(tmp_path) == before
    assert all("already there" in line or "0 train-id maps written" in line for line in lines)


def test_own_data_in_voc_layout_become_coco_instances(tmp_path: Path) -> None:
    """They go into a run as any COCO folder does; pycocotools reads them, and a box is where VOC says it is."""
    root, out = build_voc2007(tmp_path / "photos"), tmp_path / "out"
    objects = [("nut", 1, 1, 10, 12, 0), ("fig", 8, 5, 24, 20, 1), ("nut", 7, 7, 7, 9, 0)]
    write_voc_xml(root / "Annotations/000001.xml", objects, size=(999, 999))
    lines = prepare("voc", root, out=out)
    assert lines[0] == f"{out}/instances_train.json: 4 images, 10 objects, without extent and left out: 1"
    splits = {split: COCO(out / f"instances_{split}.json") for split in ("train", "val", "trainval", "test")}
    assert {split: len(each.imgs) for split, each in splits.items()} == {"train": 4, "val": 4, "trainval": 8, "test": 4}
    train = splits["train"]
    assert all(each.dataset["categories"] == train.dataset["categories"] for each in splits.values())
    assert set(train.imgs) | set(splits["val"].imgs) == set(splits["trainval"].imgs)
    assert not set(splits["trainval"].imgs) & set(splits["test"].imgs)
    assert train.imgs[1] == {"id": 1, "file_name": "JPEGImages/000001.jpg", "width": 24, "height": 20}
    nut, fig = train.imgToAnns[1]
    assert (train.cats[nut["category_id"]]["name"], nut["bbox"], nut["area"], nut["iscrowd"]) == (
        "nut",
        [0, 0, 10, 12],
        120,
        0,
    )
    assert (train.cats[fig["category_id"]]["name"], fig["bbox"], fig["iscrowd"]) == ("fig", [7, 4, 17, 16], 1)
    annotations = [str(out / f"instances_{split}.json") for split in ("trainval", "test")]
    spec = CocoSpec(images=str(root), annotations=annotations[0], test_annotations=annotations[1])
    assert prepare_coco(tmp_path / "prepared", spec).splits == {"train": 8, "test": 4}


def test_what_stands_in_the_way_of_instances_is_not_overwritten(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "photos")
    prepare("voc", root)
    (root / "instances_val.json").write_text("{}")  # as of other data
    with pytest.raises(UserError, match=r"instances_val.json: is there and does not say .*\(4 images, 10 objects\)"):
        prepare("voc", root)
    assert (root / "instances_val.json").read_text() == "{}"
    (root / "JPEGImages/000001.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"000001.jpg: not a readable image"):
        prepare("voc", root, out=tmp_path / "other")


def test_trainaug_is_what_has_a_map_and_is_not_in_val(tmp_path: Path) -> None:
    build_voc2012aug(tmp_path, each=4, added=3)
    prepare("voc2012aug", tmp_path, partial=True)
    stems = (tmp_path / TRAINAUG).read_text().split()
    val = (tmp_path / "ImageSets/Segmentation/val.txt").read_text().split()
    train = (tmp_path / "ImageSets/Segmentation/train.txt").read_text().split()
    assert sorted(stems) == sorted([*train, "2010_000001", "2010_000002", "2010_000003"])
    assert not set(stems) & set(val)


def test_trainaug_must_have_the_published_size(tmp_path: Path) -> None:
    build_voc2012aug(tmp_path)
    with pytest.raises(UserError, match="gives 7 training stems, published 10582; --partial"):
        prepare("voc2012aug", tmp_path)
    assert not (tmp_path / TRAINAUG).exists()


def test_trainaug_from_a_list_in_either_published_form(tmp_path: Path) -> None:
    root = build_voc2012aug(tmp_path / "data")
    stems = ["2010_000002", "2010_000001"]
    pairs = [f"/JPEGImages/{stem}.jpg /SegmentationClassAug/{stem}.png" for stem in stems]
    for number, lines in enumerate((stems, pairs)):
        out = tmp_path / f"out{number}"
        prepare("voc2012aug", root, out=out, lists=(write_lines(tmp_path / "list.txt", lines),), partial=True)
        assert (out / TRAINAUG).read_text().split() == stems


@pytest.mark.parametrize(
    ("stems", "message"),
    [
        (["2010_000001", "2010_000001"], "names 1 stems twice"),
        (["2008_000504"], "2008_000504 and 0 more are in val.txt too"),
        (["2010_000999"], "have no map in SegmentationClassAug"),
    ],
)
def test_a_wrong_trainaug_list_is_refused(stems: list[str], message: str, tmp_path: Path) -> None:
    root = build_voc2012aug(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        prepare("voc2012aug", root, lists=(write_lines(tmp_path / "list.txt", stems),), partial=True)


def test_a_list_in_the_way_is_never_overwritten(tmp_path: Path) -> None:
    root = build_voc2012aug(tmp_path)
    write_lines(tmp_path / TRAINAUG, ["2010_000001"])
    with pytest.raises(UserError, match="is there with 1 entries that are not the 7"):
        prepare("voc2012aug", root, partial=True)
    assert (tmp_path / TRAINAUG).read_text() == "2010_000001\n"


def test_train_ids_are_those_of_the_official_table() -> None:
    """The 19 evaluated names and their label ids, as the official label definitions list them."""
    official = {"road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19}
    official |= {"traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26}
    official |= {"truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33}
    from benchmarks.datasets.readers.cityscapes import CLASSES

    table = train_id_table()
    assert {name: int(np.flatnonzero(table == CLASSES.index(name))[0]) for name in CLASSES} == official
    assert (table == 255).sum() == 256 - 19


def test_train_id_maps_hold_the_classes_pixel_by_pixel(tmp_path: Path) -> None:
    build_cityscapes(tmp_path, each=1)
    prepare("cityscapes", tmp_path)
    for source in (tmp_path / "gtFine").rglob("*_labelIds.png"):
        labels = np.asarray(Image.open(source))
        with Image.open(str(source).replace("_labelIds", "_labelTrainIds")) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), train_id_table()[labels])


def test_train_ids_under_the_name_of_label_ids_are_refused(tmp_path: Path) -> None:
    build_cityscapes(tmp_path)
    write_map(tmp_path / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png", [0, 18, 255], size=(24, 12))
    with pytest.raises(UserError, match="holds 255, which is no label id"):
        prepare("cityscapes", tmp_path)


def test_imagenet_subset_by_a_published_list(tmp_path: Path) -> None:
    root = build_imagenet(tmp_path / "data")
    listed = write_lines(tmp_path / "1percent.txt", ["n02084071_12.JPEG", "n01440764_0.JPEG", "n01443537_1.JPEG"])
    prepare("imagenet", root, lists=(listed,), partial=True)
    samples = read_subset(Tree(root), root / "lists/imagenet_1percent.tsv")
    assert [sample.image.name for sample in samples] == listed.read_text().split()
    assert [SYNSETS[sample.labels[0]] for sample in samples] == ["n02084071", "n01440764", "n01443537"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["n01440764_0.JPEG"], "1 images; published lists have 12811 .1 %., 128116 .10 %."),
        (["n01440764_77.JPEG"], "line 1: .* has no train/n01440764/n01440764_77.JPEG"),
        (["n99999999_0.JPEG"], "line 1: 'n99999999_0.JPEG' names no class"),
        (["n01440764_0.JPEG"] * 2, "names 1 images twice"),
    ],
)
def test_a_wrong_imagenet_list_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    root = build_imagenet(tmp_path / "data")
    with pytest.raises(UserError, match=message):
        prepare("imagenet", root, lists=(write_lines(tmp_path / "1percent.txt", lines),))
    assert not (root / "lists").exists()


def test_imagenet_needs_its_lists(tmp_path: Path) -> None:
    root = build_imagenet(tmp_path)
    with pytest.raises(UserError, match="give the published lists with --list"):
        prepare("imagenet", root)
    with pytest.raises(UserError, match="absent.txt: no such list"):
        prepare("imagenet", root, lists=(tmp_path / "absent.txt",))


@pytest.mark.parametrize(
    ("name", "build"), [("cars", build_cars), ("cub200", build_cub200), ("flowers102", build_flowers102)]
)
def test_split_files_say_what_the_reader_says(name: str, build: object, tmp_path: Path) -> None:
    root = build(tmp_path / "data")  # type: ignore[operator]
    prepare(name, root, out=tmp_path / "out")
    for split, samples in read_official(name, root).splits.items():
        rows = [line.split("\t") for line in (tmp_path / f"out/lists/{name}_{split}.tsv").read_text().splitlines()]
        assert [(root / path, (int(label),)) for path, label in rows] == [(s.image, s.labels) for s in samples]
    assert not (root / "lists").exists()


def test_what_needs_no_preparation_says_so(tmp_path: Path) -> None:
    root = build_coco2017(tmp_path)
    assert "nothing to prepare" in prepare("coco2017", root)[0]
    with pytest.raises(UserError, match="lists are for voc2012aug and imagenet"):
        prepare("coco2017", root, lists=(tmp_path / "x",))
