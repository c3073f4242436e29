"""A vision transformer from its backbone file through both probes to a record, and what the other tasks say to it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.classification.features import backbone_features
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluate import evaluate
from benchmarks.protocol import load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, load_network, save_backbone
from transfer.network import build_network
from transfer.vit_architecture import VitArchitecture

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
