"""Miniature configurations without a fault, from which the tests of the linter make faulty ones by one change."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from transfer.config_lint.lint import lint_config
from transfer.config_lint.rule import Finding
from transfer.config_lint.weights import Weights

FPN = """\
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  WEIGHTS: moco_r50.pkl
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  PIXEL_STD: [58.395, 57.12, 57.375]
  BACKBONE:
    NAME: build_resnet_fpn_backbone
    FREEZE_AT: 0
  FPN:
    NORM: SyncBN
  RESNETS:
    DEPTH: 50
    NORM: SyncBN
    STRIDE_IN_1X1: false
INPUT:
  FORMAT: RGB
SOLVER:
  STEPS: (60000, 80000)
TEST:
  PRECISE_BN:
    ENABLED: true
"""
C4 = (
    FPN.replace("build_resnet_fpn_backbone", "build_resnet_backbone")
    .replace("  FPN:\n    NORM: SyncBN\n", "  ROI_HEADS:\n    NAME: Res5ROIHeadsExtraNorm\n")
    .replace("moco_r50", "densecl_r50")
)
SEGMENTOR = """\
default_scope = 'mmseg'
norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        type='ResNet',
        depth=50,
        style='pytorch',
        norm_cfg=norm_cfg,
        norm_eval=False,
        frozen_stages=-1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='moco_r50.pth',
            prefix='backbone.')))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000)
"""
HEAD = """\
model.update(decode_head=dict(type='FCNHead', num_classes=21))
data = dict(train=dict(type='PascalVOCDataset'))
"""
DETECTOR = """\
default_scope = 'mmdet'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=50,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=dict(
            type='Pretrained', checkpoint='moco_r50.pth', prefix='backbone.')),
    neck=dict(
        type='FPN',
        norm_cfg=norm_cfg))
"""
DETECTOR_C4 = """\
default_scope = 'mmdet'
norm_cfg = dict(type='SyncBN', requires_grad=True)
weights = dict(type='Pretrained', checkpoint='moco_r50.pth', prefix='backbone.')
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=3,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=weights),
    roi_head=dict(
        shared_head=dict(
            type='ResLayerExtraNorm',
            norm_cfg=norm_cfg,
            init_cfg=weights)))
"""

MOCO = Weights(
    source="known for this test",
    certain=True,
    self_supervised=True,
    channel_order="RGB",
    mean=(123.675, 116.28, 103.53),
    std=(58.395, 57.12, 57.375),
    stride_in="3x3",
    stem="conv7x7",
    depth=50,
    stem_width=64,
    norm="BN",
    groups=1,
    group_width=64,
)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files of these names and contents; returns the first."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / next(iter(files))


def pickled(arrays: dict[str, Any], heuristics: bool = False) -> str:
    """Detectron2's ``.pkl`` of these arrays as text (protocol 0 is ASCII), to write into a file."""
    content = {"model": arrays, "__author__": "test"} | ({"matching_heuristics": True} if heuristics else {})
    return pickle.dumps(content, protocol=0).decode("ascii")


def lint_text(folder: Path, text: str, weights: Weights | None = None) -> list[Finding]:
    """Findings of one file of this text, YAML or Python as its first characters tell."""
    name = "config.yaml" if text.startswith(("MODEL:", "_BASE_", "INPUT:")) else "config.py"
    return lint_config(write(folder, {name: text}), weights)


def line_of(text: str, part: str) -> int:
    """The line, from 1, on which ``part`` begins; it stands there once only."""
    assert text.count(part) == 1, part
    return text[: text.index(part)].count("\n") + 1
