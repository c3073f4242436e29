"""The truth, given as predictions, scores 100 by either rule: corners, labels and files are not mixed up on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from miniatures import build_coco2017, build_voc0712

from benchmarks.detection.data import Split, registered
from benchmarks.detection.evaluators import build_evaluator
from benchmarks.evaluation.official import OfficialFolder
from scenebench.errors import UserError
from transfer.exporters.silenced_logs import quiet_detectron2


def judge_the_truth(evaluator: Any, test: Split, shift: float = 0.0) -> None:
    from detectron2.data import DatasetCatalog
    from detectron2.structures import Boxes, BoxMode, Instances

    evaluator.reset()
    for entry in DatasetCatalog.get(test.name):
        objects = [a for a in entry["annotations"] if not a["iscrowd"]]
        boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in objects]
        found = Instances((entry["height"], entry["width"]))
        found.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) + shift)
        found.scores = torch.linspace(0.9, 0.5, len(objects))
        found.pred_classes = torch.tensor([a["category_id"] for a in objects], dtype=torch.int64)
        evaluator.process([entry], [{"instances": found}])
    evaluator.evaluate()


@pytest.mark.parametrize("metric", ["voc07", "voc", "coco"])
def test_voc(metric: str, tmp_path: Path) -> None:
    quiet_detectron2()
    data = OfficialFolder.read("voc0712", build_voc0712(tmp_path / "VOCdevkit"))
    with registered(data, "test", None, tmp_path / "work") as test:
        assert sum(test.objects) == 8  # two of the ten are difficult
        evaluator = build_evaluator(metric, test, data.categories, ("bbox",), "test")
        judge_the_truth(evaluator, test)
        metrics, per_class = evaluator.measured
        # COCO's rule knows nothing of difficult objects, and their classes are in these images nowhere else.
        assert metrics["box_AP50"] == pytest.approx(100.0)
        assert metrics["box_AP"] == pytest.approx(100.0)
        undefined = {name for name, count in zip(data.categories, test.objects, strict=True) if count == 0}
        assert {name for name, values in per_class.items() if values["box_AP"] is None} == undefined != set()
        judge_the_truth(evaluator, test, shift=30.0)
        assert evaluator.measured[0]["box_AP50"] == pytest.approx(0.0)
        assert len(evaluator.shown) == 4


def test_coco(tmp_path: Path) -> None:
    quiet_detectron2()
    data = OfficialFolder.read("coco2017", build_coco2017(tmp_path / "coco"))
    with registered(data, "val", None, tmp_path / "work") as test:
        evaluator = build_evaluator("coco", test, data.categories, ("bbox",), "test")
        judge_the_truth(evaluator, test)
        assert evaluator.measured[0]["box_AP"] == pytest.approx(100.0)
        with pytest.raises(UserError, match=r"reads VOC's XML files, and .* is missing; take coco"):
            build_evaluator("voc07", test, data.categories, ("bbox",), "test")
