"""The small sets of photographs: their lists, splits and sizes, and both ways to make them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from miniature_files import write_image, write_lines, write_map
from PIL import Image
from small_photos import (
    COCO_IDS,
    COUNT,
    SIZE,
    build_given,
    build_official_ade,
    build_official_coco,
    build_official_voc,
)

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.photos import building, sets
from benchmarks.datasets.photos.building import prepare_all, prepare_set
from benchmarks.datasets.photos.entries import ade20k_classes, label_table
from benchmarks.datasets.photos.finding import identity_of
from benchmarks.datasets.photos.official import merge_animals
from benchmarks.datasets.photos.sets import SETS, SPLITS, read_names, split_of
from benchmarks.datasets.photos.sizes import shrink_map, small_size
from benchmarks.datasets.show import describe
from pretrain.data.sources.description import describe_source
from scenebench.cli import main
from scenebench.errors import UserError

PHOTOS = Path(__file__).parents[4] / "shared/data/photos"
quiet = {"report": lambda line: None}


def splits_of(folder: DatasetFolder) -> dict[str, list[str]]:
    return {split: [path.name for path in folder.images(split)] for split in SPLITS}


def test_the_split_is_a_rule_on_the_name() -> None:
    for name in read_names(SETS["coco_small"])[:500]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        expected = "test" if int(digest[:8], 16) % 5 == 0 else "val" if int(digest[8:16], 16) % 10 == 0 else "train"
        assert split_of(name) == expected


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("coco_small", {"train": 4225, "val": 458, "test": 1236}),
        ("ade20k_small", {"train": 1447, "val": 169, "test": 384}),
        ("voc_small", {"train": 2558, "val": 306, "test": 686}),
    ],
)
def test_the_committed_lists_have_these_splits(name: str, counts: dict[str, int]) -> None:
    names = read_names(SETS[name])
    assert {split: sum(split_of(one) == split for one in names) for split in SPLITS} == counts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((640, 480), (170, 128)),
        ((480, 640), (128, 170)),
        ((640, 427), (192, 128)),
        ((640, 428), (191, 128)),
        ((640, 360), (227, 128)),
        ((500, 442), (145, 128)),  # 2008_000008 of VOC
        ((683, 512), (171, 128)),  # most of ADE20K
        ((300, 300), (128, 128)),
    ],
)
def test_sizes(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert small_size(*before) == after


def test_a_map_keeps_its_labels_when_it_is_made_small() -> None:
    labels = np.kron(np.array([[3, 7], [255, 0]], dtype=np.uint8), np.ones((64, 85), dtype=np.uint8))
    small = shrink_map(labels, (85, 64))
    assert small.shape == (64, 85)
    assert set(np.unique(small)) == {0, 3, 7, 255}
    assert small[0, 0] == 3
    assert small[-1, -1] == 0


def _stored(folder: Path, part: str, has_boxes: bool) -> set[str]:
    if has_boxes:
        content = json.loads((folder / f"instances_{part}.json").read_text())
        return {image["file_name"] for image in content["images"]}
    return {f"{stem}.jpg" for stem in (folder / f"{part}.txt").read_text().split()}


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the small pictures are not here")
def test_the_lists_are_what_the_folders_hold() -> None:
    for one in SETS.values():
        folder = PHOTOS / one.given
        assert read_names(one) == sorted(path.name for path in (folder / "images").iterdir())
        stored = {part: _stored(folder, part, one.has_boxes) for part in ("train", "test")}
        for name in read_names(one):
            assert name in stored["test" if split_of(name) == "test" else "train"]


def test_coco_out_of_the_official_data(tmp_path: Path) -> None:
    root = build_official_coco(tmp_path / "coco")
    listed = write_lines(tmp_path / "ids.txt", [str(number) for number in COCO_IDS[:-2]])
    folder = prepare_set("coco_small", root, tmp_path / "out", listed, **quiet)
    assert folder.categories == ["person", "animal", "toothbrush"]
    expected = {split: [] for split in SPLITS}
    for number in COCO_IDS[:-2]:
        expected[split_of(f"{number:012d}.jpg")].append(f"{number:012d}.jpg")
    assert splits_of(folder) == expected
    with Image.open(folder.images("train")[0]) as picture:
        assert (picture.size, picture.mode, picture.format) == ((170, 128), "RGB", "JPEG")
    content, _ = folder.instances("train")
    assert [(one["id"], one["name"]) for one in content["categories"]] == [
        (1, "person"),
        (16, "animal"),
        (90, "toothbrush"),
    ]
    own = [one for one in content["annotations"] if one["image_id"] == 1]
    across, down = 170 / SIZE[0], 128 / SIZE[1]
    animal = [round(value, 2) for value in (6 * across, 9 * down, 30 * across, 18 * down)]
    assert [(one["category_id"], one["bbox"]) for one in own] == [
        (16, pytest.approx(animal, abs=0.011)),
        (1, pytest.approx([0, 0, 34, 128])),
    ], "the box without area is dropped"
    assert not any(one["iscrowd"] for one in content["annotations"])
    assert not any("segmentation" in one for one in content["annotations"])
    assert folder.multilabel("test").tolist() == [[1, 1, 0]] * folder.splits["test"]
    with pytest.raises(UserError, match="has no semantic maps"):
        folder.semantic("train")


def test_all_ten_animals_are_one() -> None:
    merged = merge_animals([(number, f"c{number}") for number in (15, *range(16, 26), 27)])
    assert merged == [(15, "c15"), (16, "animal"), (27, "c27")]


def test_voc_takes_its_own_maps_first(tmp_path: Path) -> None:
    root, listed = build_official_voc(tmp_path / "voc")
    folder = prepare_set("voc_small", root, tmp_path / "out", listed, **quiet)
    assert (folder.semantic_classes[:2], len(folder.semantic_classes)) == (["background", "aeroplane"], 21)
    for image, path in zip(folder.images("train"), folder.semantic("train"), strict=True):
        labels = np.asarray(Image.open(path))
        assert labels.shape == (128, 170)
        assert set(np.unique(labels)) == ({0, 8, 255} if int(image.stem[-1]) % 2 else {0, 12})
    cat, dog = 7, 11
    held = folder.multilabel("train")
    assert (held[:, cat] + held[:, dog] == 1).all()
    assert held.sum() == len(held)


def test_ade20k_has_no_background(tmp_path: Path) -> None:
    root, listed = build_official_ade(tmp_path / "ade")
    folder = prepare_set("ade20k_small", root, tmp_path / "out", listed, **quiet)
    assert folder.semantic_classes == ade20k_classes()
    assert DatasetFolder.open(folder.root).semantic_classes[0] == "wall"
    assert set(np.unique(np.asarray(Image.open(folder.semantic("val")[0])))) == {0, 1, 149, 255}
    present = np.flatnonzero(folder.multilabel("val")[0])
    assert present.tolist() == [0, 1, 149]
    assert any("door" in line for line in describe(folder))
    with pytest.raises(UserError, match="has no annotated objects"):
        folder.instances("val")


def test_tables_of_labels() -> None:
    voc, ade = label_table(SETS["voc_small"]), label_table(SETS["ade20k_small"])
    assert voc[:21].tolist() == list(range(21))
    assert (voc[255], voc[21], voc[254]) == (255, -1, -1)
    assert (ade[0], ade[1], ade[150], ade[151], ade[255]) == (255, 0, 149, -1, -1)
    assert len(set(ade20k_classes())) == 150


def test_the_fingerprint_follows_the_maps(tmp_path: Path) -> None:
    root, listed = build_official_voc(tmp_path / "voc")
    folder = prepare_set("voc_small", root, tmp_path / "out", listed, **quiet)
    assert folder.compute_fingerprint() == folder.fingerprint
    path = folder.semantic("train")[0]
    Image.fromarray(np.zeros((128, 170), dtype=np.uint8)).save(path)
    assert folder.compute_fingerprint() != folder.fingerprint


@pytest.mark.parametrize("workers", [1, 2])
def test_made_twice_it_is_the_same_and_the_second_time_nothing_is_done(tmp_path: Path, workers: int) -> None:
    root = build_official_coco(tmp_path / "coco")
    listed = write_lines(tmp_path / "ids.txt", [str(number) for number in COCO_IDS])
    first = prepare_set("coco_small", root, tmp_path / "a", listed, **quiet)
    second = prepare_set("coco_small", root, tmp_path / "b", listed, workers=workers, **quiet)
    assert first.fingerprint == second.fingerprint
    lines: list[str] = []
    prepare_set("coco_small", root, tmp_path / "a", listed, report=lines.append)
    assert "nothing to do" in lines[0]
    write_image(root / "train2017/000000000001.jpg", seed=99, size=SIZE)
    with pytest.raises(UserError, match="made with content"):
        prepare_set("coco_small", root, tmp_path / "a", listed, **quiet)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small pictures of 40 entries of each committed list, and the lists shortened to them."""
    names = {one.name: read_names(one)[:COUNT] for one in SETS.values()}
    monkeypatch.setattr(
        building, "read_names", lambda one, file=None: names[one.name] if file is None else read_names(one, file)
    )
    return build_given(tmp_path / "photos", names)


def test_small_pictures_are_taken_over_byte_for_byte(given: Path, tmp_path: Path) -> None:
    folders = prepare_all(given, tmp_path / "out", **quiet)
    assert [folder.name for folder in folders] == list(SETS)
    for folder in folders:
        for split in SPLITS:
            for path in folder.images(split):
                assert path.read_bytes() == (given / SETS[folder.name].given / "images" / path.name).read_bytes()
        assert f"pictures by the list {folder.name}" in folder.source["pictures"]
        assert str(tmp_path) not in json.dumps(folder.description)
    content, _ = folders[0].instances("train")
    assert content["annotations"][0]["bbox"][:2] == [4.5, 3.25]
    assert describe_source(folders[0].images("train")).name == "coco_small/train"
    assert set(np.unique(np.asarray(Image.open(folders[1].semantic("test")[0])))) == {0, 149, 255}


def test_prepared_sets_are_copied_with_their_fingerprints(given: Path, tmp_path: Path) -> None:
    first = prepare_all(given, tmp_path / "first", **quiet)
    second = prepare_all(tmp_path / "first", tmp_path / "second", **quiet)
    assert [one.fingerprint for one in first] == [one.compute_fingerprint() for one in second]
    assert identity_of(tmp_path / "first") == identity_of(tmp_path / "second")
    first[1].semantic("test")[0].unlink()
    with pytest.raises(UserError, match="ade20k_small: its files were changed"):
        prepare_all(tmp_path / "first", tmp_path / "third", **quiet)


def test_what_is_missing_is_named_and_nothing_is_half_written(given: Path, tmp_path: Path) -> None:
    victim, *others = sorted((given / "voc2012_seg/images").iterdir())
    victim.unlink()
    others[0].unlink()
    with pytest.raises(UserError, match=rf"lacks {victim.name} and 1 more of the {COUNT} pictures of the list"):
        prepare_all(given, tmp_path / "out", **quiet)
    assert not (tmp_path / "out").exists(), "the other sets are not begun"
    shutil.rmtree(given / "ade20k_val")
    with pytest.raises(UserError, match="holds no small photographs; make it with 'scenebench data prepare coco-small"):
        prepare_all(given, tmp_path / "out", **quiet)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = build_official_coco(tmp_path / "coco")
    listed = write_lines(tmp_path / "ids.txt", [str(number) for number in COCO_IDS])
    command = ["data", "prepare", "coco-small", str(root)]
    options = ["--list", str(listed), "--workers", "1"]
    assert main([*command, str(tmp_path / "out"), *options]) == 0
    assert "COCO train2017" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "out2"), "--workers", "1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "lacks 000000000656.jpg and 5918 more of the 5919 pictures of the list; nothing was written" in error
    assert not (tmp_path / "out2").exists()
    assert not list(tmp_path.glob(".*"))
    for bad, message in (
        ([*command, *options], "name the folder to write"),
        ([*command, str(tmp_path / "x"), "--out", str(tmp_path / "y")], "given twice"),
        (["data", "prepare", "photos", str(root), str(tmp_path / "z"), *options], "name one of them"),
        (["data", "prepare", "photos", str(root), str(tmp_path / "z")], "holds no small photographs"),
    ):
        assert main(bad) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [(["1", "x"], "'x' is no number"), (["7", "7"], "000000000007.jpg is given twice"), ([], "is empty")],
)
def test_bad_lists(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_names(sets.SETS["coco_small"], write_lines(tmp_path / "list.txt", lines))


def test_bad_pictures_and_maps(tmp_path: Path) -> None:
    root, listed = build_official_voc(tmp_path / "voc")
    path = root / "SegmentationClassAug/2008_000000.png"
    write_map(path, [0, 21], size=SIZE)
    with pytest.raises(UserError, match=r"2008_000000.png: holds 21, which is no label"):
        prepare_set("voc_small", root, tmp_path / "out", listed, **quiet)
    write_map(path, [0, 1], size=(30, 30))
    with pytest.raises(UserError, match=r"30x30 pixels, its picture 60x45"):
        prepare_set("voc_small", root, tmp_path / "out", listed, **quiet)
    path.unlink()
    with pytest.raises(UserError, match=r"no map of 2008_000000.jpg of the list in SegmentationClass or"):
        prepare_set("voc_small", root, tmp_path / "out", listed, **quiet)
    assert not (tmp_path / "out").exists()
    coco = build_official_coco(tmp_path / "coco")
    ids = write_lines(tmp_path / "ids.txt", [str(number) for number in COCO_IDS])
    write_image(coco / "train2017/000000000003.jpg", seed=3, size=(45, 60))
    with pytest.raises(UserError, match=r"000000000003.jpg: 45x60 pixels, its annotation says 60x45"):
        prepare_set("coco_small", coco, tmp_path / "out", ids, **quiet)
    (coco / "train2017/000000000003.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"000000000003.jpg: cannot be decoded"):
        prepare_set("coco_small", coco, tmp_path / "out", ids, **quiet)
