"""``data check`` passes clean data of every layout, and finds each kind of damage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from coco_damages import change_coco
from damages import DAMAGES
from miniature_files import write_lines, write_map
from miniatures import (
    BUILDERS,
    build_coco2017,
    build_flowers102,
    build_voc2007,
    build_voc2012aug,
)
from PIL import ExifTags, Image

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


@pytest.mark.parametrize("what", DAMAGES)
def test_each_damage_is_found_once_and_nothing_else(what: str, tmp_path: Path) -> None:
    name, build, damage, kind, message = DAMAGES[what]
    root = build(tmp_path / "data")
    damage(root)
    assert message in str(only(run(name, root), kind))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not COCO instances: it holds a list"),
        ('{"images": [3], "annotations": [], "categories": []}', "'images' must be a list of objects"),
        ('{"images": [{"id": [1], "file_name": "a"}], "annotations": [], "categories": []}', "needs an 'id'"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', "needs an integer 'id'"),
        ('{"images": [], "annotations": [{"id": 1}], "categories": []}', "'categories' is empty"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_what_is_no_coco_json_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "data")
    (root / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(UserError, match=message):
        run("coco2017", root)


def test_nan_is_found_and_the_rest_is_read(tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "data")
    change_coco(root, area=float("nan"))
    assert "1 values are NaN or infinite, which is no number of JSON" in only(run("coco2017", root), "list").message


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("size", [(24, 20), (20, 24)])
def test_a_picture_turned_by_exif_may_be_annotated_either_way(
    size: tuple[int, int], quick: bool, tmp_path: Path
) -> None:
    root = build_coco2017(tmp_path / "data")
    path = root / "train2017" / "000000000002.jpg"
    with Image.open(path) as image:
        exif = image.getexif()
        exif[ExifTags.Base.Orientation] = 6
        image.resize(size).save(path, exif=exif)
    assert run("coco2017", root, quick=quick).findings == []


def test_most_boxes_contradicting_their_masks_is_found_with_the_likely_mistake(tmp_path: Path) -> None:
    root = build_coco2017(tmp_path / "data")
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation |= {"bbox": [8, 6, 18, 16], "segmentation": [[8, 6, 18, 6, 18, 16, 8, 16]]}
    path.write_text(json.dumps(content))
    found = [finding.message for finding in run("coco2017", root).findings if finding.path.endswith("2017.json")]
    assert any("boxes contradict their masks: they look like corners [x1, y1, x2, y2]" in message for message in found)


def test_a_cache_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "data")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made .*; choose another with --cache"):
        run("voc2007", root, cache=tmp_path / "file" / "cache")


@pytest.mark.parametrize("home", ["none", "read-only"])
def test_without_a_home_the_report_lies_in_a_temporary_folder_and_that_is_said(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if home == "none":
        monkeypatch.setattr(Path, "home", no_home)
    else:
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said: list[str] = []
    root = build_voc2007(tmp_path / "data")
    report, path = check("voc2007", root, CheckOptions(partial=True), report_step=said.append)
    assert report.exit_code == 0
    assert path.is_file()
    assert path.parent.parent == tmp_path
    why = "there is no home folder" if home == "none" else "cannot be made"
    assert any(why in line and str(path.parent) in line and "--cache" in line for line in said)


def test_a_picture_that_no_toolbox_can_resize_is_found(tmp_path: Path) -> None:
    root = build_voc2007(tmp_path / "data")
    path = root / "JPEGImages/000001.jpg"
    Image.new("RGB", (3000, 1)).save(path)
    report = run("voc2007", root)
    assert any("3000 x 1 pixels: one side is more than 100 times" in finding.message for finding in report.findings)


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
    change_coco(root, id=918, bbox=[2, 3, 6.5, 0])
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
