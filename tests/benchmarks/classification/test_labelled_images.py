from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.classification.images import from_samples
from benchmarks.classification.lists import read_train_list
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.samples import Box, Sample
from benchmarks.protocols.classification import ClassificationSettings, TrainSettings, ViewSettings
from scenebench.config import load_config
from scenebench.errors import UserError

Official = Callable[[str], Path]


def test_a_class_with_difficult_objects_only_is_minus_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    boxes = (Box(0, 0, 0, 2, 2), Box(0, 1, 1, 2, 2, difficult=True), Box(2, 0, 0, 1, 1, difficult=True))
    images = from_samples([Sample(path, (0,), boxes)], ["a", "b", "c"], True, "here")
    assert images.labels.tolist() == [[1, 0, -1]]


def test_voc_labels_agree_with_the_annotations(official: Official) -> None:
    data = read_official("voc2007", official("voc2007"))
    images = from_samples(data.split("test"), data.classes, True, "test")
    assert images.labels.shape == (30, 20)
    for row, sample in zip(images.labels, data.split("test"), strict=True):
        clear = {box.label for box in sample.boxes if not box.difficult}
        assert set(np.flatnonzero(row == 1)) == clear
        assert set(np.flatnonzero(row == -1)) == {box.label for box in sample.boxes} - clear
    assert (images.labels == -1).any()


def test_limits_take_a_fixed_choice_and_another_fingerprint(official: Official) -> None:
    data = read_official("cub200", official("cub200"))
    images = from_samples(data.split("train"), data.classes, False, "train")
    few = images.limited(3, "train")
    assert len(few) == 3
    assert few.fingerprint != images.fingerprint
    assert few.notes == ("3 of the 6 images of split 'train' (a fixed choice)",)
    assert images.limited(6, "train") is images
    assert [images.labels[images.paths.index(path)] for path in few.paths] == few.labels.tolist()
    touched = data.split("train")[0].image
    touched.touch()
    assert from_samples(data.split("train"), data.classes, False, "train").fingerprint != images.fingerprint


def test_no_images_no_class() -> None:
    with pytest.raises(UserError, match="here: holds no images"):
        from_samples([], ["a"], False, "here")


def test_lists_prepared_and_published_are_the_same(official: Official) -> None:
    root = official("imagenet")
    prepared = read_train_list(root, "lists/imagenet_10percent.tsv")
    assert read_train_list(root, str(root.parent / "10percent.txt")) == prepared
    assert [len(prepared), sorted({sample.labels[0] for sample in prepared})] == [6, [0, 1, 2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such list of training images.*data prepare imagenet"),
        ("\n", "names no image"),
        ("n01440764_0.JPEG\nn01440764_0.JPEG\nn01443537_1.JPEG\nn02084071_2.JPEG", "names 1 images twice"),
        ("n01440764_0.JPEG\nn01443537_1.JPEG", "1 of 3 classes have no image"),
        ("n09999999_0.JPEG", "line 1: 'n09999999_0.JPEG' names no class"),
        ("n01440764_0.JPEG\nn01440764_77.JPEG", "line 2: .* has no train/n01440764/n01440764_77.JPEG"),
        ("train/n01440764/n01440764_0.JPEG\t9", "is no image below .* prepare it again"),
    ],
)
def test_a_bad_list_is_named(text: str | None, message: str, official: Official, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_train_list(official("imagenet"), str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"probe": "svm"}, "settings.svm: the probe 'svm' needs this section"),
        ({"probe": "train", "train": {}}, "settings.views: the probe 'train' needs"),
        ({"probe": "svm", "svm": {"costs": []}}, "settings.svm.costs: give at least one"),
        ({"probe": "svm_low_shot", "svm": {"shots": [3]}}, "settings.svm.shots: unknown value '3'"),
        ({"probe": "linear_grid", "linear_grid": {"holdout": 1.0}}, "holdout: 1.0 is not between"),
        ({"average_precision": "elevenpoint"}, "did you mean 'eleven_point'"),
        ({"crop_from": 100}, "settings.crop_from: 100 is below settings.image_size 128"),
    ],
)
def test_mistakes_in_settings_are_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(ClassificationSettings, content)


def test_impossible_training_is_named() -> None:
    with pytest.raises(UserError, match="stages need frozen=true"):
        TrainSettings(stages=["layer3"])
    with pytest.raises(UserError, match="only with decay=step"):
        TrainSettings(steps=[3])
    with pytest.raises(UserError, match="all positive"):
        TrainSettings(learning_rates=[0.1, 0.0])
    with pytest.raises(UserError, match="resize: 100 is below"):
        ViewSettings(size=224, resize=100)
