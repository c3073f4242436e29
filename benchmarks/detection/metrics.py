"""From COCOEvaluator's results to the record's metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_TASKS = {"box": "bbox", "mask": "segm"}


def coco_metrics(
    results: Mapping[str, Mapping[str, float]], categories: Sequence[str], objects: Sequence[int]
) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    """AP, AP50, AP75 of boxes and masks, and AP by category.

    Detectron2 reports NaN in two cases that mean different things. No prediction at all: everything was missed, so AP
    is 0 where there are objects. No object of a category: its AP is undefined, None.

    Args:
        results: of ``inference_on_dataset``: ``{"bbox": {"AP": ..., "AP-<category>": ...}, "segm": {...}}``; without
            ``segm`` where masks were not predicted.
        categories: names by index; objects: number of ground-truth objects by index.
    """
    metrics: dict[str, float | None] = {}
    per_class: dict[str, dict[str, float | None]] = {name: {} for name in categories}
    for kind, task in _TASKS.items():
        found = results.get(task)
        for metric in ("AP", "AP50", "AP75"):
            metrics[f"{kind}_{metric}"] = None if found is None else _defined(found[metric], sum(objects))
        for name, count in zip(categories, objects, strict=True):
            if found is None:
                continue
            # With one category Detectron2 gives no list by category: its AP is the AP.
            value = found.get(f"AP-{name}", found["AP"] if len(categories) == 1 else math.nan)
            per_class[name][f"{kind}_AP"] = _defined(value, count)
    return metrics, per_class


def _defined(value: float, objects: int) -> float | None:
    if objects == 0:
        return None
    return 0.0 if math.isnan(value) else float(value)
