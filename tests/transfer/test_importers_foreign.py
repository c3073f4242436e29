"""Layouts of other projects, and of people's own scripts: the right backbone, or one line that says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from foreign_layouts import ASKS, CASES, Case, detectron2_training, mmengine_ema, soft_teacher
from layout_parts import State, classifier, save, under
from paper_layouts import CAFFE, detector, of_huggingface
from transfer_helpers import lively_network

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.importers import ImportedBackbone, StatedPreprocessing, read_backbone
from transfer.networks.resnet import Architecture

NARROW = Architecture(depth=18, stem_width=8)
BOTTLENECKS = Architecture(depth=50, stem_width=4)
IMAGENET = Preprocessing()
STATED = StatedPreprocessing((0.5,) * 3, (0.25,) * 3, 1.0, "RGB")


@pytest.fixture(scope="module")
def networks() -> tuple[State, State]:
    first, second = (lively_network(NARROW, seed).state_dict() for seed in (0, 1))
    return first, second


def same(imported: ImportedBackbone, network: State) -> bool:
    return all(torch.equal(imported.tensors[name], network[name]) for name in network if "num_batches" not in name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_right_backbone_or_one_true_line(case: Case, networks: tuple[State, State], tmp_path: Path) -> None:
    path = save(case.content(*networks), tmp_path / "c.pth")
    if case.told:
        with pytest.raises(UserError, match=case.told) as raised:
            read_backbone(path)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 600
        return
    imported = read_backbone(path)
    assert (imported.family, imported.info.branch, imported.info.preprocessing) == (case.family, case.branch, IMAGENET)
    assert same(imported, networks[0])


def test_the_average_of_mmengine_is_the_one_that_is_asked_for(networks: tuple[State, State], tmp_path: Path) -> None:
    """Its hook puts the average into state_dict and the trained weights into ema_state_dict."""
    path = save(mmengine_ema(*networks), tmp_path / "c.pth")
    assert same(read_backbone(path, branch="online"), networks[0])
    assert same(read_backbone(path, branch="ema"), networks[1])


@pytest.mark.parametrize("prefix", ["student.module.backbone.", "student.backbone", "module.student.backbone."])
def test_the_user_names_a_prefix_and_a_method(prefix: str, networks: tuple[State, State], tmp_path: Path) -> None:
    path = save(soft_teacher(networks[1], networks[0]), tmp_path / "c.pth")
    with pytest.raises(UserError, match=ASKS):
        read_backbone(path, prefix=prefix)
    imported = read_backbone(path, preprocessing=STATED, prefix=prefix, method="soft_teacher")
    assert same(imported, networks[0])
    assert (imported.family, imported.info.method, imported.info.branch) == ("unknown", "soft_teacher", "only")
    named = read_backbone(path, "moco", "student", prefix=prefix)
    assert same(named, networks[0])
    assert (named.info.preprocessing, named.info.method, named.info.branch) == (IMAGENET, "moco", "student")


def test_a_prefix_that_is_not_there_is_answered_with_those_that_are(
    networks: tuple[State, State], tmp_path: Path
) -> None:
    path = save(soft_teacher(*networks), tmp_path / "c.pth")
    told = r"--prefix studnet: 0 tensors begin with it.*below 'teacher\.backbone\.' and 'student\.backbone\.'"
    with pytest.raises(UserError, match=told):
        read_backbone(path, prefix="studnet")
    with pytest.raises(UserError, match="--method: '' is no name"):
        read_backbone(path, preprocessing=STATED, prefix="student.backbone", method="")


def test_where_bottlenecks_stride_must_be_said_where_the_file_does_not(tmp_path: Path) -> None:
    """Detectors of MMDetection and Detectron2, and whatever was trained as Caffe's networks are."""
    network = lively_network(BOTTLENECKS).state_dict()
    caffe = {"mean": (103.53, 116.28, 123.675), "std": (1.0,) * 3, "value_range": 255.0, "channel_order": "BGR"}
    for content in (
        detector()(network, network),
        detectron2_training(network, network),
        {"net": under("n.", network)},
    ):
        path = save(content, tmp_path / "c.pth")
        with pytest.raises(UserError, match="does not tell where its bottlenecks stride.*--stride-in 3x3.*1x1"):
            read_backbone(path, preprocessing=StatedPreprocessing(**caffe))
        for stride_in in ("3x3", "1x1"):
            imported = read_backbone(path, preprocessing=StatedPreprocessing(**caffe, stride_in=stride_in))
            assert imported.info.architecture == BOTTLENECKS or stride_in == "1x1"
            assert imported.info.architecture.stride_in == stride_in
    imported = read_backbone(save(detector(CAFFE, "caffe")(network, network), tmp_path / "c.pth"))
    assert (imported.info.architecture.stride_in, imported.info.preprocessing.channel_order) == ("1x1", "BGR")


def test_hugging_faces_settings_are_read_beside_the_file(tmp_path: Path) -> None:
    network = lively_network(BOTTLENECKS).state_dict()
    path = save(under("resnet.", of_huggingface(network)) | classifier("classifier.1."), tmp_path / "pytorch_model.bin")
    imported = read_backbone(path)
    assert same(imported, network)
    assert imported.info.architecture == BOTTLENECKS
    assert any("no config.json" in note for note in imported.notes)
    config = {"model_type": "resnet", "downsample_in_bottleneck": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(half))
    imported = read_backbone(path)
    assert imported.info.architecture.stride_in == "1x1"
    assert imported.info.preprocessing == Preprocessing((0.5,) * 3, (0.5,) * 3)
    (tmp_path / "config.json").write_text(json.dumps(config | {"downsample_in_first_stage": True}))
    with pytest.raises(UserError, match="its first stage strides"):
        read_backbone(path)


def test_timms_settings_are_read_beside_the_file(networks: tuple[State, State], tmp_path: Path) -> None:
    path = save(networks[0] | classifier(), tmp_path / "model.pth")
    assert read_backbone(path).info.preprocessing == IMAGENET
    half = {"architecture": "resnet18", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "config.json").write_text(json.dumps(half))
    assert read_backbone(path).info.preprocessing == Preprocessing((0.5,) * 3, (0.5,) * 3)
    (tmp_path / "config.json").write_text("no JSON")
    assert read_backbone(path).info.preprocessing == IMAGENET
