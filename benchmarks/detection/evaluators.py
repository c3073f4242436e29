"""Detectron2's evaluations by COCO's and by VOC's rule, with progress and a few predictions kept to be drawn."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.detection.coco_evaluation import evaluate_detections
from benchmarks.detection.data import Split
from benchmarks.detection.metrics import coco_metrics
from benchmarks.detection.prediction_sheet import shown_images
from benchmarks.detection.voc_metric import voc_average_precision, voc_metrics
from benchmarks.evaluation.picture_sheet import Instance
from benchmarks.protocols.detection import PYCOCOTOOLS
from scenebench.errors import UserError
from scenebench.progress import Progress

Measured = tuple[dict[str, float | None], dict[str, dict[str, float | None]]]


def build_evaluator(
    metric: str, test: Split, names: Sequence[str], tasks: Sequence[str], title: str, evaluator: str = PYCOCOTOOLS
) -> Any:
    """An evaluator for ``DefaultTrainer``; afterwards ``measured`` is (metrics, metrics by class), ``shown`` the kept.

    Args:
        metric: ``coco``, ``voc07`` or ``voc``.
        names: of the classes, by index; tasks: of COCO's evaluation, ``bbox`` and ``segm``.
        evaluator: of COCO's rule.

    Raises:
        UserError: VOC's rule on data that have no XML files.
    """
    if metric == "coco":
        return _coco_evaluator(test, names, tasks, title, evaluator)
    return _voc_evaluator(metric == "voc07", test, names, title)


def _coco_evaluator(test: Split, names: Sequence[str], tasks: Sequence[str], title: str, evaluator: str) -> Any:
    from detectron2.evaluation import COCOEvaluator

    class Evaluator(COCOEvaluator):
        """COCO's rule, by Detectron2 with pycocotools, or by another evaluator."""

        def __init__(self) -> None:
            # use_fast_impl needs Detectron2's compiled part; without it, it falls back without a word.
            super().__init__(test.name, tasks, False, use_fast_impl=False)
            self.keeper = _Keeper(test, title)
            self.shown = self.keeper.shown

        def reset(self) -> None:
            super().reset()
            self.keeper.start()

        def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
            super().process(inputs, outputs)
            self.keeper.keep(inputs, outputs)

        def _eval_predictions(self, predictions: list[Any], img_ids: Any = None) -> None:
            if evaluator == PYCOCOTOOLS:
                super()._eval_predictions(predictions, img_ids)
                return
            ids = {index: own for own, index in self._metadata.thing_dataset_id_to_contiguous_id.items()}
            found = [
                entry | {"category_id": ids[entry["category_id"]]}
                for image in predictions
                for entry in image["instances"]
            ]
            self._results.update(evaluate_detections(test.json_file, found, tasks, evaluator))

        def evaluate(self) -> Any:
            results = super().evaluate()
            self.measured: Measured = coco_metrics(results, names, test.objects)
            return results

    return Evaluator()


def _voc_evaluator(eleven_points: bool, test: Split, names: Sequence[str], title: str) -> Any:
    from detectron2.evaluation import DatasetEvaluator

    annotations = _xml_files(test)

    class Evaluator(DatasetEvaluator):  # type: ignore[misc]
        """VOC's rule. Scores and corners are rounded as in Detectron2, which evaluates by VOC's text files."""

        def __init__(self) -> None:
            self.keeper = _Keeper(test, title)
            self.shown = self.keeper.shown

        def reset(self) -> None:
            self.lines: dict[int, list[str]] = {index: [] for index in range(len(names))}
            self.keeper.start()

        def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
            for given, output in zip(inputs, outputs, strict=True):
                found, stem = output["instances"].to("cpu"), Path(given["file_name"]).stem
                boxes, scores = found.pred_boxes.tensor.tolist(), found.scores.tolist()
                for label, score, box in zip(found.pred_classes.tolist(), scores, boxes, strict=True):
                    self.lines[label].append(voc_line(stem, score, box))
            self.keeper.keep(inputs, outputs)

        def evaluate(self) -> Any:
            by_class = voc_average_precision(self.lines, annotations, names, test.objects, eleven_points)
            self.measured: Measured = voc_metrics(by_class, names)
            means = self.measured[0]
            shown = {name: means[f"box_{name}"] for name in ("AP", "AP50", "AP75")}
            return OrderedDict(bbox={name: math.nan if value is None else value for name, value in shown.items()})

    return Evaluator()


def voc_line(stem: str, score: float, box: Sequence[float]) -> str:
    """A line of VOC's result files, from 0-based half-open corners."""
    left, top, right, bottom = box
    return f"{stem} {score:.3f} {left + 1:.1f} {top + 1:.1f} {right:.1f} {bottom:.1f}"


class _Keeper:
    """Shows progress and keeps the predictions of a few images."""

    def __init__(self, test: Split, title: str) -> None:
        self.images, self.title = test.images, title
        self.wanted = shown_images(test)
        self.shown: dict[int, list[Instance]] = {}

    def start(self) -> None:
        self.progress = Progress(self.images, f"{self.title}: test image")

    def keep(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        for given, output in zip(inputs, outputs, strict=True):
            if given["image_id"] in self.wanted:
                self.shown[given["image_id"]] = _instances(output["instances"].to("cpu"))
        self.progress.advance(len(inputs))


def _instances(found: Any) -> list[Instance]:
    """Detectron2's predictions of one image."""
    return [
        Instance(
            int(found.pred_classes[i]),
            tuple(found.pred_boxes.tensor[i].tolist()),
            found.pred_masks[i].numpy() if found.has("pred_masks") else None,
            float(found.scores[i]),
        )
        for i in range(len(found))
    ]


def _xml_files(test: Split) -> dict[str, Path]:
    """The annotation of each test image: ``JPEGImages/<stem>.jpg`` has ``Annotations/<stem>.xml`` beside it."""
    files = [test.image_root / image["file_name"] for image in _images(test)]
    found = {file.stem: file.parent.parent / "Annotations" / f"{file.stem}.xml" for file in files}
    lacking = next((path for path in found.values() if not path.is_file()), None)
    if lacking is not None:
        raise UserError(f"settings.metric: VOC's rule reads VOC's XML files, and {lacking} is missing; take coco")
    return found


def _images(test: Split) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = json.loads(test.json_file.read_text(encoding="utf-8"))["images"]
    return images
