"""The metrics of records, said once: their labels, their order, which are main, and the kinds of tables they stand in.

All are in percent; higher is better but for :data:`LOWER_IS_BETTER`. A metric that is
not listed is shown after these, under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.report.escaping import clip

_METRICS = {
    "classification": {"mAP": "mAP", "top1": "top1"},
    "objects_in_boxes": {
        "object_acc": "objects",
        "object_top1": "objects top1",
        "object_small": "small",
        "object_medium": "medium",
        "object_large": "large",
    },
    "frozen_segmentation": {"dense_mIoU": "mIoU", "dense_mAcc": "mAcc", "dense_aAcc": "aAcc"},
    "object_discovery": {"CorLoc": "CorLoc", "CorLoc_whole": "whole image", "CorLoc_central": "central box"},
    "detection": {"box_AP": "box AP", "box_AP50": "box AP50", "box_AP75": "box AP75"},
    "instance_segmentation": {"mask_AP": "mask AP", "mask_AP50": "mask AP50", "mask_AP75": "mask AP75"},
    "semantic_segmentation": {"mIoU": "mIoU", "mAcc": "mAcc", "aAcc": "aAcc"},
    "saliency": {
        "max_F": "max F",
        "AUC": "AUC",
        "MAE": "MAE (lower is better)",
        "max_F_shuffled": "max F, another image's map",
        "AUC_shuffled": "AUC, another image's map",
        "MAE_shuffled": "MAE, another image's map",
    },
}
"""By kind of table, in their order: the metric as records name it, and as a head says it."""
LOWER_IS_BETTER = ("MAE",)
NO_BEST = ("max_F_shuffled", "AUC_shuffled", "MAE_shuffled")
"""Controls: none is the best of them."""
_LABELS = {metric: label for metrics in _METRICS.values() for metric, label in metrics.items()}
_KINDS = {metric: kind for kind, metrics in _METRICS.items() for metric in metrics}
_ORDER = {metric: place for place, metric in enumerate(_LABELS)}


@dataclass(frozen=True)
class Kind:
    """A kind of table: the metrics of ``task`` that start with ``prefix``.

    ``main`` ones get a difference, a rank and a panel of a figure.
    """

    name: str
    title: str
    task: str
    prefix: str
    main: tuple[str, ...]


KINDS = (
    Kind("classification", "Multi-label classification", "classification", "", ("mAP", "top1")),
    Kind("objects_in_boxes", "Objects in their boxes (frozen features)", "dense", "object_", ("object_acc",)),
    Kind("frozen_segmentation", "Semantic segmentation (frozen features)", "dense", "dense_", ("dense_mIoU",)),
    Kind("object_discovery", "Object discovery (frozen features)", "dense", "CorLoc", ("CorLoc",)),
    Kind("detection", "Object detection (boxes)", "detection", "box_", ("box_AP",)),
    Kind("instance_segmentation", "Instance segmentation (masks)", "detection", "mask_", ("mask_AP",)),
    Kind("semantic_segmentation", "Semantic segmentation", "segmentation", "", ("mIoU",)),
    Kind("saliency", "Saliency", "saliency", "", ("max_F", "AUC")),
)
MAIN_METRICS = tuple(metric for kind in KINDS for metric in kind.main)


def metric_label(metric: str, longest: int = 80) -> str:
    """The metric as a table's head says it."""
    return _LABELS.get(metric, clip(metric, longest))


def metric_order(metric: str) -> tuple[int, str]:
    """What to sort by: AP before AP50 before AP75, mIoU before mAcc before aAcc; anything else behind, by name."""
    return _ORDER.get(metric, len(_ORDER)), metric


def kind_of(metric: str) -> str:
    """Name of the kind of table that a metric stands in; one that is not listed is of classification."""
    return _KINDS.get(metric, "classification")
