"""COCO's metrics of a list of detections by pycocotools, under the names that Detectron2's evaluator uses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfer.toolbox_noise import quiet_pycocotools

_SUMMARY = ("AP", "AP50", "AP75")  # the first three numbers of COCO's summary


def evaluate_detections(
    truth: Path | str, detections: Sequence[Mapping[str, Any]], tasks: Sequence[str]
) -> dict[str, dict[str, float]]:
    """AP, AP50, AP75 and ``AP-<category>`` by task, in percent; NaN where nothing was predicted or nothing is there.

    Args:
        truth: COCO instances JSON; all of its images are judged.
        detections: in COCO's result format: ``image_id``, ``category_id``, ``bbox`` (x, y, width, height), ``score``
            and, for masks, ``segmentation``.
        tasks: ``bbox``, ``segm``.
    """
    from pycocotools.coco import COCO

    with quiet_pycocotools():
        coco = COCO(str(truth))
        return {task: _evaluate(coco, detections, task) for task in tasks}


def _evaluate(coco: Any, detections: Sequence[Mapping[str, Any]], task: str) -> dict[str, float]:
    from pycocotools.cocoeval import COCOeval

    categories = sorted(coco.dataset["categories"], key=lambda category: category["id"])
    if not detections:
        return dict.fromkeys([*_SUMMARY, *(f"AP-{category['name']}" for category in categories)], math.nan)
    # With its box left in, a mask's size (small, medium, large) would be the box's.
    left_out = {"bbox"} if task == "segm" else {"segmentation"}
    found = [{key: value for key, value in entry.items() if key not in left_out} for entry in detections]
    evaluation = COCOeval(coco, coco.loadRes(found), task)
    evaluation.evaluate()
    evaluation.accumulate()
    _summarise(evaluation)
    results = {name: _percent(value) for name, value in zip(_SUMMARY, evaluation.stats, strict=False)}
    precision: NDArray[np.float64] = evaluation.eval["precision"]  # threshold, recall, category, area, detections
    for index, category in enumerate(categories):
        values = precision[:, :, index, 0, -1]
        values = values[values > -1]
        results[f"AP-{category['name']}"] = 100 * float(values.mean()) if values.size else math.nan
    return results


def _summarise(evaluation: Any) -> None:
    """pycocotools fills ``stats`` in ``summarize`` only, which prints a table."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.summarize()


def _percent(value: float) -> float:
    return 100 * float(value) if value >= 0 else math.nan
