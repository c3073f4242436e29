"""A vision transformer from its backbone file through both probes to a record, and what the other tasks say to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.classification.features import backbone_features
from benchmarks.classification.images import LabelledImages
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.classification.training import Task, train_grid
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.classification import TrainSettings, ViewSettings
from benchmarks.protocols.protocol import load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, load_network, save_backbone
from transfer.networks.network import build_network
from transfer.networks.vit_architecture import VitArchitecture

TINY = VitArchitecture(width=32, depth=2, heads=4, patch=8, image_size=32)


@pytest.fixture(scope="module")
def vit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vit") / "vit.safetensors"
    torch.manual_seed(0)
    info = BackboneInfo(TINY, method="random", recipe_name="random_vit", recipe={"seed": 0})
    save_backbone(path, build_network(TINY).state_dict(), info)
    return path


@pytest.mark.parametrize("protocol", ["multilabel_knn", "multilabel_linear"])
def test_evaluate_writes_a_record(protocol: str, vit_file: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    chosen = load_protocol(protocol, ["settings.image_size=64"])
    record = evaluate(vit_file, chosen, tiny_scenes.root, 0, tmp_path / "run")
    assert record.backbone.architecture == "vit_w32d2h4_patch8_32"
    value = record.metrics["mAP"]
    assert value is not None
    assert 0 < value <= 100
    assert json.loads((tmp_path / "run/record.json").read_text())["metrics"] == record.metrics
    again = evaluate(vit_file, chosen, tiny_scenes.root, 0, tmp_path / "again")
    assert again.metrics == record.metrics


def test_the_feature_is_the_networks_output_and_no_batch_matters(vit_file: Path, tiny_scenes: DatasetFolder) -> None:
    info, network = load_network(vit_file)
    paths = tiny_scenes.images("test")
    together = backbone_features(network, info.preprocessing, paths, 64, 8, "layer4", "test")
    alone = backbone_features(network, info.preprocessing, paths, 64, 1, "layer4", "test")
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    images = torch.stack([torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1).copy()) for path in paths])
    torch.testing.assert_close(together, network(info.preprocessing.normalise(images)).detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("settings.feature=layer3", "settings.feature: a vit_w32d2h4_patch8_32 has no layer3; leave it at layer4"),
        ("settings.image_size=60", "images of 60 x 60 pixels do not divide into its patches of 8"),
    ],
)
def test_settings_that_it_cannot_take(
    override: str, told: str, vit_file: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    chosen = load_protocol("multilabel_knn", ["settings.image_size=64", override])
    with pytest.raises(UserError, match=told):
        evaluate(vit_file, chosen, tiny_scenes.root, 0, tmp_path / "run")


@pytest.mark.parametrize("protocol", ["mask_rcnn_fpn_demo", "fcn_demo"])
def test_dense_protocols_refuse_before_anything_is_written(
    protocol: str, vit_file: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"protocol '{protocol}' .* takes ResNets only") as caught:
        evaluate(vit_file, load_protocol(protocol), tiny_scenes.root, 0, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_fine_tuning_takes_it_and_stages_do_not_exist(vit_file: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        Image.new("RGB", (40, 40), (60 * index, 20, 200)).save(path)
    images = LabelledImages(paths, np.array([0, 0, 1, 1]), "colours")
    settings = TrainSettings(epochs=1, batch_size=2, learning_rates=[0.1])
    info, network = load_network(vit_file)
    task = Task(
        load=lambda: network, preprocessing=info.preprocessing, train=images, val=None, test=images, classes=2,
        settings=settings, views=ViewSettings(size=32, resize=32), difficult="ignored",
        measure=lambda scores, own: top_k_accuracy(scores, torch.from_numpy(own.labels), 1),
    )  # fmt: skip
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    best, _ = train_grid(task, seed=0)
    assert best.scores.shape == (4, 2)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    stages = TrainSettings(frozen=True, stages=["layer2", "layer4"])
    with pytest.raises(UserError, match="has no stages"):
        train_grid(replace(task, settings=stages), seed=0)
