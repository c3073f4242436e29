"""``data check`` passes clean data of every layout, and finds each kind of damage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from miniatures import (
    BUILDERS,
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
    build_voc2007,
    build_voc2012,
    build_voc2012aug,
    write_image,
    write_lines,
    write_map,
    write_voc_xml,
)
from scipy.io import loadmat, savemat

from benchmarks.datasets.checking.check import CheckOptions, check
from benchmarks.datasets.checking.findings import Finding, Report
from benchmarks.datasets.preparing import prepare
from benchmarks.datasets.registry import describe
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from scenebench.errors import UserError

PUBLISHED_SIZE_UNKNOWN = {"image_size": None, "md5": {}}


def run(name: str, root: Path, **options: object) -> Report:
    """A check of a miniature: published counts, sizes and checksums do not hold for it."""
    description = dataclasses.replace(describe(name), **PUBLISHED_SIZE_UNKNOWN)
    chosen = CheckOptions(**{"partial": True, "cache": root.parent / "cache", **options})
    return check(name, root, chosen, description)[0]


def only(report: Report, kind: str) -> Finding:
    """The one finding, of this kind."""
    assert [finding.kind for finding in report.findings] == [kind], report.lines()
    assert report.exit_code == 1
    return report.findings[0]


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("quick", [False, True])
def test_a_clean_miniature_has_no_findings(name: str, quick: bool, tmp_path: Path) -> None:
    root = BUILDERS[name](tmp_path / "data")
    if name == "voc2012aug":
        prepare(name, root, partial=True)
    report = run(name, root, quick=quick)
    assert report.findings == []
    assert report.exit_code == 0
    assert report.inspected >= sum(report.images.values()) / 4 > 0


def test_clean_scenes_have_no_findings_and_a_touched_one_has(tmp_path: Path) -> None:
    folder = generate_scenes(tmp_path / "data", ScenesSpec(images=6, size=32, seed=1))
    assert run("scenes", folder.root).findings == []
    image = folder.images("train")[0]
    shutil.copy(folder.images("train")[1], image)
    kinds = {finding.kind for finding in run("scenes", folder.root).findings}
    assert kinds == {"checksum"}


Damage = Callable[[Path], object]
DAMAGES: dict[str, tuple[str, Callable[..., Path], Damage, str, str]] = {
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
    "COCO box without area": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, bbox=[2, 3, 6.5, 0]),
        "box",
        "annotation 2000: has no area",
    ),
    "COCO box outside": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, bbox=[2, 3, 40, 5]),
        "box",
        "annotation 2000: reaches 18 pixels",
    ),
    "COCO box of three numbers": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, bbox=[2, 3, 40]),
        "box",
        "not four numbers",
    ),
    "COCO unknown category": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, category_id=2),
        "label",
        "annotation 2000: category 2",
    ),
    "COCO unknown image": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, image_id=77),
        "missing",
        "annotation 2000: of image 77",
    ),
    "COCO id twice": ("coco2017", build_coco2017, lambda root: _change_coco(root, id=3000), "list", "given twice"),
    "COCO id of another type": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, image_id=[1]),
        "list",
        "annotation 2000: needs an id",
    ),
    "COCO polygon of two points": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, segmentation=[[1, 2, 3, 4]]),
        "mask",
        "at least three points",
    ),
    "COCO run lengths of another size": (
        "coco2017",
        build_coco2017,
        lambda root: _change_coco(root, segmentation={"size": [24, 20], "counts": [480]}),
        "mask",
        "run lengths are of size [24, 20]",
    ),
    "COCO image not listed": (
        "coco2017",
        build_coco2017,
        lambda root: write_image(root / "train2017/000000009999.jpg", seed=5),
        "unlisted",
        "is in no instances_train2017.json",
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


@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_is_found_once_and_nothing_else(what: str, tmp_path: Path) -> None:
    name, build, damage, kind, message = DAMAGES[what]
    root = build(tmp_path / "data")
    damage(root)
    assert message in str(only(run(name, root), kind))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "'images' must be a list of objects"),
        ('{"images": [3], "annotations": [], "categories": []}', "'images' must be a list of objects"),
        ('{"images": [{"id": [1], "file_name": "a"}], "annotations": [], "categories": []}', "lacks or mistypes id"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', "lacks or mistypes id"),
        ('{"images": [], "annotations": [{"id": 1, "area": NaN}], "categories": []}', "NaN is no number of JSON"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_what_is_no_coco_json_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "data")
    (root / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(UserError, match=message):
        run("coco2017", root)


def test_a_cache_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "data")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made .*; choose another with --cache"):
        run("voc2007", root, cache=tmp_path / "file" / "cache")


def test_zero_based_classes_mixed_with_255_are_found(tmp_path: Path) -> None:
    root = build_voc2012aug(tmp_path / "data")
    prepare("voc2012aug", root, partial=True)
    for folder in ("SegmentationClass", "SegmentationClassAug"):
        for path in (root / folder).iterdir():
            write_map(path, [*range(20), 255])
    finding = only(run("voc2012aug", root), "label")
    assert "0-based classes mixed with the ignored 255" in finding.message


def test_counts_that_differ_are_found_unless_the_data_are_partial(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "data")
    description = dataclasses.replace(
        describe("voc2007"),
        images={"train": 4, "test": 5},
        classes=21,
        objects={"train": 8, "test": 9},
        objects_by_class={"train": {"bicycle": 1, "bird": 2}},
    )
    options = CheckOptions(cache=tmp_path / "cache")
    report, _ = check("voc2007", root, options, description)
    messages = [finding.message for finding in report.findings]
    assert Counter(finding.kind for finding in report.findings) == {"counts": 4}
    assert messages == [
        "20 classes, published 21",
        "test: 4 images, published 5",
        "test: 8 objects, published 9",
        "train: 1 objects 'bird', published 2",
    ]
    partial, _ = check("voc2007", root, dataclasses.replace(options, partial=True), description)
    assert partial.exit_code == 0
    assert "partial" in " ".join(partial.notes)


def test_the_two_flat_boxes_of_official_coco_are_notes(tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "data")
    _change_coco(root, id=918, bbox=[2, 3, 6.5, 0])
    report = run("coco2017", root)
    assert report.exit_code == 0
    assert "annotation 918: has no area (height 0 in the official file" in report.notes[0]


def test_accepted_kinds_become_notes_and_unknown_kinds_are_refused(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "data")
    shutil.copy(root / "JPEGImages/000001.jpg", root / "JPEGImages/000009.jpg")
    report = run("voc2007", root, accept=("duplicate",))
    assert report.exit_code == 0
    assert report.notes[0].startswith("accepted: JPEGImages/000009.jpg")
    with pytest.raises(UserError, match="did you mean 'duplicate'"):
        CheckOptions(accept=("duplicates",))


def test_checksum_lists(tmp_path: Path) -> None:
    root = build_flowers102(tmp_path / "data")
    lines = [
        f"{hashlib.md5((root / path).read_bytes()).hexdigest()}  {path}"
        for path in ("setid.mat", "jpg/image_00001.jpg")
    ]
    good = write_lines(tmp_path / "good.md5", lines)
    assert run("flowers102", root, md5=good).findings == []
    bad = write_lines(tmp_path / "bad.md5", [*lines, "0" * 32 + " *imagelabels.mat", "0" * 32 + "  jpg/absent.jpg"])
    found = {finding.path: finding.kind for finding in run("flowers102", root, md5=bad).findings}
    assert found == {"imagelabels.mat": "checksum", "jpg/absent.jpg": "missing"}
    with pytest.raises(UserError, match="line 1: expected '<md5>  <path>'"):
        run("flowers102", root, md5=write_lines(tmp_path / "no.md5", ["hello"]))


def test_published_checksums_are_compared(tmp_path: Path) -> None:
    root = build_flowers102(tmp_path / "data")
    report, _ = check("flowers102", root, CheckOptions(partial=True, cache=tmp_path / "cache"))
    assert sorted(f.path for f in report.findings if f.kind == "checksum") == ["imagelabels.mat", "setid.mat"]


def test_real_data_have_their_two_flat_boxes(shared_data: Path, tmp_path: Path) -> None:
    report, _ = check("voc", shared_data / "bccd_voc", CheckOptions(cache=tmp_path))
    assert report.files >= 728
    flat = [finding for finding in report.findings if finding.message.endswith("has no area")]
    assert len(flat) == 2


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def _append(path: Path, line: str) -> None:
    path.write_text(path.read_text() + line + "\n")


def _replace_line(path: Path, index: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[index] = line
    write_lines(path, lines)


def _change_coco(root: Path, **values: object) -> None:
    """Change the first annotation of image 2."""
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    annotation = next(entry for entry in content["annotations"] if entry["id"] == 2000)
    annotation.update(values)
    path.write_text(json.dumps(content))


def _set_flower_label(root: Path, label: int) -> None:
    labels = loadmat(root / "imagelabels.mat")["labels"]
    labels[0, 0] = label
    savemat(root / "imagelabels.mat", {"labels": labels})


def _set_car_label(root: Path, label: int) -> None:
    path = root / "cars_test_annos_withlabels.mat"
    annotations = loadmat(path)["annotations"]
    annotations["class"][0, 0] = label
    savemat(path, {"annotations": annotations})
