"""Rules on schedule and data: milestones, learning rate, crops, windows, classes, channels between the modules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from transfer.config_lint.rule import ERROR, NOTE, WARNING, Hit, Rule
from transfer.config_lint.settings import Schedule, Settings
from transfer.config_lint.weights import Weights

_OFF_BY = 1.9  # twice is told; the toolboxes' own rounding is not


def check_milestones(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Milestones after the end of the training, or out of order."""
    for schedule in settings.training.schedules:
        milestones = numbers(schedule.milestones.value)
        if milestones is None:
            continue
        yield from _out_of_order(schedule, milestones)
        length = schedule.length
        if length is None or not _is_number(length.value) or length.value <= 0:
            continue
        late = [one for one in milestones if one >= length.value]
        if late:
            shown = ", ".join(map(str, late))
            detail = f"{shown} is never reached: training ends at {length.value}{length.origin} ({length.key})"
            yield Hit.on(schedule.milestones, detail)


def _out_of_order(schedule: Schedule, milestones: list[float]) -> Iterator[Hit]:
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        severity = ERROR if schedule.increasing else ""
        yield Hit.on(schedule.milestones, f"{milestones} does not increase", severity=severity)


def check_schedule_end(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A schedule of the learning rate that ends before the training, or after it."""
    for end, length in settings.training.ends:
        if _is_number(end.value) and _is_number(length.value) and end.value != length.value:
            where = "before" if end.value < length.value else "after"
            yield Hit.on(end, f"ends at {end.value}, {where} the training ({length.value} in {length.key})")


def check_schedule_unit(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A schedule that counts epochs in a training that counts iterations, or the reverse."""
    for setting, detail in settings.training.units:
        yield Hit.on(setting, detail)


def check_learning_rate(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A learning rate far from the toolbox's own for this batch size, by the linear rule."""
    rate = settings.training.rate
    if rate is None or not _is_number(rate.setting.value) or rate.setting.value <= 0:
        return
    if rate.setting.value >= rate.highest * _OFF_BY or rate.setting.value <= rate.lowest / _OFF_BY:
        usual = f"{rate.lowest:.3g}" if rate.lowest == rate.highest else f"{rate.lowest:.3g} to {rate.highest:.3g}"
        yield Hit.on(rate.setting, f"{rate.setting.value} for {rate.batch}; the linear rule gives {usual}")


def check_crops(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Crops that do not fit the images they are cut from, or the size that batches are padded to."""
    for crop, _other, detail in settings.training.crops:
        yield Hit.on(crop, detail)


def check_slide(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Sliding windows with gaps between them."""
    for stride, crop in settings.training.slides:
        steps, sizes = pair(stride.value), pair(crop.value)
        if steps is None or sizes is None:
            continue
        if any(step > size for step, size in zip(steps, sizes, strict=True)):
            yield Hit.on(stride, f"{list(steps)}, beyond the window of {list(sizes)} ({crop.key})")


def check_classes(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A head with another number of classes than its training set."""
    for count in settings.training.classes:
        found = count.setting.value
        if isinstance(found, int) and not isinstance(found, bool) and found != count.wanted:
            detail = f"{found}{count.setting.origin}; {count.dataset} has {count.wanted} classes"
            yield Hit.on(count.setting, detail, severity=ERROR if found < count.wanted else WARNING)


def check_ignored(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A loss that does not ignore what padding writes."""
    for ignored, padding in settings.training.ignored:
        if _is_number(ignored.value) and _is_number(padding.value) and ignored.value != padding.value:
            yield Hit.on(ignored, f"{ignored.value}; unlabelled and padded pixels are {padding.value} ({padding.key})")


def check_channels(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A neck or head that takes other channels than the backbone gives."""
    for setting, given in settings.training.channels:
        found = setting.value if isinstance(setting.value, list) else [setting.value]
        if numbers(found) is not None and found != given:
            yield Hit.on(setting, f"{setting.value}; the backbone gives {given}")


def check_dilations(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Strides that were taken out of a stage without dilating what follows, or the reverse."""
    for setting, detail, too_small in settings.training.dilations:
        yield Hit.on(setting, detail, severity="" if too_small else NOTE)


def numbers(value: Any) -> list[float] | None:
    """A list of finite numbers; None where the value is anything else."""
    if not isinstance(value, list) or not all(_is_number(one) for one in value):
        return None
    return value


def pair(value: Any) -> tuple[float, float] | None:
    """``[height, width]``, or one number for both; None where the value is anything else."""
    if _is_number(value):
        return value, value
    both = numbers(value)
    return (both[0], both[1]) if both is not None and len(both) == 2 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


RULES = (
    Rule(
        "milestones",
        WARNING,
        "milestones past the end of the training, or out of order",
        "A step that is never reached leaves the learning rate high to the end; Detectron2 refuses steps that do not "
        "increase.",
        "Milestones below max_epochs or max_iters, in order.",
        "SOLVER.STEPS below SOLVER.MAX_ITER, in order.",
        check_milestones,
    ),
    Rule(
        "schedule-end",
        WARNING,
        "a schedule of the learning rate that ends elsewhere than the training",
        "The rest of the training runs at the last, smallest rate; or the rate never gets there.",
        "end (or T_max) of the last entry of param_scheduler equal to max_epochs or max_iters.",
        check=check_schedule_end,
    ),
    Rule(
        "schedule-unit",
        WARNING,
        "a schedule that counts in another unit than the training",
        "In a training that counts iterations, epochs never end, and the learning rate never falls; milestones meant "
        "as epochs are passed in the first iterations.",
        "by_epoch=True with EpochBasedTrainLoop, by_epoch=False with IterBasedTrainLoop.",
        check=check_schedule_unit,
    ),
    Rule(
        "learning-rate",
        NOTE,
        "a learning rate far from the linear rule for its batch size",
        "The toolboxes' rates are for a batch over 8 devices (mmseg: 4); with another batch they scale with it.",
        "Scale the rate with the batch, or auto_scale_lr=dict(enable=True).",
        "Scale SOLVER.BASE_LR with SOLVER.IMS_PER_BATCH (0.02 for 16 images; RetinaNet 0.01).",
        check=check_learning_rate,
    ),
    Rule(
        "crop-size",
        WARNING,
        "crops that fit neither the images nor the size of a batch",
        "A crop larger than its image is padding; a batch padded beyond its crops is wasted on it.",
        "crop_size, data_preprocessor.size and the scale of the images in accord.",
        "INPUT.CROP.SIZE within INPUT.MIN_SIZE_TRAIN (type absolute), or at most 1 (relative).",
        check=check_crops,
    ),
    Rule(
        "slide-stride",
        ERROR,
        "sliding windows with gaps between them",
        "Pixels between two windows are never predicted; mmseg stops at the first test image.",
        "test_cfg=dict(mode='slide', crop_size=..., stride=...) with a stride of at most the crop, 2/3 as a rule.",
        check=check_slide,
    ),
    Rule(
        "num-classes",
        ERROR,
        "another number of classes than the training set's",
        "Too few end in an index error or, on a GPU, in a failed assertion; too many train classes that never occur.",
        "num_classes of every head as the data set has it (COCO 80, VOC 20 or 21, Cityscapes 8 or 19, ADE20K 150).",
        "MODEL.ROI_HEADS.NUM_CLASSES, RETINANET.NUM_CLASSES or SEM_SEG_HEAD.NUM_CLASSES (COCO 80, VOC 20).",
        check_classes,
    ),
    Rule(
        "ignored-label",
        WARNING,
        "a loss that does not ignore what padding writes",
        "Unlabelled pixels are trained on as a class, or a class is left out.",
        "ignore_index of the heads equal to seg_pad_val of the data_preprocessor (255).",
        "MODEL.SEM_SEG_HEAD.IGNORE_VALUE: 255.",
        check_ignored,
    ),
    Rule(
        "in-channels",
        ERROR,
        "a neck or head that takes other channels than the backbone gives",
        "The model stops at its first forward pass.",
        "in_channels as the backbone's depth and out_indices give them (R50: 256, 512, 1024, 2048; R18: 64 to 512).",
        check=check_channels,
    ),
    Rule(
        "dilation",
        WARNING,
        "dilations that do not follow from the strides",
        "A stage without its stride sees the weights' features at another scale unless the rest is dilated by as much.",
        "strides=(1, 2, 1, 1) with dilations=(1, 1, 2, 4), (1, 2, 2, 1) with (1, 1, 1, 2), (1, 2, 2, 2) with ones.",
        check=check_dilations,
    ),
)
