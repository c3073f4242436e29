"""ResNet-18 and -34 of any width for Detectron2, made of its own blocks.

Detectron2's builder insists on 64 channels in res2 for these depths (bottleneck networks it builds at any width).
Importing this module registers ``build_narrow_resnet_backbone`` and ``build_narrow_resnet_fpn_backbone``; they read the
keys of the stock builders, and ``MODEL.RESNETS.STEM_OUT_CHANNELS`` is the width.
"""

from __future__ import annotations

from typing import Any

from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY
from detectron2.modeling.backbone.fpn import FPN, LastLevelMaxPool
from detectron2.modeling.backbone.resnet import BasicBlock, BasicStem, ResNet

from transfer.networks.resnet import BLOCKS_BY_DEPTH, Architecture


@BACKBONE_REGISTRY.register()
def build_narrow_resnet_backbone(cfg: Any, input_shape: ShapeSpec) -> ResNet:
    """The counterpart of ``build_resnet_backbone`` for ``MODEL.RESNETS.DEPTH`` 18 or 34."""
    resnets = cfg.MODEL.RESNETS
    architecture = Architecture(depth=resnets.DEPTH, stem_width=resnets.STEM_OUT_CHANNELS)
    stages = []
    in_channels = architecture.stem_width
    blocks_by_stage = BLOCKS_BY_DEPTH[architecture.depth][1]
    for number, (blocks, channels) in enumerate(zip(blocks_by_stage, architecture.stage_channels, strict=True)):
        stage = ResNet.make_stage(
            BasicBlock,
            blocks,
            stride_per_block=[1 if number == 0 else 2] + [1] * (blocks - 1),
            in_channels=in_channels,
            out_channels=channels,
            norm=resnets.NORM,
        )
        stages.append(stage)
        in_channels = channels
    stem = BasicStem(in_channels=input_shape.channels, out_channels=architecture.stem_width, norm=resnets.NORM)
    return ResNet(stem, stages, out_features=resnets.OUT_FEATURES, freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT)


@BACKBONE_REGISTRY.register()
def build_narrow_resnet_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """The counterpart of ``build_resnet_fpn_backbone``."""
    return FPN(
        bottom_up=build_narrow_resnet_backbone(cfg, input_shape),
        in_features=cfg.MODEL.FPN.IN_FEATURES,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )
