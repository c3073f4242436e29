"""Published faults rebuilt in miniature, the toolboxes' own configurations, and what the suite exports."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from config_lint_examples import lint_text, write
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing, save_backbone
from transfer.config_lint.lint import has_findings, lint_config, lint_paths
from transfer.config_lint.rule import Finding
from transfer.config_lint.weights_files import read_weights
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.mmseg import files as mmseg_files
from transfer.networks.network import build_network
from transfer.networks.resnet import Architecture, build_resnet
from transfer.networks.vit_architecture import VitArchitecture

CLASSIC = {"channel-order", "unit-std", "stride-style", "frozen-norm", "frozen-stages", "neck-norm"}


def found(findings: list[Finding]) -> list[tuple[str, str, int]]:
    return [(one.rule, one.place.file.name, one.place.line) for one in findings]


def test_duplicate_sections_lose_syncbn_freeze_at_and_stride(tmp_path: Path) -> None:
    """9 of 44 detection files of one project: a second section silently replaces the first."""
    text = """\
INPUT:
  FORMAT: RGB
MODEL:
  WEIGHTS: rotnet.torch
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  PIXEL_STD: [58.395, 57.12, 57.375]
  BACKBONE: {FREEZE_AT: 0}
  RESNETS: {NORM: SyncBN, STRIDE_IN_1X1: false}
  RESNETS:
    DEPTH: 50
  BACKBONE:
    NAME: build_resnet_fpn_backbone
  FPN: {NORM: SyncBN}
"""
    findings = found(lint_text(tmp_path, text))
    assert ("duplicate-key", "config.yaml", 9) in findings
    assert ("duplicate-key", "config.yaml", 11) in findings
    for rule, line in (("stride-style", 9), ("frozen-norm", 9), ("frozen-stages", 11)):
        assert (rule, "config.yaml", line) in findings
    assert {rule for rule, *_ in findings} == {"duplicate-key", "stride-style", "frozen-norm", "frozen-stages"}


def test_bases_that_do_not_exist(tmp_path: Path) -> None:
    """A VOC and an LVIS configuration, each on a base that its repository lacks."""
    voc = {"voc/swav.yaml": "MODEL:\n  WEIGHTS: swav.pkl\n_BASE_: ../base_c4_bn.yaml\n"}
    assert found(lint_config(write(tmp_path, voc))) == [("missing-base", "swav.yaml", 3)]
    lvis = {"lvis/r50.yaml": '_BASE_: "mask_rcnn_R_50_FPN_1x.yaml"\n', "lvis/mask_rcnn_R_50_FPN_3x.yaml": "MODEL: {}\n"}
    assert found(lint_config(write(tmp_path, lvis))) == [("missing-base", "r50.yaml", 1)]


def test_a_2x_schedule_that_is_a_1x(tmp_path: Path) -> None:
    text = (
        "_base_ = 'base.py'\n"
        "# 2x\n"
        "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=24, val_interval=1)\n"
        "val_cfg = dict(type='ValLoop')\n"
        "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)\n"
    )
    findings = lint_config(write(tmp_path, {"mask-rcnn_2x.py": text, "base.py": "model = dict(type='MaskRCNN')\n"}))
    assert found(findings) == [("schedule-assigned-twice", "mask-rcnn_2x.py", 5)]
    assert "line 3" in findings[0].detail


def test_unit_scale_statistics_in_an_older_segmentation_file(tmp_path: Path) -> None:
    text = """\
img_norm_cfg = dict(
    mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Normalize', **img_norm_cfg),
]
data = dict(train=dict(pipeline=train_pipeline), val=dict(pipeline=train_pipeline))
"""
    assert found(lint_text(tmp_path, text)) == [("statistics-scale", "config.py", 2)]
    right = text.replace("[0.485, 0.456, 0.406]", "[123.675, 116.28, 103.53]")
    right = right.replace("[0.229, 0.224, 0.225]", "[58.395, 57.12, 57.375]")
    assert lint_text(tmp_path, right) == []


def test_a_model_pretrained_from_random_with_frozen_parts(tmp_path: Path) -> None:
    """A tutorial builds Detectron2's default model (FrozenBN, FREEZE_AT 2) without weights, to pretrain it."""
    findings = lint_text(tmp_path, 'MODEL:\n  DEVICE: cuda\n  WEIGHTS: ""\n')
    assert found(findings) == [("frozen-random", "config.yaml", 3)]
    assert "MODEL.RESNETS.NORM" in findings[0].detail
    assert "MODEL.BACKBONE.FREEZE_AT" in findings[0].detail


def test_self_supervised_weights_on_the_stock_segmentation_base(tmp_path: Path) -> None:
    """The V1c base with its own weights, and a file on top that only names the checkpoint and the prefix."""
    pytest.importorskip("mmseg")
    text = (
        "_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'\n"
        "model = dict(backbone=dict(init_cfg=dict(\n"
        "    type='Pretrained', checkpoint='moco.pth', prefix='backbone.')))\n"
    )
    findings = lint_config(write(tmp_path, {"voc.py": text}))
    assert {one.rule for one in findings} == {"pretrained-inherited", "deep-stem"}
    assert {one.place.file.name for one in findings} == {"fcn_r50-d8.py"}
    lines = {one.rule: one.place.file.read_text().splitlines()[one.place.line - 1] for one in findings}
    assert "pretrained=" in lines["pretrained-inherited"]
    assert "ResNetV1c" in lines["deep-stem"]
    mended = text.replace("backbone=dict(", "pretrained=None, backbone=dict(type='ResNet', ")
    assert lint_config(write(tmp_path, {"voc.py": mended})) == []


def test_detectron2s_zoo_is_clean_with_its_own_weights_and_classic_with_others(tmp_path: Path) -> None:
    zoo = Path(pytest.importorskip("detectron2").__file__).parent / "model_zoo" / "configs"
    by_config = lint_paths([zoo / name for name in ("COCO-Detection", "COCO-InstanceSegmentation", "Misc")])
    assert len(by_config) >= 40
    assert [one.text() for findings in by_config.values() for one in findings] == []
    base = zoo / "COCO-InstanceSegmentation" / "mask_rcnn_R_50_FPN_1x.yaml"
    findings = lint_config(write(tmp_path, {"moco.yaml": f"_BASE_: {base}\nMODEL:\n  WEIGHTS: moco.pkl\n"}))
    assert {one.rule for one in findings} == CLASSIC
    assert {one.place.file.name for one in findings} == {"moco.yaml"}
    assert all(one.inferred for one in findings)


def test_the_zoo_against_a_backbone_file(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    zoo = Path(pytest.importorskip("detectron2").__file__).parent / "model_zoo" / "configs"
    config = zoo / "COCO-InstanceSegmentation" / "mask_rcnn_R_50_FPN_1x.yaml"
    architecture = Architecture()
    save_backbone(tmp_path / "b.safetensors", build_resnet(architecture).state_dict(), BackboneInfo(architecture))
    moco = read_weights(tmp_path / "b.safetensors")
    findings = lint_config(config, moco)
    assert {one.rule for one in findings} == CLASSIC
    assert {one.severity for one in findings if one.rule != "neck-norm"} == {"error"}
    narrow_18 = {one.rule for one in lint_config(config, read_weights(make_backbone(18, 16)))}
    assert narrow_18 == CLASSIC | {"architecture"}
    caffe = read_weights(make_backbone(50, 16, stride_in="1x1", preprocessing=CAFFE))
    assert {one.rule for one in lint_config(config, caffe)} == {
        "architecture", "frozen-norm", "frozen-stages", "neck-norm",
    }  # fmt: skip


@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_our_detectron2_exports_are_clean(neck: str, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    path = make_backbone(50, 16)
    detectron2_files.export(path, tmp_path / "out", neck=neck)
    for weights in (None, read_weights(path), read_weights(tmp_path / "out")):
        findings = lint_config(tmp_path / "out" / "detectron2.yaml", weights)
        assert not has_findings(findings), [one.text() for one in findings]
        assert not any(one.inferred for one in findings)  # the report beside the weights is read
    other = dataclasses.replace(read_weights(path), mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    rules = {one.rule for one in lint_config(tmp_path / "out" / "detectron2.yaml", other)}
    assert "statistics" in rules


@pytest.mark.parametrize("preprocessing", [CAFFE, SIMCLR], ids=["caffe", "simclr"])
def test_our_mmseg_exports_are_clean(preprocessing: Preprocessing, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    path = make_backbone(18, 16, preprocessing=preprocessing)
    mmseg_files.export(path, tmp_path / "out")
    config = tmp_path / "out" / "mmseg_fcn.py"
    for weights in (None, read_weights(path), read_weights(tmp_path / "out")):
        assert lint_config(config, weights) == []
    for old, new, rule in (
        ("'prefix': 'backbone.'", "'prefix': 'module.'", "prefix"),
        ("'depth': 18", "'depth': 34", "architecture"),
        ("'norm_eval': False", "'norm_eval': True", "norm-eval"),
    ):
        text = config.read_text()
        assert text.count(old) == 1
        config.write_text(text.replace(old, new))
        findings = lint_config(config)
        config.write_text(text)
        assert [(one.rule, one.inferred) for one in findings] == [(rule, False)]


def test_weights_that_say_nothing_are_refused(tmp_path: Path, make_backbone: MakeBackbone) -> None:
    with pytest.raises(UserError, match="0 reports"):
        read_weights(tmp_path)
    (tmp_path / "a_report.json").write_text('{"backbone": {}}')
    with pytest.raises(UserError, match="not a report"):
        read_weights(tmp_path)
    with pytest.raises(UserError, match="no such backbone file"):
        read_weights(tmp_path / "none.safetensors")
    tiny = VitArchitecture(width=32, depth=1, heads=2, patch=8, image_size=16)
    save_backbone(tmp_path / "v.safetensors", build_network(tiny).state_dict(), BackboneInfo(tiny))
    with pytest.raises(UserError, match="takes ResNets only"):
        read_weights(tmp_path / "v.safetensors")
