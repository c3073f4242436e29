"""Detectron2's keys in the rules' common terms, with the defaults of its ``config/defaults.py``."""

from __future__ import annotations

from typing import Any

from transfer.config_lint.settings import Inputs, Lookup, Setting, Settings, Source, translated
from transfer.config_lint.tree import Config

DEFAULTS: dict[str, Any] = {
    "MODEL.DEVICE": "cuda",
    "MODEL.PIXEL_MEAN": [103.53, 116.28, 123.675],
    "MODEL.PIXEL_STD": [1.0, 1.0, 1.0],
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.BACKBONE.FREEZE_AT": 2,
    "MODEL.FPN.NORM": "",
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.NORM": "FrozenBN",
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 64,
    "MODEL.RESNETS.STRIDE_IN_1X1": True,
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "INPUT.FORMAT": "BGR",
    "SOLVER.REFERENCE_WORLD_SIZE": 0,
    "TEST.PRECISE_BN.ENABLED": False,
}
"""The defaults that the rules need, by dotted key; a test holds them against the installed Detectron2."""


def detectron2_settings(config: Config) -> Settings:
    """The settings of a Detectron2 configuration."""
    lookup = Lookup(config)

    def find(key: str) -> Setting | None:
        return lookup.find(key, DEFAULTS.get(key))

    weights = find("MODEL.WEIGHTS")
    builder = find("MODEL.BACKBONE.NAME")
    is_resnet = builder is not None and "resnet" in str(builder.value)
    has_fpn = builder is not None and "fpn" in str(builder.value)
    bare_rcnn = builder is not None and builder.value == "build_resnet_backbone"
    norm, frozen, world = (
        find("MODEL.RESNETS.NORM"), find("MODEL.BACKBONE.FREEZE_AT"), find("SOLVER.REFERENCE_WORLD_SIZE"),
    )  # fmt: skip
    stride, head, device = find("MODEL.RESNETS.STRIDE_IN_1X1"), find("MODEL.ROI_HEADS.NAME"), find("MODEL.DEVICE")
    on_one = device if device and device.value == "cpu" else world if world and world.value == 1 else None
    return Settings(
        config=config,
        is_resnet=is_resnet,
        inputs=[Inputs(find("INPUT.FORMAT"), find("MODEL.PIXEL_MEAN"), find("MODEL.PIXEL_STD"))],
        sources=[] if weights is None else [Source(translated(weights, weights.value or None) or weights, "model")],
        stride_in=translated(stride, "1x1" if stride and stride.value else "3x3") if is_resnet else None,
        stem=None,  # stock Detectron2 has no deep stem
        depth=find("MODEL.RESNETS.DEPTH") if is_resnet else None,
        stem_width=find("MODEL.RESNETS.STEM_OUT_CHANNELS") if is_resnet else None,
        norm=norm if is_resnet else None,
        frozen_norm=translated(norm, norm is not None and norm.value == "FrozenBN") if is_resnet else None,
        frozen_stages=translated(frozen, frozen is not None and frozen.value != 0),
        neck_norm=find("MODEL.FPN.NORM") if has_fpn else None,
        c4_head=head if bare_rcnn and head and "Res5" in str(head.value) else None,
        precise_bn=find("TEST.PRECISE_BN.ENABLED"),
        one_device=on_one,
        computed=lookup.computed,
    )
