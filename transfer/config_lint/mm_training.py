"""Schedule of an OpenMMLab configuration, of version 1 (``param_scheduler``) or 0 (``lr_config``), in common terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from transfer.config_lint.mm_data import mm_classes, mm_crops, mm_ignored, mm_slides
from transfer.config_lint.settings import Lookup, Rate, Schedule, Setting, Training
from transfer.config_lint.tree import UNKNOWN, Config, Node

_DEVICES_AND_IMAGES = re.compile(r"(?:^|[-_])(\d+)x(?:b)(\d+)(?:[-_.]|$)")
_DEVICES = {"mmseg": 4, "mmdet": 8}  # of the toolboxes' own configurations
_STEPS = ("MultiStepLR", "MultiStepParamScheduler")
_WHOLE = ("PolyLR", "CosineAnnealingLR")


def mm_training(config: Config) -> Training:
    """What can be known of schedule and data without running anything."""
    lookup = Lookup(config)  # of its own: what is computed here depends on no weights, and is not told
    loop, unit = _length(lookup)
    schedules, ends, units = _param_schedulers(config, loop, unit)
    old = _lr_config(lookup, loop, unit)
    return Training(
        schedules=schedules + old,
        ends=ends,
        units=units,
        rate=_rate(config, lookup),
        crops=list(mm_crops(config, lookup)),
        slides=list(mm_slides(lookup)),
        classes=list(mm_classes(config, lookup)),
        ignored=list(mm_ignored(config, lookup)),
    )


def _length(lookup: Lookup) -> tuple[Setting | None, str]:
    """How long training lasts, and its unit."""
    for key, unit in (
        ("train_cfg.max_iters", "iterations"),
        ("train_cfg.max_epochs", "epochs"),
        ("runner.max_iters", "iterations"),
        ("runner.max_epochs", "epochs"),
        ("total_iters", "iterations"),
        ("total_epochs", "epochs"),
    ):
        found = lookup.find(key)
        if found is not None and isinstance(found.value, (int, float)) and not isinstance(found.value, bool):
            return found, unit
    return None, ""


def _param_schedulers(
    config: Config, loop: Setting | None, unit: str
) -> tuple[list[Schedule], list[tuple[Setting, Setting]], list[tuple[Setting, str]]]:
    node = config.root.get("param_scheduler")
    if node is None or loop is None:
        return [], [], []
    entries = node.value if isinstance(node.value, list) else [node]
    schedules: list[Schedule] = []
    ends: list[tuple[Setting, float]] = []
    units: list[tuple[Setting, str]] = []
    for number, entry in enumerate(entries):
        if not isinstance(entry.value, dict):
            return [], [], []  # one that is computed may come before or after the others
        path = f"param_scheduler.{number}" if isinstance(node.value, list) else "param_scheduler"
        kind, by_epoch = _plain(entry, "type"), _plain(entry, "by_epoch", True)
        milestones, end = entry.get("milestones"), entry.get("end")
        own = "epochs" if by_epoch is True else "iterations"
        steps = milestones if str(kind).rpartition(".")[2] in _STEPS and milestones is not None else None
        if own != unit:
            units += _wrong_unit(entry, path, steps, loop, unit, _plain(entry, "convert_to_iter_based", False))
            continue
        if steps is not None:
            setting = Setting(_plain(entry, "milestones"), f"{path}.milestones", steps.place)
            schedules.append(Schedule(setting, loop, increasing=False))
        elif end is not None and str(kind).rpartition(".")[2] in _WHOLE and isinstance(end.value, (int, float)):
            ends.append((Setting(end.value, f"{path}.end", end.place), end.value))
        elif end is None or isinstance(end.value, (int, float)):
            ends += [] if end is None else [(Setting(end.value, "", end.place), end.value)]
    last = max(ends, key=lambda one: one[1], default=None)
    is_whole = last is not None and last[0].key != "" and not schedules
    return schedules, [(last[0], loop)] if last is not None and is_whole else [], units


def _wrong_unit(
    entry: Node, path: str, steps: Node | None, loop: Setting, unit: str, converted: Any
) -> Iterator[tuple[Setting, str]]:
    """A warm-up that counts iterations in a training of epochs is the rule; milestones as small as epochs are none."""
    by_epoch = entry.get("by_epoch")
    setting = Setting(None, f"{path}.by_epoch", entry.place if by_epoch is None else by_epoch.place)
    if unit == "iterations":
        if converted is not True:
            yield setting, f"counts epochs, but the training counts iterations ({loop.key})"
    elif steps is not None:
        values = steps.plain()
        small = isinstance(values, list) and values and all(isinstance(one, (int, float)) for one in values)
        if small and max(values) <= loop.value:
            yield setting, f"counts iterations, but {values} are as small as epochs (training has {loop.value})"


def _lr_config(lookup: Lookup, loop: Setting | None, unit: str) -> list[Schedule]:
    policy, step, by_epoch = (lookup.find(f"lr_config.{key}") for key in ("policy", "step", "by_epoch"))
    if step is None or policy is None or policy.value != "step" or not isinstance(step.value, list):
        return []
    own = "iterations" if by_epoch is not None and by_epoch.value is False else "epochs"
    return [Schedule(step, loop if own == unit else None, increasing=False)]


def _rate(config: Config, lookup: Lookup) -> Rate | None:
    """SGD's only: other optimisers' rates follow no linear rule."""
    scaled, scope = lookup.find("auto_scale_lr.enable"), lookup.find("default_scope")
    if (scaled is not None and scaled.value is True) or (scope is not None and scope.value != config.engine):
        return None
    if all(config.root.get(f"model.{head}") is None for head in ("decode_head", "roi_head", "bbox_head", "mask_head")):
        return None
    for place in ("optim_wrapper.optimizer", "optimizer"):
        kind, rate = lookup.find(f"{place}.type"), lookup.find(f"{place}.lr")
        if kind is not None and rate is not None:
            break
    else:
        return None
    batch = lookup.find("train_dataloader.batch_size") or lookup.find("data.samples_per_gpu")
    if kind.value != "SGD" or batch is None or not isinstance(batch.value, int) or batch.value <= 0:
        return None
    named = _DEVICES_AND_IMAGES.search(config.file.stem)
    devices = int(named[1]) if named else _DEVICES[config.engine]
    images = devices * batch.value
    lowest, highest = 0.01 / 16, 0.02 / 16
    if config.engine == "mmseg":
        highest = 0.01 / 8
    elif config.root.get("model.roi_head") is not None:
        lowest = highest
    words = f"{images} images a batch ({devices} devices of {batch.value})"
    return Rate(rate, lowest * images, highest * images, words)


def _plain(node: Node, key: str, default: Any = None) -> Any:
    child = node.get(key)
    if child is None:
        return default
    value = child.plain()
    return None if value is UNKNOWN else value
