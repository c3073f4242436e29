"""The kNN probe while training: what it measures, when, and that it changes nothing."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.methods.base import Method
from pretrain.methods.moco import MomentumContrast
from pretrain.probe import TESTED, KnnProbe
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from pretrain.training_log import TrainingLog
from scenebench.errors import UserError

COUNT, CATEGORIES, STEPS_PER_EPOCH = 22, 3, 5
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3",
    "views.crop_size=32", "run.log_every=1", "moco.queue_size=16", "network.bn_groups=2",
    "probe.images=20", "probe.k=3", "probe.resolution=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of images and their annotations; the last image is not listed."""
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(folder / f"{index:02d}.png")
    labels = rng.random((COUNT, CATEGORIES)) < 0.5
    content = {
        "images": [{"id": index, "file_name": f"{index:02d}.png"} for index in range(COUNT - 1)],
        "categories": [{"id": 10 * column, "name": str(column)} for column in range(CATEGORIES)],
        "annotations": [
            {"id": 100 * index + column, "image_id": index, "category_id": 10 * column, "bbox": [0, 0, 9, 9]}
            for index, column in np.argwhere(labels[:-1]).tolist()
        ],
    }
    path = folder.parent / "instances.json"
    path.write_text(json.dumps(content))
    return folder, path


def recipe_of(data: tuple[Path, Path], *overrides: str) -> Recipe:
    return load_recipe("moco_demo", [*SMALL, f"data.root={data[0]}", f"data.annotations={data[1]}", *overrides])


def images_of(data: tuple[Path, Path]) -> list[Path]:
    return sorted(data[0].iterdir())


def method_of(recipe: Recipe, images: list[Path]) -> Method:
    torch.manual_seed(0)
    return method_class(recipe.method)(recipe, images).train()


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_it_is_weighted_knn_of_whole_images_by_the_kept_backbone(data: tuple[Path, Path]) -> None:
    recipe, images = recipe_of(data, "probe.every_epochs=1"), images_of(data)
    method = method_of(recipe, images)
    probe = KnnProbe(recipe, images)
    assert len(probe.images) == 20
    assert images[-1] not in probe.images
    listed = json.loads(data[1].read_text())
    features, labels = [], []
    method.backbone.eval()
    for path in probe.images:
        pixels = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float()
        small = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
        with torch.no_grad():
            feature = method.backbone(method.normalised(small.round()))[0].double()
        features.append(feature / feature.norm())
        present = {a["category_id"] // 10 for a in listed["annotations"] if a["image_id"] == int(path.stem)}
        labels.append([column in present for column in range(CATEGORIES)])
    method.train()
    judged = list(range(0, 20, TESTED))
    bank = [index for index in range(20) if index not in judged]
    scores = {}
    for index in judged:
        nearest = sorted(bank, key=lambda other: -float(features[index] @ features[other]))[:3]
        weights = [math.exp(float(features[index] @ features[other]) / 0.07) for other in nearest]
        scores[index] = [
            sum(weight * labels[other][column] for weight, other in zip(weights, nearest, strict=True)) / sum(weights)
            for column in range(CATEGORIES)
        ]
    precisions = []
    for column in range(CATEGORIES):
        positives = [index for index in judged if labels[index][column]]
        ranks = [[other for other in judged if scores[other][column] >= scores[index][column]] for index in positives]
        if positives:
            precisions.append(sum(sum(labels[o][column] for o in rank) / len(rank) for rank in ranks) / len(positives))
    assert probe.measure(method) == pytest.approx(100 * sum(precisions) / len(precisions), abs=1e-3)
    assert all(part.training for part in method.modules())


def test_a_run_with_the_probe_equals_one_without(data: tuple[Path, Path], tmp_path: Path) -> None:
    with_probe, without = tmp_path / "with", tmp_path / "without"
    pretrain(recipe_of(data, "probe.every_epochs=1"), with_probe)
    pretrain(recipe_of(data), without)
    states = [
        torch.load(sorted((run / "checkpoints").iterdir())[-1], weights_only=True) for run in (with_probe, without)
    ]
    assert torch.equal(states[0]["torch_rng"], states[1]["torch_rng"])
    for name, value in states[1]["method"].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(states[0]["method"][name], value), name
    lines = [[line for line in log_of(run) if "loss" in line] for run in (with_probe, without)]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]
    probed = [line for line in log_of(with_probe) if "knn_map" in line]
    assert [(line["step"], line["epoch"]) for line in probed] == [(5, 1.0), (10, 2.0), (15, 3.0)]
    assert all(0 < line["knn_map"] <= 100 for line in probed)
    assert not any("knn_map" in line for line in log_of(without))


def test_each_probe_is_in_the_log_once_though_the_run_is_stopped(
    data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped in the last step of the second epoch, when its probe is still to come, and again right after it."""
    original, steps = MomentumContrast.after_step, [0]

    def after_step(self: MomentumContrast) -> None:
        original(self)
        steps[0] += 1
        if steps[0] in (10, 11):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(MomentumContrast, "after_step", after_step)
    recipe = recipe_of(data, "probe.every_epochs=2", "schedule.epochs=4")
    for _ in range(2):
        with pytest.raises(Stopped):
            pretrain(recipe, tmp_path)
    pretrain(recipe, tmp_path)
    assert [line["step"] for line in log_of(tmp_path) if "knn_map" in line] == [10, 20]
    assert [line["step"] for line in log_of(tmp_path) if "loss" in line] == list(range(1, 21))
    assert capsys.readouterr().out.count("kNN probe") == 2


def test_a_resumed_run_does_not_probe_again_what_the_log_holds(data: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, images = recipe_of(data, "probe.every_epochs=1"), images_of(data)
    method, probe = method_of(recipe, images), KnnProbe(recipe, images)
    first = TrainingLog(tmp_path, recipe, 0, STEPS_PER_EPOCH)
    for step in (0, 3, 5, 5):
        probe.at_epoch_boundary(method, step, first)
    assert [line["step"] for line in log_of(tmp_path)] == [5]
    resumed = TrainingLog(tmp_path, recipe, 5, STEPS_PER_EPOCH)
    probe.at_epoch_boundary(method, 5, resumed)
    assert [line["step"] for line in log_of(tmp_path)] == [5]
    TrainingLog(tmp_path, recipe, 4, STEPS_PER_EPOCH)  # resumed from before it
    assert log_of(tmp_path) == []


def test_images_that_cannot_be_decoded_are_left_out(data: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, images = recipe_of(data, "probe.every_epochs=1"), images_of(data)
    method, probe = method_of(recipe, images), KnnProbe(recipe, images)
    whole = probe.measure(method)
    broken = tmp_path / probe.images[0].name
    broken.write_bytes(b"no image")
    probe.images[0] = broken
    assert isinstance(probe.measure(method), float)
    assert isinstance(whole, float)
    probe.images = [broken] * 20
    assert probe.measure(method) is None


def test_it_needs_labels_and_neighbours(data: tuple[Path, Path], tmp_path: Path) -> None:
    images = images_of(data)
    with pytest.raises(UserError, match=r"^probe.every_epochs: 2 needs labels; add data.annotations=FILE"):
        KnnProbe(load_recipe("moco_demo", ["probe.every_epochs=2"]), images)
    with pytest.raises(UserError, match=r"^probe.k: 17 neighbours, but the bank holds only 16 labelled"):
        KnnProbe(recipe_of(data, "probe.every_epochs=1", "probe.k=17"), images)
    empty = json.loads(data[1].read_text()) | {"annotations": []}
    path = tmp_path / "empty.json"
    path.write_text(json.dumps(empty))
    with pytest.raises(UserError, match=r"^data.annotations: none of the 4 images that the probe evaluates"):
        KnnProbe(recipe_of((data[0], path), "probe.every_epochs=1"), images)
