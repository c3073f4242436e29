"""Detectron2's keys in the rules' common terms, with the defaults of its ``config/defaults.py``."""

from __future__ import annotations

from typing import Any

from transfer.config_lint.detectron2_training import detectron2_training
from transfer.config_lint.known_keys import DETECTRON2_KEYS, misspelt
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
    "MODEL.RESNETS.NUM_GROUPS": 1,
    "MODEL.RESNETS.WIDTH_PER_GROUP": 64,
    "MODEL.PROPOSAL_GENERATOR.NAME": "RPN",
    "MODEL.ROI_HEADS.NUM_CLASSES": 80,
    "MODEL.RETINANET.NUM_CLASSES": 80,
    "MODEL.SEM_SEG_HEAD.NUM_CLASSES": 54,
    "MODEL.SEM_SEG_HEAD.IGNORE_VALUE": 255,
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeads",
    "INPUT.FORMAT": "BGR",
    "INPUT.MIN_SIZE_TRAIN": (800,),
    "INPUT.CROP.ENABLED": False,
    "INPUT.CROP.TYPE": "relative_range",
    "INPUT.CROP.SIZE": [0.9, 0.9],
    "SOLVER.LR_SCHEDULER_NAME": "WarmupMultiStepLR",
    "SOLVER.MAX_ITER": 40000,
    "SOLVER.STEPS": (30000,),
    "SOLVER.BASE_LR": 0.001,
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.REFERENCE_WORLD_SIZE": 0,
    "TEST.PRECISE_BN.ENABLED": False,
}
"""The defaults that the rules need, by dotted key; a test holds them against the installed Detectron2."""


def detectron2_settings(config: Config) -> Settings:
    """The settings of a Detectron2 configuration."""
    lookup = Lookup(config)

    def find(key: str) -> Setting | None:
        return lookup.find(key, DEFAULTS.get(key))

    of_training = Lookup(config)  # what is computed there depends on no weights, and is not told

    def find_training(key: str) -> Setting | None:
        default = DEFAULTS.get(key)
        return of_training.find(key, list(default) if isinstance(default, tuple) else default)

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
        groups=find("MODEL.RESNETS.NUM_GROUPS") if is_resnet else None,
        group_width=find("MODEL.RESNETS.WIDTH_PER_GROUP") if is_resnet else None,
        norm=norm if is_resnet else None,
        frozen_norm=translated(norm, norm is not None and norm.value == "FrozenBN") if is_resnet else None,
        frozen_stages=translated(frozen, frozen is not None and isinstance(frozen.value, int) and frozen.value > 0),
        neck_norm=find("MODEL.FPN.NORM") if has_fpn else None,
        c4_head=head if bare_rcnn and head and "Res5" in str(head.value) else None,
        precise_bn=find("TEST.PRECISE_BN.ENABLED"),
        one_device=on_one,
        training=detectron2_training(find_training),
        misspelt=list(misspelt(config.root, DETECTRON2_KEYS)),
        computed=lookup.computed,
    )
