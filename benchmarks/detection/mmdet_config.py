"""A protocol and a backbone as what mmengine's Runner builds MMDetection from.

``settings.config`` may hold ``model``, which is merged into
:func:`transfer.exporters.mmdet.models.detector_config`, and ``lr_schedule``: ``steps`` (the default) or ``cosine``,
which is Detectron2's ``WarmupCosineLR``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.detection.data import Split
from benchmarks.protocols.protocol import DetectionProtocol, DetectionSettings
from scenebench.errors import UserError, did_you_mean, require_choice
from transfer.backbone_file import BackboneInfo
from transfer.exporters.mmdet.models import detector_config, without_masks

_OWNERS = {
    "model.type": "the protocol's settings",
    "model.backbone": "the backbone file",
    "model.data_preprocessor": "the backbone file",
    "model.neck.in_channels": "the backbone file",
    "model.roi_head.bbox_head.num_classes": "the data",
    "model.roi_head.mask_head.num_classes": "the data",
}
_WARMUP_START = 0.001  # of the learning rate; Detectron2's default


def build_config(
    protocol: DetectionProtocol,
    info: BackboneInfo,
    train: Split,
    test: Split,
    names: list[str],
    with_masks: bool,
    seed: int,
    work_dir: Path,
) -> dict[str, Any]:
    """The Runner's arguments but for its evaluator and hooks.

    Args:
        names: of the categories, by index.
        with_masks: Mask R-CNN on masks, or Faster R-CNN on boxes.

    Raises:
        UserError: a key of ``settings.config`` is unknown, or is not a protocol's to give.
    """
    settings = protocol.settings
    where = f"{protocol.id}: settings.config"
    given = _checked(settings.config, where)
    model = _merge(detector_config(info, "fpn", True, len(names)), given["model"], where, "model")
    return {
        "default_scope": "mmdet",
        "work_dir": str(work_dir),
        "randomness": {"seed": seed},
        "env_cfg": {"cudnn_benchmark": False, "opencv_num_threads": 0},
        "model": model if with_masks else without_masks(model),
        "train_dataloader": _loader(
            _dataset(train, names, _train_pipeline(settings, with_masks))
            | {"filter_cfg": {"filter_empty_gt": True, "min_size": 0}},
            settings.batch_size,
            {"type": "InfiniteSampler", "shuffle": True, "seed": seed},
        )
        | {"batch_sampler": {"type": "AspectRatioBatchSampler"}},
        "test_dataloader": _loader(
            _dataset(test, names, _test_pipeline(settings)) | {"test_mode": True},
            1,  # images may be of any size
            {"type": "DefaultSampler", "shuffle": False},
        ),
        # Tested once, after training: there is no validation loop to choose a checkpoint by.
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": settings.iterations},
        "test_cfg": {"type": "TestLoop"},
        "optim_wrapper": _optimiser(settings),
        "param_scheduler": _schedule(settings, given["lr_schedule"]),
        "default_hooks": {
            "checkpoint": None,
            "logger": {"type": "LoggerHook", "interval": min(10, settings.iterations)},
        },
        "log_processor": {"by_epoch": False},
    }


def _checked(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {"model": {}, "lr_schedule": "steps"}
    for key in config:
        if key not in known:
            raise UserError(f"{where}.{key}: no such key for MMDetection{did_you_mean(key, known)}")
    found = known | dict(config)
    if not isinstance(found["model"], Mapping):
        raise UserError(f"{where}.model: must be a mapping")
    require_choice(f"{where}.lr_schedule", str(found["lr_schedule"]), ["steps", "cosine"])
    return found


def _merge(tree: Mapping[str, Any], given: Mapping[str, Any], where: str, place: str) -> dict[str, Any]:
    """``tree`` with the values of ``given``; only keys that are there can be given."""
    merged = copy.deepcopy(dict(tree))
    for key, value in given.items():
        path = f"{place}.{key}"
        if path in _OWNERS:
            raise UserError(f"{where}.{path}: is written from {_OWNERS[path]}; remove it")
        if key not in tree:
            raise UserError(f"{where}.{path}: the model has no such key{did_you_mean(key, tree)}")
        if isinstance(tree[key], Mapping):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}.{path}: must be a mapping")
            merged[key] = _merge(tree[key], value, where, path)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _dataset(split: Split, names: list[str], pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "CocoDataset",
        "ann_file": str(split.json_file),
        "data_prefix": {"img": str(split.image_root)},
        "metainfo": {"classes": tuple(names)},
        "pipeline": pipeline,
    }


def _loader(dataset: dict[str, Any], batch_size: int, sampler: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": dataset, "batch_size": batch_size, "num_workers": 0, "sampler": sampler, "drop_last": False}


def _train_pipeline(settings: DetectionSettings, with_masks: bool) -> list[dict[str, Any]]:
    sides = list(settings.train_short_sides) or [settings.short_side]
    as_bitmasks = settings.mask_format == "bitmask"
    return [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True, "with_mask": with_masks, "poly2mask": as_bitmasks},
        {"type": "RandomChoiceResize", "scales": [_scale(settings, side) for side in sides], "keep_ratio": True},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackDetInputs"},
    ]


def _test_pipeline(settings: DetectionSettings) -> list[dict[str, Any]]:
    kept = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
    return [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": _scale(settings, settings.short_side), "keep_ratio": True},
        {"type": "PackDetInputs", "meta_keys": kept},
    ]


def _scale(settings: DetectionSettings, short_side: int) -> tuple[int, int]:
    return settings.max_side, short_side  # MMDetection: the long side at most the one, the short at most the other


def _optimiser(settings: DetectionSettings) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {"adamw": {"type": "AdamW"}, "sgd": {"type": "SGD", "momentum": 0.9}}
    rates = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    return {
        "type": "OptimWrapper",
        "optimizer": kinds[settings.optimiser] | rates,
        "paramwise_cfg": {"norm_decay_mult": 0.0},
        "clip_grad": {"max_norm": settings.clip_norm} if settings.clip_norm > 0 else None,
    }


def _schedule(settings: DetectionSettings, kind: str) -> list[dict[str, Any]]:
    """A linear warm-up times the decay."""
    iterations = settings.iterations
    warmup = min(settings.warmup_iterations, iterations - 1)
    if kind == "cosine":
        decay: dict[str, Any] = {"type": "CosineAnnealingLR", "T_max": iterations, "eta_min": 0.0, "end": iterations}
    else:
        milestones = [step for step in settings.steps if step < iterations]
        decay = {"type": "MultiStepLR", "milestones": milestones, "gamma": settings.step_factor}
    schedule = [decay | {"begin": 0, "by_epoch": False}]
    if warmup >= 1:
        start = {"type": "LinearLR", "start_factor": _WARMUP_START, "begin": 0, "end": warmup, "by_epoch": False}
        schedule.insert(0, start)
    return schedule
