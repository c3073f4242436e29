"""Mask R-CNN and Faster R-CNN on the backbone under test: MMDetection's models, mmengine's runner, COCO's evaluation.

The second engine of the detection protocols. MMDetection needs mmcv's compiled operators (``make mmcv-ops``).
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection.coco_evaluation import evaluate_detections, evaluator_note
from benchmarks.detection.data import (
    Split,
    have_masks,
    mask_notes,
    require_mask_format,
    require_objects,
    write_split,
)
from benchmarks.detection.metrics import coco_metrics
from benchmarks.detection.mmdet_config import build_config
from benchmarks.detection.prediction_sheet import draw_predictions, shown_images
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import category_names, data_notes
from benchmarks.evaluation.mmengine_runner import cell_hook, close_log, runner_class
from benchmarks.evaluation.picture_sheet import Instance
from benchmarks.evaluation.toolboxes import require_toolbox
from benchmarks.protocols.protocol import DetectionProtocol
from scenebench.errors import UserError
from transfer.exporters.mmdet.build import load_and_prove
from transfer.exporters.silenced_logs import quiet_mmdet, quiet_pycocotools


def run(cell: Cell) -> Outcome:
    """Fine-tune and test one model; see :func:`benchmarks.detection.run.run`."""
    protocol = cell.protocol
    assert isinstance(protocol, DetectionProtocol)
    assert cell.info is not None
    require_toolbox(protocol)
    folder = cell.out / "toolbox"
    folder.mkdir(parents=True, exist_ok=True)
    limits = protocol.data
    train = write_split(cell.data, limits.train_split, limits.max_train_images, folder, limits.merge_categories)
    test = write_split(cell.data, limits.test_split, limits.max_test_images, folder, limits.merge_categories)
    require_objects(train, f"{cell.data.root}: split '{limits.train_split}'")
    with_masks = protocol.settings.predicts_masks and have_masks(train, test)
    if with_masks:
        require_mask_format(train, protocol.settings.mask_format)
    names = category_names(cell.data, limits.merge_categories)
    quiet_mmdet()
    config = build_config(protocol, cell.info, train, test, names, with_masks, cell.seed, folder)
    detections = _train_and_test(cell, protocol, config, test)
    tasks = ("bbox", "segm") if with_masks else ("bbox",)
    results = evaluate_detections(test.json_file, detections, tasks, protocol.settings.evaluator)
    draw_predictions(cell.out / "predictions.png", test, names, _shown(detections, test))
    metrics, per_class = coco_metrics(results, names, test.objects)
    notes = [*data_notes(cell.data, limits), *mask_notes(train, test)]
    notes += evaluator_note(protocol.settings.evaluator)
    return Outcome(metrics, train.images, test.images, per_class, notes, sum(test.objects))


def _train_and_test(
    cell: Cell, protocol: DetectionProtocol, config: dict[str, Any], test: Split
) -> list[dict[str, Any]]:
    """All detections on the test images, in COCO's result format."""
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.evaluator import Evaluator

    register_all_modules(init_default_scope=False)
    folder = Path(config["work_dir"])
    experiment = f"{protocol.id}_{uuid.uuid4().hex}"  # mmengine keeps one logger, visualiser and message hub a name
    Config(config).dump(folder / "config.py")
    collector = build_collector(test)
    with quiet_pycocotools(), warnings.catch_warnings():
        # Masks from run lengths may be read-only arrays, which the toolbox stacks.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        runner = runner_class(folder / "log.txt")(
            **Config(config),
            test_evaluator=Evaluator(collector),
            custom_hooks=[cell_hook(cell, protocol.settings.iterations, test.images, load_and_prove)],
            experiment_name=experiment,
        )
        try:
            runner.train()
            runner.test()
        except FloatingPointError as error:
            raise UserError(f"{protocol.id}: {error}; lower settings.learning_rate") from error
        finally:
            close_log(runner)
    detections: list[dict[str, Any]] = collector.detections
    return detections


def build_collector(test: Split) -> Any:
    """An mmengine metric that measures nothing and keeps ``detections`` in COCO's result format."""
    import json

    from mmengine.evaluator import BaseMetric

    categories = json.loads(test.json_file.read_text(encoding="utf-8"))["categories"]
    ids = [category["id"] for category in categories]

    class DetectionCollector(BaseMetric):
        """Keeps what was predicted; the metrics are pycocotools' own, as in every detection record."""

        def process(self, data_batch: Any, data_samples: Any) -> None:
            for sample in data_samples:  # one entry an image: mmengine cuts the list to the number of images
                self.results.append(coco_detections(sample["img_id"], sample["pred_instances"], ids))

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            self.detections = [detection for image in results for detection in image]
            return {"detections": float(len(self.detections))}

    return DetectionCollector(prefix="scenebench")


def coco_detections(image_id: int, predicted: Mapping[str, Any], category_ids: list[int]) -> list[dict[str, Any]]:
    """One image's predictions in COCO's result format.

    Args:
        predicted: ``bboxes`` (N x 4, xyxy, pixels of the original image), ``scores``, ``labels`` and perhaps ``masks``
            (bool, N x H x W).
        category_ids: by label.
    """
    from pycocotools import mask

    found = []
    boxes = predicted["bboxes"].cpu().double().numpy()
    masks = predicted.get("masks")
    for index, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        entry = {
            "image_id": int(image_id),
            "category_id": category_ids[int(predicted["labels"][index])],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": float(predicted["scores"][index]),
        }
        if masks is not None:
            pixels = np.asarray(masks[index].cpu(), dtype=np.uint8)
            entry["segmentation"] = mask.encode(np.asfortranarray(pixels))
        found.append(entry)
    return found


def _shown(detections: list[dict[str, Any]], test: Split) -> dict[int, list[Instance]]:
    """What was predicted in the images to be drawn, by image id."""
    import json

    from pycocotools import mask

    content = json.loads(test.json_file.read_text(encoding="utf-8"))
    index = {category["id"]: position for position, category in enumerate(content["categories"])}
    shown: dict[int, list[Instance]] = {image_id: [] for image_id in shown_images(test)}
    for found in detections:
        if found["image_id"] in shown:
            x, y, width, height = found["bbox"]
            pixels = mask.decode(found["segmentation"]).astype(bool) if "segmentation" in found else None
            box = (x, y, x + width, y + height)
            shown[found["image_id"]].append(Instance(index[found["category_id"]], box, pixels, found["score"]))
    return shown
