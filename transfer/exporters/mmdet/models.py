"""Faster and Mask R-CNN as MMDetection configures them, with a feature pyramid (FPN) or on the fourth stage (C4).

Every value is written out, so that a protocol can change any of them by its place. What depends on the weights comes
from :mod:`transfer.exporters.mmdet.build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scenebench.errors import require_choice
from transfer.backbone_file import BackboneInfo
from transfer.exporters.mmdet import build as to_mmdet
from transfer.networks.network import require_resnet

PYRAMID_CHANNELS = 256
_STRIDES = [4, 8, 16, 32]


def detector_config(
    info: BackboneInfo,
    neck: str = "fpn",
    masks: bool = True,
    classes: int = 80,
    norm: str = "BN",
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """The ``model`` of an MMDetection configuration.

    Args:
        neck: ``fpn`` or ``c4`` (no neck; layer4 with an extra norm in the RoI head).
        masks: Mask R-CNN, or Faster R-CNN.
        classes: number of categories.
        norm: of backbone and neck, ``BN`` or ``SyncBN``.
        checkpoint: see :func:`transfer.exporters.mmdet.build.backbone_config`.

    Raises:
        UserError: an unknown neck or norm, or not a ResNet.
    """
    require_choice("neck", neck, to_mmdet.NECKS)
    model = {
        "type": "MaskRCNN",
        "data_preprocessor": to_mmdet.preprocessor_config(info),
        "backbone": to_mmdet.backbone_config(info, neck, norm, checkpoint),
    }
    if neck == "fpn":
        model |= _pyramid_parts(info, classes, norm)
    else:
        model |= _c4_parts(info, classes, norm, checkpoint)
    model |= _training_and_testing(neck)
    return model if masks else without_masks(model)


def without_masks(model: dict[str, Any]) -> dict[str, Any]:
    """A Mask R-CNN's configuration as a Faster R-CNN's."""
    head = {key: value for key, value in model["roi_head"].items() if not key.startswith("mask_")}
    preprocessor = model["data_preprocessor"] | {"pad_mask": False}
    return model | {"type": "FasterRCNN", "roi_head": head, "data_preprocessor": preprocessor}


def _pyramid_parts(info: BackboneInfo, classes: int, norm: str) -> dict[str, Any]:
    channels = require_resnet(info.architecture, "MMDetection").stage_channels
    box_head = {"type": "Shared2FCBBoxHead", "in_channels": PYRAMID_CHANNELS, "fc_out_channels": 1024}
    return {
        "neck": {
            "type": "FPN",
            "in_channels": list(channels),
            "out_channels": PYRAMID_CHANNELS,
            "start_level": 0,
            "num_outs": 5,
            "norm_cfg": {"type": norm, "requires_grad": True},
        },
        "rpn_head": _rpn_head(PYRAMID_CHANNELS, scales=[8], strides=[*_STRIDES, 64]),
        "roi_head": {
            "type": "StandardRoIHead",
            "bbox_roi_extractor": _roi_extractor(7, PYRAMID_CHANNELS, _STRIDES),
            "bbox_head": box_head | _box_head(classes),
            "mask_roi_extractor": _roi_extractor(14, PYRAMID_CHANNELS, _STRIDES),
            "mask_head": _mask_head(PYRAMID_CHANNELS, classes, convolutions=4),
        },
    }


def _c4_parts(info: BackboneInfo, classes: int, norm: str, checkpoint: str | None) -> dict[str, Any]:
    channels = require_resnet(info.architecture, "MMDetection").stage_channels
    box_head = {"type": "BBoxHead", "with_avg_pool": True, "in_channels": channels[3]}
    return {
        "rpn_head": _rpn_head(channels[2], scales=[2, 4, 8, 16, 32], strides=[16]),
        "roi_head": {
            "type": "StandardRoIHead",
            "shared_head": to_mmdet.shared_head_config(info, norm, checkpoint),
            "bbox_roi_extractor": _roi_extractor(14, channels[2], [16]),
            "bbox_head": box_head | _box_head(classes),
            "mask_roi_extractor": None,
            "mask_head": _mask_head(channels[3], classes, convolutions=0),
        },
    }


def _rpn_head(channels: int, scales: list[int], strides: list[int]) -> dict[str, Any]:
    return {
        "type": "RPNHead",
        "in_channels": channels,
        "feat_channels": channels,
        "anchor_generator": {
            "type": "AnchorGenerator",
            "scales": scales,  # an anchor's side is its level's stride times this
            "ratios": [0.5, 1.0, 2.0],
            "strides": strides,
        },
        "bbox_coder": _coder(1.0, 1.0),
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0},
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    }


def _roi_extractor(size: int, channels: int, strides: Sequence[int]) -> dict[str, Any]:
    return {
        "type": "SingleRoIExtractor",
        "roi_layer": {"type": "RoIAlign", "output_size": size, "sampling_ratio": 0},
        "out_channels": channels,
        "featmap_strides": list(strides),
        "finest_scale": 56,  # boxes of less than twice this many pixels go to the first level
    }


def _box_head(classes: int) -> dict[str, Any]:
    return {
        "roi_feat_size": 7,
        "num_classes": classes,
        "bbox_coder": _coder(0.1, 0.2),
        "reg_class_agnostic": False,
        "loss_cls": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
        "loss_bbox": {"type": "L1Loss", "loss_weight": 1.0},
    }


def _mask_head(channels: int, classes: int, convolutions: int) -> dict[str, Any]:
    return {
        "type": "FCNMaskHead",
        "num_convs": convolutions,
        "in_channels": channels,
        "conv_out_channels": 256,
        "num_classes": classes,
        "norm_cfg": None,
        "loss_mask": {"type": "CrossEntropyLoss", "use_mask": True, "loss_weight": 1.0},
    }


def _coder(centre: float, side: float) -> dict[str, Any]:
    stds = [centre, centre, side, side]
    return {"type": "DeltaXYWHBBoxCoder", "target_means": [0.0, 0.0, 0.0, 0.0], "target_stds": stds}


def _training_and_testing(neck: str) -> dict[str, Any]:
    pyramid = neck == "fpn"
    nms = {"type": "nms", "iou_threshold": 0.7}
    return {
        "train_cfg": {
            "rpn": {
                "assigner": _assigner(0.7, 0.3, 0.3, match_low_quality=True),
                "sampler": _sampler(256, 0.5, with_truth=False),
                "allowed_border": -1 if pyramid else 0,
                "pos_weight": -1,
                "debug": False,
            },
            "rpn_proposal": {
                "nms_pre": 2000 if pyramid else 12000,
                "max_per_img": 1000 if pyramid else 2000,
                "nms": dict(nms),
                "min_bbox_size": 0,
            },
            "rcnn": {
                "assigner": _assigner(0.5, 0.5, 0.5, match_low_quality=pyramid),
                "sampler": _sampler(512, 0.25, with_truth=True),
                "mask_size": 28 if pyramid else 14,
                "pos_weight": -1,
                "debug": False,
            },
        },
        "test_cfg": {
            "rpn": {
                "nms_pre": 1000 if pyramid else 6000,
                "max_per_img": 1000,
                "nms": dict(nms),
                "min_bbox_size": 0,
            },
            "rcnn": {
                "score_thr": 0.05,
                "nms": {"type": "nms", "iou_threshold": 0.5},
                "max_per_img": 100,
                "mask_thr_binary": 0.5,
            },
        },
    }


def _assigner(positive: float, negative: float, least: float, match_low_quality: bool) -> dict[str, Any]:
    return {
        "type": "MaxIoUAssigner",
        "pos_iou_thr": positive,
        "neg_iou_thr": negative,
        "min_pos_iou": least,
        "match_low_quality": match_low_quality,
        "ignore_iof_thr": -1,
    }


def _sampler(number: int, positive_fraction: float, with_truth: bool) -> dict[str, Any]:
    return {
        "type": "RandomSampler",
        "num": number,
        "pos_fraction": positive_fraction,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": with_truth,
    }
