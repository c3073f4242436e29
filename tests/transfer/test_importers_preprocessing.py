"""Preprocessing that a file does not tell must be stated; pickles and our own exports tell it beside the tensors."""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from layout_parts import caffe2_name, save, under
from torch import Tensor
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone, lively_network

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing, load_backbone
from transfer.cli import add_commands
from transfer.exporters import torchvision as to_torchvision
from transfer.importers import StatedPreprocessing, read_backbone
from transfer.networks.detectron2_names import detectron2_name
from transfer.networks.resnet import Architecture, build_resnet

NARROW = Architecture(depth=18, stem_width=8)


@pytest.fixture(scope="module")
def network() -> dict[str, Tensor]:
    return lively_network(NARROW).state_dict()


# --- preprocessing ------------------------------------------------------------------------------------------------


def test_an_unknown_trainers_preprocessing_must_be_stated(network: dict[str, Tensor], tmp_path: Path) -> None:
    for prefix in ("backbone.", "encoder.", "anything.at.all.", "resnet."):
        path = save(under(prefix, network), tmp_path / "c.pth")
        with pytest.raises(UserError, match="does not tell what preprocessing.*--mean R G B.*or name the family"):
            read_backbone(path)
        stated = StatedPreprocessing((0.5,) * 3, (0.25,) * 3, 1.0, "RGB")
        imported = read_backbone(path, preprocessing=stated)
        assert (imported.family, imported.info.method) == ("unknown", "unknown")
        assert imported.info.preprocessing == Preprocessing((0.5,) * 3, (0.25,) * 3, 1.0, "RGB")


def test_what_is_stated_goes_over_the_familys(network: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(under("encoder_q.", network), tmp_path / "c.pth")
    order = read_backbone(path, preprocessing=StatedPreprocessing(channel_order="BGR")).info.preprocessing
    assert order == Preprocessing(channel_order="BGR")
    scale = StatedPreprocessing(SIMCLR.mean, SIMCLR.std, SIMCLR.value_range)
    assert read_backbone(path, preprocessing=scale).info.preprocessing == SIMCLR


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"mean": (0.0, 0.0, 0.0)}, "--std and --value-range missing"),
        ({"value_range": 255.0}, "--mean and --std missing"),
        ({"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4), "value_range": 1.0}, "lies outside 0 to 1"),
        (
            {"mean": (0.485, 0.456, 0.406), "std": (0.2, 0.2, 0.2), "value_range": 255.0},
            "statistics of pixels on 0 to 1",
        ),
        ({"mean": (0.0, 0.0, 0.0), "std": (0.0, 1.0, 1.0), "value_range": 1.0}, "std and value range positive"),
        ({"channel_order": "GRB", "mean": (0.0,) * 3, "std": (1.0,) * 3, "value_range": 1.0}, "did you mean|known"),
    ],
)
def test_impossible_statements_are_refused(words: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        StatedPreprocessing(**words)


def test_the_command_takes_branch_and_preprocessing(
    network: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(under("encoder_q.", network) | under("encoder_k.", network), tmp_path / "c.pth")
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    words = ["import", str(path), str(tmp_path / "b.safetensors"), "--branch", "key", "--mean", "0", "0", "0"]
    args = parser.parse_args([*words, "--std", "255", "255", "255", "--value-range", "255", "--channel-order", "RGB"])
    assert args.run(args) == 0
    assert "branch 'key', RGB 0..255 mean (0.0, 0.0, 0.0) std (255.0, 255.0, 255.0)" in capsys.readouterr().out
    info, _ = load_backbone(tmp_path / "b.safetensors")
    assert info.preprocessing.on_255_scale() == SIMCLR.on_255_scale()
    half = parser.parse_args(words)
    with pytest.raises(UserError, match="--std and --value-range missing"):
        half.run(half)


# --- Detectron2's pickles -----------------------------------------------------------------------------------------


def test_a_pickle_of_an_unknown_author_does_not_tell_its_preprocessing(
    network: dict[str, Tensor], tmp_path: Path
) -> None:
    arrays = {f"backbone.bottom_up.{detectron2_name(name)}": tensor.numpy() for name, tensor in network.items()}
    arrays["proposal_generator.rpn_head.conv.weight"] = torch.zeros(2).numpy()
    path = tmp_path / "c.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
    with pytest.raises(UserError, match=r"detectron2-unknown\) does not tell what preprocessing"):
        read_backbone(path)
    stated = StatedPreprocessing(SIMCLR.mean, SIMCLR.std, SIMCLR.value_range, "RGB")
    imported = read_backbone(path, preprocessing=stated)
    assert "left out 1 tensors" in imported.notes[0]
    assert all(torch.equal(imported.tensors[name], network[name]) for name in network)


def test_folded_norms_of_detectron_1_compute_what_they_did(tmp_path: Path) -> None:
    """Detectron 1 folds a norm into scale and shift, and Caffe's conv1 may have a bias: the function stays."""
    reference = build_resnet(NARROW).eval()
    arrays = {}
    for name, tensor in reference.state_dict().items():
        if name.endswith((".weight", ".bias")):
            leaf = caffe2_name(name).replace("_bn_gamma", "_bn_s").replace("_bn_beta", "_bn_b")
            arrays[leaf] = (tensor + 0.1 if ".bn" in name or name.startswith("bn") else tensor).numpy()
    arrays["conv1_b"] = torch.full((8,), 0.5).numpy()
    path = tmp_path / "c.pkl"
    path.write_bytes(pickle.dumps({"blobs": arrays}))
    imported = read_backbone(path)
    assert imported.family == "detectron2-msra"
    assert "unfolded 20 norms" in " ".join(imported.notes)
    assert "moved the bias of conv1" in " ".join(imported.notes)
    network = build_resnet(NARROW).eval()
    network.load_state_dict(imported.tensors)
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scale, shift = torch.from_numpy(arrays["res_conv1_bn_s"]), torch.from_numpy(arrays["res_conv1_bn_b"])
    with torch.no_grad():
        convolved = reference.conv1(images) + 0.5
        expected = convolved * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
        assert torch.allclose(network.bn1(network.conv1(images)), expected, atol=1e-5)


def test_pickles_that_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "c.pkl"
    for content, told in (({"a": 1}, "holds no state dict"), ([1], "holds a list, no state dict")):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(UserError, match=told):
            read_backbone(path)


# --- our own exports ----------------------------------------------------------------------------------------------


def test_an_export_is_read_by_its_report(tmp_path: Path, make_backbone: MakeBackbone) -> None:
    path = make_backbone(stem_width=64, preprocessing=CAFFE)
    report = to_torchvision.export(path, tmp_path / "out")
    imported = read_backbone(tmp_path / "out" / report.files["weights"])
    _, tensors = load_backbone(path)
    assert imported.family == "export"
    assert (imported.info.preprocessing, imported.info.branch, imported.info.method) == (CAFFE, "query", "moco_v2")
    assert all(torch.equal(imported.tensors[name], tensors[name]) for name in tensors)
    empty = json.dumps({"files": {"weights": report.files["weights"]}, "backbone": {}})
    (tmp_path / "out" / "torchvision_report.json").write_text(empty)
    with pytest.raises(UserError, match="lacks or mistypes a field"):
        read_backbone(tmp_path / "out" / report.files["weights"])


@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_an_export_for_detectron2_is_read_by_its_report(neck: str, network: dict[str, Tensor], tmp_path: Path) -> None:
    """Its ``.pkl`` bears the model's full names; what it was trained on is in the report only."""
    places = {name: detectron2_name(name) for name in network}
    prefixes = {
        name: "backbone.bottom_up." if neck == "fpn" else "roi_heads." if theirs.startswith("res5.") else "backbone."
        for name, theirs in places.items()
    }
    arrays = {prefixes[name] + places[name]: tensor.numpy() for name, tensor in network.items()}
    (tmp_path / "b.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "scenebench"}, protocol=4))
    with pytest.raises(UserError, match="does not tell what preprocessing"):
        read_backbone(tmp_path / "b.pkl")
    preprocessing = {"mean": CAFFE.mean, "std": CAFFE.std, "value_range": 255.0, "channel_order": "BGR"}
    backbone = {
        "preprocessing": preprocessing,
        "architecture": {"stride_in": "1x1"},
        "method": "mls",
        "branch": "query",
    }
    report = {"files": {"weights": "b.pkl"}, "backbone": backbone}
    (tmp_path / "detectron2_report.json").write_text(json.dumps(report))
    imported = read_backbone(tmp_path / "b.pkl")
    assert (imported.info.preprocessing, imported.info.method) == (CAFFE, "mls")
    assert imported.info.architecture == Architecture(depth=18, stem_width=8, stride_in="1x1")
    assert all(torch.equal(imported.tensors[name], network[name]) for name in network)
