"""COCO's metrics of a list of detections, under the names that Detectron2's evaluator uses.

By pycocotools, or by faster-coco-eval, which gives the same numbers (a test compares them to 1e-10) in a fraction of
the time. What stands beside published values is pycocotools', always.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.detection import FASTER, PYCOCOTOOLS
from scenebench.collection import nothing_collected
from transfer.exporters.silenced_logs import quiet_pycocotools

_SUMMARY = ("AP", "AP50", "AP75")  # the first three numbers of COCO's summary
_NUMBERS = 12  # of COCO's summary; faster-coco-eval appends two more
_AT_ONCE = 250  # pycocotools' area takes no list of more than 255
Detections = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CocoNumbers:
    """What an evaluator says of one task, as fractions; -1 where a number is undefined.

    Attributes:
        stats: COCO's summary, float64, 12: AP, AP50, AP75, AP by area; AR at 1, 10, 100 detections, AR by area.
        precision: float64, IoU thresholds x recalls x categories (by rising id) x areas x numbers of detections.
    """

    stats: NDArray[np.float64]
    precision: NDArray[np.float64]


def evaluate_detections(
    truth: Path | str, detections: Detections, tasks: Sequence[str], evaluator: str = PYCOCOTOOLS
) -> dict[str, dict[str, float]]:
    """AP, AP50, AP75 and ``AP-<category>`` by task, in percent; NaN where nothing was predicted or nothing is there.

    Args:
        truth: COCO instances JSON; all of its images are evaluated.
        detections: in COCO's result format: ``image_id``, ``category_id``, ``bbox`` (x, y, width, height), ``score``
            and, for masks, ``segmentation``.
        tasks: ``bbox``, ``segm``.
        evaluator: one of :data:`EVALUATORS`.
    """
    with quiet_pycocotools():
        coco = _tools(evaluator)[0](str(truth))
        return {task: _named(coco, evaluate_task(coco, detections, task, evaluator)) for task in tasks}


def evaluate_task(coco: Any, detections: Detections, task: str, evaluator: str) -> CocoNumbers | None:
    """The numbers of one task; None where nothing was detected, which pycocotools cannot take.

    Args:
        coco: the ground truth as the evaluator's own ``COCO``; see :func:`read_truth`.
    """
    return None if not detections else evaluate_loaded(coco, load(coco, detections, task, evaluator), task, evaluator)


def load(coco: Any, detections: Detections, task: str, evaluator: str) -> Any:
    """The detections as ``coco``'s own class holds them; those given are left as they are."""
    # With its box left in, a mask's size (small, medium, large) would be the box's.
    left_out = {"bbox"} if task == "segm" else {"segmentation"}
    with nothing_collected():
        found = [{key: value for key, value in entry.items() if key not in left_out} for entry in detections]
        return _masks_at_once(coco, found) if (task, evaluator) == ("segm", FASTER) else coco.loadRes(found)


def _masks_at_once(coco: Any, found: list[dict[str, Any]]) -> Any:
    """What faster-coco-eval's ``loadRes`` makes of masks, but for boxes, which nothing asks for: areas by few calls."""
    from pycocotools import mask

    runs = [entry["segmentation"] for entry in found]
    areas = [mask.area(runs[first : first + _AT_ONCE]).tolist() for first in range(0, len(runs), _AT_ONCE)]
    for number, (entry, area) in enumerate(zip(found, itertools.chain(*areas), strict=True), start=1):
        entry |= {"id": number, "area": area, "iscrowd": 0}
    results = type(coco)()
    results.dataset = {key: coco.dataset[key] for key in ("images", "categories")} | {"annotations": found}
    results.createIndex()
    return results


def evaluate_loaded(coco: Any, found: Any, task: str, evaluator: str) -> CocoNumbers:
    """The numbers of detections that :func:`load` gave."""
    evaluation = _tools(evaluator)[1](coco, found, task)
    with nothing_collected():
        evaluation.evaluate()
        evaluation.accumulate()
    with contextlib.redirect_stdout(io.StringIO()):  # ``stats`` are filled in here only, and a table is printed
        evaluation.summarize()
    return CocoNumbers(np.asarray(evaluation.stats[:_NUMBERS]), np.asarray(evaluation.eval["precision"]))


def read_truth(path: Path | str, evaluator: str) -> Any:
    """Ground truth for :func:`evaluate_task`."""
    return _tools(evaluator)[0](str(path))


def evaluator_note(evaluator: str) -> list[str]:
    """A sentence for the record where the numbers are not pycocotools' own."""
    return [] if evaluator == PYCOCOTOOLS else ["COCO's numbers by faster-coco-eval (those of pycocotools, sooner)"]


def _tools(evaluator: str) -> tuple[Any, Any]:
    """The classes that hold annotations and that evaluate them."""
    if evaluator == FASTER:
        from faster_coco_eval import COCO, COCOeval_faster

        return COCO, COCOeval_faster
    from pycocotools.coco import COCO as PlainCOCO
    from pycocotools.cocoeval import COCOeval

    return PlainCOCO, COCOeval


def _named(coco: Any, numbers: CocoNumbers | None) -> dict[str, float]:
    categories = sorted(coco.dataset["categories"], key=lambda category: category["id"])
    if numbers is None:
        return dict.fromkeys([*_SUMMARY, *(f"AP-{category['name']}" for category in categories)], math.nan)
    results = {name: _percent(value) for name, value in zip(_SUMMARY, numbers.stats, strict=False)}
    for index, category in enumerate(categories):
        values = numbers.precision[:, :, index, 0, -1]
        values = values[values > -1]
        results[f"AP-{category['name']}"] = 100 * float(values.mean()) if values.size else math.nan
    return results


def _percent(value: float) -> float:
    return 100 * float(value) if value >= 0 else math.nan
