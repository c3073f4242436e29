"""From scores to what a record holds, with one class an image or several."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.classification.images import LabelledImages
from benchmarks.classification.top_k import accuracy_by_class, top_k_accuracy
from scenebench.mean_average_precision import mean_average_precision

PerClass = dict[str, dict[str, float | None]]


def main_metric(multilabel: bool) -> str:
    """The metric that chooses from a grid."""
    return "mAP" if multilabel else "top1"


def main_value(scores: Tensor, images: LabelledImages, rule: str) -> float | None:
    """mAP or top-1 accuracy, in percent; None where no class has a positive."""
    if images.multilabel:
        return mean_average_precision(images.labels, scores.double().numpy(), rule)[0]
    return top_k_accuracy(scores, torch.from_numpy(images.labels), 1)


def measure(
    scores: Tensor, images: LabelledImages, rule: str, classes: list[str]
) -> tuple[dict[str, float | None], PerClass]:
    """All metrics of these scores, and those by class. mAP_11point is by VOC 2007's rule, whatever ``rule`` says.

    Args:
        scores: N x classes, finite. rule: of the average precision.
    """
    if images.multilabel:
        value, by_class = mean_average_precision(images.labels, scores.double().numpy(), rule)
        eleven, _ = mean_average_precision(images.labels, scores.double().numpy(), "eleven_point")
        return {"mAP": value, "mAP_11point": eleven}, {
            name: {"AP": ap} for name, ap in zip(classes, by_class, strict=True)
        }
    labels = torch.from_numpy(images.labels)
    metrics: dict[str, float | None] = {f"top{k}": top_k_accuracy(scores, labels, k) for k in (1, 5)}
    by_class = accuracy_by_class(scores, labels)
    return metrics, {name: {"top1": value} for name, value in zip(classes, by_class, strict=True)}
