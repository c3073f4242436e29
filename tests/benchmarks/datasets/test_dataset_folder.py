"""The reader: what it gives, and one clear line for each thing that can be missing or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from benchmarks.datasets.show import describe
from benchmarks.datasets.writing import voc_palette
from scenebench.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_scenes(tmp_path_factory.mktemp("folder") / "scenes", ScenesSpec(images=12, size=32)).root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "scenes"))


def test_rows_come_in_the_order_of_the_images(root: Path) -> None:
    folder = DatasetFolder.open(root)
    labels, types = folder.multilabel("train"), folder.scene_types("train")
    assert labels.dtype == np.uint8
    assert labels.shape == (folder.splits["train"], 18)
    assert types is not None
    for name in ("multilabel", "scene_types"):
        path = root / name / "train.csv"
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    np.testing.assert_array_equal(folder.multilabel("train"), labels)
    np.testing.assert_array_equal(folder.scene_types("train"), types)
    names = [path.name for path in folder.images("train")]
    assert names == sorted(names)
    assert [path.stem for path in folder.semantic("train")] == [path.stem for path in folder.images("train")]


def test_not_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        DatasetFolder.open(tmp_path / "none")
    with pytest.raises(UserError, match="not a prepared data set"):
        DatasetFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "data set format None"),
        ('{"format_version": 2}', "data set format 2, this version reads format 1"),
        ('{"format_version": 1}', "lacks or mistypes 'name'"),
    ],
)
def test_damaged_description(root: Path, content: str, message: str) -> None:
    (root / "dataset.json").write_text(content)
    with pytest.raises(UserError, match=message):
        DatasetFolder.open(root)


def test_unknown_split_names_the_nearest(root: Path) -> None:
    with pytest.raises(UserError, match=r"no split 'trian' \(did you mean 'train'\?\)"):
        DatasetFolder.open(root).images("trian")
    with pytest.raises(UserError, match="no split 'tests'"):
        DatasetFolder.open(root).scene_types("tests")


@pytest.mark.parametrize(
    ("lost", "method", "message"),
    [
        ("annotations/instances_train.json", "annotations", "instances_train.json: missing"),
        ("multilabel/train.csv", "multilabel", "train.csv: missing"),
        ("scene_types/train.csv", "scene_types", "train.csv: missing"),
        ("images/train/00000003.jpg", "images", r"holds 8 .jpg files where dataset.json says 9"),
        ("semantic/train/00000003.png", "semantic", r"holds 8 .png files where dataset.json says 9"),
        ("images/train", "images", "holds 0 .jpg files"),
    ],
)
def test_lost_files_are_named(root: Path, lost: str, method: str, message: str) -> None:
    folder = DatasetFolder.open(root)
    path = root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=message):
        getattr(folder, method)("train")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("multilabel", "name,labels\n", "expected the columns file_name,labels"),
        ("multilabel", "file_name,labels\n00000000.jpg,1\n", "file names are not those of"),
        ("multilabel", "", "expected the columns"),
        ("scene_types", "file_name,scene_type\n00000000.jpg\n", "expected the columns"),
    ],
)
def test_damaged_lists_are_named(root: Path, name: str, text: str, message: str) -> None:
    (root / name / "train.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        getattr(DatasetFolder.open(root), "multilabel" if name == "multilabel" else name)("train")


@pytest.mark.parametrize("labels", ["18", "-1", "disc"])
def test_labels_outside_the_categories_are_refused(root: Path, labels: str) -> None:
    path = root / "multilabel" / "train.csv"
    header, first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, f"{first.split(',')[0]},{labels}", *rows]) + "\n")
    with pytest.raises(UserError, match=f"'{labels}'"):
        DatasetFolder.open(root).multilabel("train")


def test_no_scene_types_is_none(root: Path) -> None:
    shutil.rmtree(root / "scene_types")
    assert DatasetFolder.open(root).scene_types("test") is None


def test_fingerprint_follows_images_and_annotations_only(root: Path) -> None:
    folder = DatasetFolder.open(root)
    (root / "contact_sheet.png").unlink()
    assert folder.compute_fingerprint() == folder.fingerprint
    image = root / "images" / "val" / "00000009.jpg"
    data = image.read_bytes()
    image.write_bytes(data + b"\0")
    assert folder.compute_fingerprint() != folder.fingerprint
    image.write_bytes(data)
    assert folder.compute_fingerprint() == folder.fingerprint
    image.rename(image.with_name("renamed.jpg"))
    assert folder.compute_fingerprint() != folder.fingerprint


def test_describe_counts_instances_and_finds_changes(root: Path) -> None:
    folder = DatasetFolder.open(root)
    text = "\n".join(describe(folder))
    total = sum(len(json.loads(folder.annotations(split).read_text())["annotations"]) for split in folder.splits)
    counts = next(line for line in text.splitlines() if line.startswith("instances")).split()[1:]
    assert sum(map(int, counts)) == total
    assert folder.fingerprint in text
    (root / "images" / "val" / "00000009.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="changed since"):
        describe(folder)


def test_palette_is_vocs() -> None:
    """The first colours as the development kit lists them: aeroplane, bicycle, bird, boat; and the white-ish border."""
    palette = np.frombuffer(voc_palette(), dtype=np.uint8).reshape(256, 3).tolist()
    assert palette[:5] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]
    assert palette[8] == [64, 0, 0]
    assert palette[20] == [0, 64, 128]
    assert palette[255] == [224, 224, 192]
