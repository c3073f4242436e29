"""A protocol and a backbone as what mmengine's Runner is built from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import IGNORED
from benchmarks.protocols.protocol import SegmentationProtocol
from benchmarks.protocols.segmentation import SegmentationSettings
from benchmarks.segmentation.layout import SemanticLayout
from transfer.backbone_file import BackboneInfo
from transfer.exporters.mmseg.build import backbone_config, preprocessor_config
from transfer.networks.network import require_resnet

MERGE_TRANSFORM = "MergeCategories"
_PSA_SHRINK = 2  # PSANet attends at half the resolution of the features


def build_config(
    protocol: SegmentationProtocol,
    info: BackboneInfo,
    classes: Sequence[str],
    train: SemanticLayout,
    test: SemanticLayout,
    seed: int,
    work_dir: Path,
) -> dict[str, Any]:
    """The Runner's arguments but for its evaluator and hooks.

    Args:
        classes: names by label.
        train, test: where the images and maps of the two splits lie.
    """
    settings, data = protocol.settings, protocol.data
    return {
        "default_scope": "mmseg",
        "work_dir": str(work_dir),
        "randomness": {"seed": seed},
        "env_cfg": {"cudnn_benchmark": False, "opencv_num_threads": 0},
        "model": _model(settings, info, len(classes)),
        "train_dataloader": _loader(
            _dataset(train, classes, _train_pipeline(settings, data.merge_categories)),
            settings.batch_size,
            settings.workers,
            {"type": "InfiniteSampler", "shuffle": True, "seed": seed},
        ),
        "test_dataloader": _loader(
            _dataset(test, classes, _test_pipeline(settings, data.merge_categories)),
            1,  # images may be of any size
            settings.workers,
            {"type": "DefaultSampler", "shuffle": False},
        ),
        # Tested once, after training: there is no validation loop to choose a checkpoint by.
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": settings.iterations},
        "test_cfg": {"type": "TestLoop"},
        "optim_wrapper": _optimiser(settings),
        "param_scheduler": _schedule(settings),
        "default_hooks": {
            "checkpoint": None,
            "logger": {"type": "LoggerHook", "interval": min(10, settings.iterations)},
        },
        "log_processor": {"by_epoch": False},
    }


def _model(settings: SegmentationSettings, info: BackboneInfo, classes: int) -> dict[str, Any]:
    channels = require_resnet(info.architecture, "MMSegmentation").stage_channels
    common = {
        "num_classes": classes,
        "dropout_ratio": settings.dropout,
        "norm_cfg": {"type": settings.norm, "requires_grad": True},
        "align_corners": settings.align_corners,
        "ignore_index": IGNORED,
    }
    auxiliary = {
        "type": "FCNHead",
        "num_convs": 1,
        "concat_input": False,
        "in_channels": channels[2],
        "in_index": 2,
        "channels": max(settings.head_channels // 2, 1),
        "loss_decode": _loss(0.4),
    }
    return {
        "type": "EncoderDecoder",
        "data_preprocessor": preprocessor_config(info, settings.crop),
        "backbone": backbone_config(info, settings.output_stride, settings.norm),
        "decode_head": common
        | _head(settings)
        | {"in_channels": channels[3], "in_index": 3, "channels": settings.head_channels, "loss_decode": _loss(1.0)},
        "auxiliary_head": common | auxiliary if settings.auxiliary_head else None,
        "train_cfg": {},
        "test_cfg": _testing(settings),
    }


def _head(settings: SegmentationSettings) -> dict[str, Any]:
    if settings.head == "pspnet":
        return {"type": "PSPHead", "pool_scales": (1, 2, 3, 6)}
    if settings.head == "psanet":
        reach = settings.psa_mask_size or _reach(settings)
        return {
            "type": "PSAHead",
            "mask_size": (reach, reach),
            "psa_type": "bi-direction",
            "compact": False,
            "shrink_factor": _PSA_SHRINK,
            "normalization_factor": 1.0,
            "psa_softmax": True,
        }
    convs = {"num_convs": settings.convs, "dilation": settings.dilation, "concat_input": settings.concat_input}
    return {"type": "FCNHead", **convs}


def _reach(settings: SegmentationSettings) -> int:
    """From one corner of the shrunk features of a crop to the other: n places aside need 2n - 1."""
    places = math.ceil(math.ceil(max(settings.crop) / settings.output_stride) / _PSA_SHRINK)
    return 2 * places - 1


def _testing(settings: SegmentationSettings) -> dict[str, Any]:
    if settings.slide_stride is None:
        return {"mode": "whole"}
    return {"mode": "slide", "crop_size": settings.crop, "stride": (settings.slide_stride, settings.slide_stride)}


def _loss(weight: float) -> dict[str, Any]:
    return {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": weight}


def _dataset(layout: SemanticLayout, classes: Sequence[str], pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "BaseSegDataset",
        "ann_file": str(layout.listed),
        "data_prefix": {"img_path": str(layout.folder), "seg_map_path": str(layout.map_folder)},
        "img_suffix": layout.suffix,
        "seg_map_suffix": layout.map_suffix,
        "metainfo": {"classes": list(classes)},
        "reduce_zero_label": False,
        "ignore_index": IGNORED,
        "pipeline": pipeline,
    }


def _loader(dataset: dict[str, Any], batch_size: int, workers: int, sampler: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "batch_size": batch_size,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "sampler": sampler,
        "drop_last": False,
    }


def _train_pipeline(settings: SegmentationSettings, merge: bool) -> list[dict[str, Any]]:
    if settings.resize == "ratio":
        scale = (settings.max_side, settings.short_side)
        ratios = tuple(settings.ratio_range)
        resize = {"type": "RandomResize", "scale": scale, "ratio_range": ratios, "keep_ratio": True}
    else:
        resize = {
            "type": "RandomChoiceResize",
            "scales": list(settings.train_short_sides) or [settings.short_side],
            "resize_type": "ResizeShortestEdge",
            "max_size": settings.max_side,
        }
    return [
        {"type": "LoadImageFromFile"},
        *_labels(merge),
        resize,
        {"type": "RandomCrop", "crop_size": settings.crop, "cat_max_ratio": settings.cat_max_ratio},
        {"type": "RandomFlip", "prob": 0.5},
        *([{"type": "PhotoMetricDistortion"}] if settings.photometric else []),
        {"type": "PackSegInputs"},
    ]


def _test_pipeline(settings: SegmentationSettings, merge: bool) -> list[dict[str, Any]]:
    if settings.resize == "ratio":
        resize = {"type": "Resize", "scale": (settings.max_side, settings.short_side), "keep_ratio": True}
    else:
        resize = {"type": "ResizeShortestEdge", "scale": settings.short_side, "max_size": settings.max_side}
    return [
        {"type": "LoadImageFromFile"},
        resize,
        *_labels(merge),  # after the resizing: the truth stays as it is, the prediction is resized to it
        {"type": "PackSegInputs"},
    ]


def _labels(merge: bool) -> list[dict[str, Any]]:
    return [{"type": "LoadAnnotations"}, *([{"type": MERGE_TRANSFORM}] if merge else [])]


def _optimiser(settings: SegmentationSettings) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {"adamw": {"type": "AdamW"}, "sgd": {"type": "SGD", "momentum": 0.9}}
    rates = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    heads = {name: {"lr_mult": settings.head_lr_factor} for name in ("decode_head", "auxiliary_head")}
    return {
        "type": "OptimWrapper",
        "optimizer": kinds[settings.optimiser] | rates,
        "paramwise_cfg": {"custom_keys": heads, "norm_decay_mult": float(settings.norm_weight_decay)},
        "clip_grad": {"max_norm": settings.clip_norm} if settings.clip_norm > 0 else None,
    }


def _schedule(settings: SegmentationSettings) -> list[dict[str, Any]]:
    warmup = min(settings.warmup_iterations, settings.iterations - 1)
    decay: dict[str, Any] = {
        "type": "PolyLR",
        "power": settings.poly_power,
        "eta_min": settings.learning_rate * settings.min_lr_factor,
        "begin": warmup,
        "end": settings.iterations,
        "by_epoch": False,
    }
    if settings.schedule == "step":
        steps = {"milestones": list(settings.steps), "gamma": settings.step_factor}
        decay = {"type": "MultiStepLR", **steps, "by_epoch": False}
    if warmup < 1:
        return [decay]
    return [{"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup, "by_epoch": False}, decay]
