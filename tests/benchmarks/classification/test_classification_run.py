import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.classification.features import backbone_features, colour_histograms
from benchmarks.classification.run import run, scene_type_scores
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.protocol import load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing, load_backbone, load_network, read_info, save_backbone

ORACLE, COLOURS = "reference:scene_type_oracle", "reference:colour_histogram"


def judge(backbone: Path | str, data: DatasetFolder, protocol: str, *overrides: str) -> Outcome:
    info = None if isinstance(backbone, str) else read_info(backbone)
    chosen = load_protocol(protocol, ["settings.image_size=64", *overrides])
    return run(Cell(backbone, info, chosen, data, 0, Path()))


@pytest.mark.parametrize("protocol", ["multilabel_knn", "multilabel_linear"])
def test_scenes(protocol: str, tiny_backbone: Path, tiny_scenes: DatasetFolder) -> None:
    outcome = judge(tiny_backbone, tiny_scenes, protocol)
    assert (outcome.train_images, outcome.test_images) == (28, 8)
    assert set(outcome.per_class) == set(tiny_scenes.categories)
    defined = [row["AP"] for row in outcome.per_class.values() if row["AP"] is not None]
    assert outcome.metrics["mAP"] == pytest.approx(np.mean(defined))
    absent = sum(row["AP"] is None for row in outcome.per_class.values())
    assert absent == int((tiny_scenes.multilabel("test").sum(axis=0) == 0).sum())
    assert judge(tiny_backbone, tiny_scenes, protocol) == outcome


@pytest.mark.parametrize("protocol", ["multilabel_knn", "multilabel_linear"])
def test_six_photographs_of_several_sizes_without_validation_split(
    protocol: str, tiny_backbone: Path, tiny_photos: DatasetFolder
) -> None:
    outcome = judge(tiny_backbone, tiny_photos, protocol)
    assert outcome.metrics["mAP"] is not None
    assert (outcome.train_images, outcome.test_images) == (8, 6)
    note = "k lowered from 20 to the 8" if protocol == "multilabel_knn" else "no split 'val': L2 fixed at 0.1"
    assert any(note in text for text in outcome.notes)


def test_the_validation_split_chooses_the_strength(tiny_backbone: Path, tiny_scenes: DatasetFolder) -> None:
    chosen = judge(tiny_backbone, tiny_scenes, "multilabel_linear")
    (note,) = [text for text in chosen.notes if "chosen on split 'val'" in text]
    strength = note.split()[1]
    fixed = judge(tiny_backbone, tiny_scenes, "multilabel_linear", f"settings.linear.l2=[{strength}]")
    assert fixed.metrics["mAP"] == pytest.approx(chosen.metrics["mAP"], abs=1e-3)


@pytest.mark.parametrize("protocol", ["multilabel_knn", "multilabel_linear", "multilabel_low_shot"])
def test_chance_is_the_prevalence_whatever_the_probe(protocol: str, tiny_scenes: DatasetFolder) -> None:
    outcome = judge("reference:chance", tiny_scenes, protocol)
    share = tiny_scenes.multilabel("test").mean(axis=0)
    assert outcome.metrics["mAP"] == pytest.approx(100 * share[share > 0].mean())
    assert (outcome.train_images, outcome.test_images) == (28, 8)


def test_limits_take_fewer_images_and_say_so(tiny_backbone: Path, tiny_scenes: DatasetFolder) -> None:
    outcome = judge(tiny_backbone, tiny_scenes, "multilabel_knn", "data.max_train_images=10", "data.max_test_images=5")
    assert (outcome.train_images, outcome.test_images) == (10, 5)
    assert any("5 of the 8 images of split 'test'" in note for note in outcome.notes)


def test_labels_belong_to_their_images(tiny_backbone: Path, tiny_scenes: DatasetFolder) -> None:
    """Tested on its own training images with one neighbour, a probe must be perfect."""
    outcome = judge(tiny_backbone, tiny_scenes, "multilabel_knn", "data.test_split=train", "settings.knn.k=1")
    assert outcome.metrics["mAP"] == pytest.approx(100.0)
    limit = "data.max_test_images=9"  # of all the training images: another choice than the bank's
    outcome = judge(tiny_backbone, tiny_scenes, "multilabel_knn", "data.test_split=train", "settings.knn.k=1", limit)
    assert outcome.metrics["mAP"] == pytest.approx(100.0)


def test_the_oracle_knows_the_scene_type_only(tiny_scenes: DatasetFolder, tiny_photos: DatasetFolder) -> None:
    outcome = judge(ORACLE, tiny_scenes, "multilabel_linear")
    assert outcome == judge(ORACLE, tiny_scenes, "multilabel_knn")
    assert (outcome.train_images, outcome.test_images) == (28, 8)
    with pytest.raises(UserError, match=r"'photos' has no scene types"):
        judge(ORACLE, tiny_photos, "multilabel_linear")


def test_oracle_scores_are_frequencies() -> None:
    types, labels = np.array([0, 0, 1]), np.array([[1, 0], [0, 0], [1, 1]], np.uint8)
    scores = scene_type_scores(types, labels, np.array([1, 0, 7]))
    np.testing.assert_allclose(scores, [[1, 1], [0.5, 0], [2 / 3, 1 / 3]])


@pytest.mark.parametrize("protocol", ["multilabel_knn", "multilabel_linear"])
def test_colour_histograms_see_colours(protocol: str, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    """A data set whose category is its colour is solved by the reference row."""
    root = tmp_path / "colours"
    shutil.copytree(tiny_scenes.root, root)
    data = DatasetFolder.open(root)
    for split in ("train", "val", "test"):
        rows = []
        for index, path in enumerate(data.images(split)):
            category = index % 2
            Image.new("RGB", (40, 40), ((200, 20, 20), (20, 20, 200))[category]).save(path, quality=95)
            rows.append((path.name, str(category)))
        with open(root / "multilabel" / f"{split}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("file_name", "labels"), *rows])
    assert judge(COLOURS, data, protocol).metrics["mAP"] == pytest.approx(100.0)


def test_histograms_are_of_unit_length_and_count_pixels(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (histogram,) = colour_histograms([tmp_path / "a.png"], 4, "test")
    assert float(histogram.square().sum()) == pytest.approx(1.0)
    assert histogram.nonzero().flatten().tolist() == [0, 7 * 64]
    assert float(histogram[0]) == pytest.approx(np.sqrt(0.5))


def test_features_do_not_depend_on_the_batch(tiny_backbone: Path, tiny_scenes: DatasetFolder) -> None:
    info, network = load_network(tiny_backbone)
    paths = tiny_scenes.images("test")
    arguments = (paths, 64)
    together = backbone_features(network, info.preprocessing, *arguments, 8, "layer4", "test")
    alone = backbone_features(network, info.preprocessing, *arguments, 1, "layer4", "test")
    torch.testing.assert_close(together, alone)
    assert together.shape == (8, 64)
    images = torch.stack([torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1).copy()) for path in paths])
    torch.testing.assert_close(together, network(info.preprocessing.normalise(images)).detach())
    assert backbone_features(network, info.preprocessing, *arguments, 8, "layer3", "test").shape == (8, 32)


def test_an_image_that_cannot_be_decoded_is_named(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    shutil.copytree(tiny_scenes.root, tmp_path / "broken")
    data = DatasetFolder.open(tmp_path / "broken")
    path = data.images("test")[3]
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=f"{path.name}: cannot be decoded"):
        judge(tiny_backbone, data, "multilabel_knn")
    with pytest.raises(UserError, match="split 'tset'"):
        judge(tiny_backbone, data, "multilabel_knn", "data.test_split=tset")


def test_features_are_computed_once_a_backbone(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, feature_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second probe of the same images reads what the first stored; anything else has a name of its own."""
    first = judge(tiny_backbone, tiny_scenes, "multilabel_knn")
    stored = set(feature_cache.iterdir())
    assert len(stored) == 2
    with monkeypatch.context() as patch:
        patch.setattr("benchmarks.classification.stored.backbone_features", None)
        assert judge(tiny_backbone, tiny_scenes, "multilabel_knn") == first
    judge(tiny_backbone, tiny_scenes, "multilabel_linear")
    assert len(set(feature_cache.iterdir()) - stored) == 1  # the validation split; train and test are there
    judge(tiny_backbone, tiny_scenes, "multilabel_knn", "settings.image_size=32")
    judge(tiny_backbone, tiny_scenes, "multilabel_knn", "settings.crop_from=70")
    info, tensors = load_backbone(tiny_backbone)
    other = feature_cache.parent / "other.safetensors"
    save_backbone(other, tensors, replace(info, preprocessing=Preprocessing(std=(0.5, 0.5, 0.5))))
    judge(other, tiny_scenes, "multilabel_knn")
    assert len(set(feature_cache.iterdir())) == 9
