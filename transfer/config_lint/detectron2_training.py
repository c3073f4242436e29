"""Schedule and data of a Detectron2 configuration in the rules' common terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transfer.config_lint.settings import ClassCount, Rate, Schedule, Setting, Training

Find = Callable[[str], Setting | None]

# Detectron2's built-in data sets by the start of their names: classes of instances, and of semantic segmentation.
_THINGS = {
    "voc_": 20,
    "coco_2014_": 80,
    "coco_2017_": 80,
    "keypoints_coco_": 1,
    "cityscapes_fine_instance_seg": 8,
    "lvis_v0.5_": 1230,
    "lvis_v1_": 1203,
}
_STUFF = {
    "coco_2017_train_panoptic": 54,
    "coco_2017_val_panoptic": 54,
    "cityscapes_fine_sem_seg": 19,
    "ade20k_sem_seg": 150,
}
_RATE_PER_IMAGE = {"RetinaNet": 0.01 / 16}
_USUAL_RATE_PER_IMAGE = 0.02 / 16


def detectron2_training(find: Find) -> Training:
    """Steps, learning rate, crop and classes; ``find`` looks a dotted key up, with Detectron2's default."""
    return Training(
        schedules=_schedules(find),
        rate=_rate(find),
        crops=_crops(find),
        classes=_classes(find),
        ignored=_ignored(find),
    )


def _schedules(find: Find) -> list[Schedule]:
    """Only where the length of the training is written: a file without it leaves both to its user."""
    steps, length, kind = find("SOLVER.STEPS"), find("SOLVER.MAX_ITER"), find("SOLVER.LR_SCHEDULER_NAME")
    if steps is None or (kind is not None and kind.value != "WarmupMultiStepLR"):
        return []
    known_length = length if length is not None and length.written else None
    return [Schedule(steps, known_length)] if steps.written or known_length else []


def _rate(find: Find) -> Rate | None:
    """None where neither rate nor batch is written, or where Detectron2 scales the rate itself."""
    rate, batch, world = find("SOLVER.BASE_LR"), find("SOLVER.IMS_PER_BATCH"), find("SOLVER.REFERENCE_WORLD_SIZE")
    if rate is None or batch is None or not rate.written or (world is not None and world.value != 0):
        return None
    if not isinstance(batch.value, int) or batch.value <= 0:
        return None
    kind = find("MODEL.META_ARCHITECTURE")
    if kind is None or kind.value not in ("GeneralizedRCNN", "RetinaNet", "PanopticFPN", "ProposalNetwork"):
        return None
    usual = batch.value * _RATE_PER_IMAGE.get(str(kind.value), _USUAL_RATE_PER_IMAGE)
    return Rate(rate, usual, usual, f"{batch.value} images a batch")


def _crops(find: Find) -> list[tuple[Setting, Setting, str]]:
    enabled, kind, size, images = (
        find("INPUT.CROP.ENABLED"), find("INPUT.CROP.TYPE"), find("INPUT.CROP.SIZE"), find("INPUT.MIN_SIZE_TRAIN"),
    )  # fmt: skip
    if not (enabled and enabled.value is True and kind and size and images):
        return []
    sides = _numbers(size.value)
    if not sides:
        return []
    if str(kind.value).startswith("relative"):
        if max(sides) > 1:
            return [(size, kind, f"{sides} of the image's sides, which is more than all of it ({kind.value})")]
        return []
    shortest = _numbers(images.value if isinstance(images.value, list) else [images.value])
    if shortest and kind.value == "absolute" and min(sides) > max(shortest):
        return [(size, images, f"{sides}, but images have a shorter side of {max(shortest)} at most ({images.key})")]
    return []


def _classes(find: Find) -> list[ClassCount]:
    kind, trained = find("MODEL.META_ARCHITECTURE"), find("DATASETS.TRAIN")
    proposals, mask_head = find("MODEL.PROPOSAL_GENERATOR.NAME"), find("MODEL.ROI_HEADS.NAME")
    if kind is None or trained is None or mask_head is None or proposals is None:
        return []
    names = [trained.value] if isinstance(trained.value, str) else trained.value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return []
    heads = {
        "GeneralizedRCNN": [("MODEL.ROI_HEADS.NUM_CLASSES", _THINGS)],
        "RetinaNet": [("MODEL.RETINANET.NUM_CLASSES", _THINGS)],
        "PanopticFPN": [("MODEL.ROI_HEADS.NUM_CLASSES", _THINGS), ("MODEL.SEM_SEG_HEAD.NUM_CLASSES", _STUFF)],
        "SemanticSegmentor": [("MODEL.SEM_SEG_HEAD.NUM_CLASSES", _STUFF)],
    }
    found = []
    for key, table in heads.get(str(kind.value), []):
        wanted = {_count(name, table) for name in names}
        setting = find(key)
        if setting is not None and len(wanted) == 1 and (count := wanted.pop()) is not None:
            found.append(ClassCount(setting, count, names[0]))
    return found


def _count(name: str, table: dict[str, int]) -> int | None:
    if "cocofied" in name:
        return None
    return next((count for start, count in table.items() if name.startswith(start)), None)


def _ignored(find: Find) -> list[tuple[Setting, Setting]]:
    value = find("MODEL.SEM_SEG_HEAD.IGNORE_VALUE")
    if value is None or not value.written:
        return []
    return [(value, Setting(255, "Detectron2's own data sets and padding", value.place, written=False))]


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, list):
        return []
    return [one for one in value if isinstance(one, (int, float)) and not isinstance(one, bool)]
