"""MMDetection as an engine. Where mmcv's operators are missing, the tests at the end are skipped."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.detection.coco_evaluation import evaluate_detections
from benchmarks.detection.data import registered, write_split
from benchmarks.detection.mmdet_run import build_collector, coco_detections
from benchmarks.detection.prediction_sheet import draw_predictions, shown_images
from benchmarks.detection.run import run
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.evaluation.picture_sheet import Instance
from benchmarks.protocols.protocol import load_protocol
from benchmarks.report.after_run import report_all
from benchmarks.workflow.runner import run_suite
from scenebench.errors import UserError
from transfer.backbone_file import load_backbone, read_info
from transfer.exporters.mmcv_ops import missing_mmdet
from transfer.exporters.silenced_logs import quiet_detectron2

WITHOUT = missing_mmdet()
needs_mmdet = pytest.mark.skipif(WITHOUT is not None, reason=f"{WITHOUT}; 'make mmcv-ops' builds them")
needs_no_mmdet = pytest.mark.skipif(WITHOUT is None, reason="MMDetection is installed here")
SMALL = (
    "settings.iterations=2",
    "settings.batch_size=2",
    "settings.short_side=64",
    "settings.max_side=96",
    "settings.config.model.test_cfg.rcnn.score_thr=0.0",
    "data.max_test_images=4",
    "data.merge_categories=false",
)


@needs_no_mmdet
@pytest.mark.parametrize(
    ("protocol", "override", "told"),
    [
        ("mask_rcnn_fpn_mmdet_demo", "seed=0", "needs MMDetection"),
        ("faster_rcnn_fpn_mmdet_demo", "seed=0", "needs MMDetection"),
        ("pspnet_demo", "settings.head=psanet", "settings.head psanet.: needs mmcv's compiled operators"),
    ],
)
def test_a_missing_toolbox_is_told_before_anything_is_done(
    protocol: str, override: str, told: str, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    chosen = load_protocol(protocol, [override] if override.startswith("settings") else [])
    with pytest.raises(UserError, match=f"^protocol '{protocol}'.*{told}.*run 'make mmcv-ops' once$"):
        evaluate(tiny_backbone, chosen, tiny_scenes.root, 0, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@needs_no_mmdet
def test_the_command_line_exits_with_2(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    words = ["-m", "scenebench.cli", "evaluate", str(tiny_backbone), "--protocol", "mask_rcnn_fpn_mmdet_demo"]
    words += ["--data", str(tiny_scenes.root), "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=dict(os.environ), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "make mmcv-ops" in done.stderr


@needs_no_mmdet
def test_a_suite_is_refused_before_its_pretraining(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "benchmarks/suites/smoke.yaml").read_text()
    path = tmp_path / "smoke.yaml"
    path.write_text(text.replace("mask_rcnn_fpn_demo", "mask_rcnn_fpn_mmdet_demo"))
    assert "mmdet" in path.read_text()
    with pytest.raises(UserError, match="make mmcv-ops"):
        run_suite(str(path), out=tmp_path / "out", report=report_all)
    assert not (tmp_path / "out").exists()


def _jittered(truth: dict[str, Any], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Detections like a middling detector's: boxes and masks moved, some missed, some of the wrong category."""
    from pycocotools import mask

    categories = [category["id"] for category in truth["categories"]]
    sizes = {image["id"]: (image["height"], image["width"]) for image in truth["images"]}
    found = []
    for annotation in truth["annotations"]:
        if rng.random() < 0.2:
            continue
        height, width = sizes[annotation["image_id"]]
        x, y, w, h = (float(value + rng.normal(0, 2)) for value in annotation["bbox"])
        pixels = np.zeros((height, width), np.uint8)
        pixels[max(int(y), 0) : int(y + h), max(int(x), 0) : int(x + w)] = 1
        found.append(
            {
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"] if rng.random() < 0.8 else int(rng.choice(categories)),
                "bbox": [x, y, max(w, 1.0), max(h, 1.0)],
                "score": float(rng.random()),
                "segmentation": mask.encode(np.asfortranarray(pixels)),
            }
        )
    return found


@pytest.mark.parametrize("merge", [False, True])
def test_metrics_are_those_of_detectron2s_evaluator(merge: bool, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    """Equal detections must score equally, whichever engine they came from."""
    quiet_detectron2()
    from detectron2.data import DatasetCatalog
    from detectron2.evaluation import COCOEvaluator

    with registered(tiny_scenes, "test", None, tmp_path, merge) as test:
        found = _jittered(json.loads(test.json_file.read_text()), np.random.default_rng(1))
        ours = evaluate_detections(test.json_file, found, ("bbox", "segm"))
        DatasetCatalog.get(test.name)  # which fills the metadata
        evaluator = COCOEvaluator(test.name, ("bbox", "segm"), False, use_fast_impl=False)
        evaluator.reset()
        to_index = evaluator._metadata.thing_dataset_id_to_contiguous_id
        by_image: dict[int, list[dict[str, Any]]] = {}
        for entry in found:
            converted = entry | {"category_id": to_index[entry["category_id"]]}
            by_image.setdefault(entry["image_id"], []).append(converted)
        evaluator._predictions = [{"image_id": key, "instances": value} for key, value in by_image.items()]
        theirs = evaluator.evaluate()
    assert 5 < ours["bbox"]["AP50"] < 100
    for task in ("bbox", "segm"):
        for name in ("AP", "AP50", "AP75"):
            assert ours[task][name] == pytest.approx(theirs[task][name], abs=1e-9)
        for name in theirs[task].keys() - {"AP", "AP50", "AP75", "APs", "APm", "APl"}:
            assert ours[task][name] == pytest.approx(theirs[task][name], abs=1e-9, nan_ok=True)


def test_no_detection_is_nan_and_the_truth_scores_100(tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    test = write_split(tiny_photos, "test", None, tmp_path)
    nothing = evaluate_detections(test.json_file, [], ("bbox", "segm"))
    assert math.isnan(nothing["bbox"]["AP"])
    assert nothing["segm"].keys() == {"AP", "AP50", "AP75", "AP-nut", "AP-fig"}
    from pycocotools.coco import COCO

    truth = COCO(str(test.json_file))
    objects = [annotation for annotation in truth.dataset["annotations"] if not annotation["iscrowd"]]
    found = [annotation | {"score": 0.5, "segmentation": truth.annToRLE(annotation)} for annotation in objects]
    perfect = evaluate_detections(test.json_file, found, ("bbox", "segm"))
    for task in ("bbox", "segm"):
        assert list(perfect[task].values()) == pytest.approx([100.0] * 5)


def test_predictions_become_cocos_results() -> None:
    masks = torch.zeros(2, 6, 8, dtype=torch.bool)
    masks[1, 2:4, 1:5] = True
    predicted = {
        "bboxes": torch.tensor([[1.0, 2.0, 5.0, 8.0], [0.0, 0.0, 2.0, 2.0]]),
        "scores": torch.tensor([0.5, 0.25]),
        "labels": torch.tensor([1, 0]),
        "masks": masks,
    }
    first, second = coco_detections(12, predicted, [7, 90])
    assert (first["image_id"], first["category_id"], first["bbox"], first["score"]) == (12, 90, [1, 2, 4, 6], 0.5)
    assert second["category_id"] == 7
    from pycocotools import mask

    assert np.array_equal(mask.decode(second["segmentation"]).astype(bool), masks[1].numpy())
    del predicted["masks"]
    assert "segmentation" not in coco_detections(12, predicted, [7, 90])[0]


def test_every_detection_of_every_image_is_judged(tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    """mmengine's collection keeps as many entries as there are images, of which each may hold many objects."""
    test = write_split(tiny_photos, "test", None, tmp_path)
    collector = build_collector(test)
    predicted = {"bboxes": torch.ones(5, 4), "scores": torch.ones(5), "labels": torch.zeros(5, dtype=torch.long)}
    collector.process(None, [{"img_id": image_id, "pred_instances": predicted} for image_id in (100, 101)])
    assert collector.evaluate(2) == {"scenebench/detections": 10.0}
    assert [found["image_id"] for found in collector.detections] == [100] * 5 + [101] * 5


def test_the_sheet_shows_truth_and_the_surest_predictions(tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    test = write_split(tiny_photos, "test", None, tmp_path)
    ids = shown_images(test)
    assert len(ids) == 6
    sure = Instance(0, (10.0, 10.0, 50.0, 50.0), None, 0.9)
    unsure = Instance(1, (0.0, 0.0, 5.0, 5.0), None, 0.1)
    draw_predictions(tmp_path / "a.png", test, ["nut", "fig"], {image_id: [unsure, sure] for image_id in ids})
    draw_predictions(tmp_path / "b.png", test, ["nut", "fig"], {image_id: [sure, unsure] for image_id in ids})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()  # order is by score
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size[0] > 1000


def judge(
    backbone: Path, data: DatasetFolder, out: Path, seed: int = 0, *overrides: str, name: str = "mask_rcnn"
) -> Outcome:
    out.mkdir(parents=True)
    protocol = load_protocol(f"{name}_fpn_mmdet_demo", [*SMALL, *overrides])
    return run(Cell(backbone, read_info(backbone), protocol, data, seed, out))


@needs_mmdet
def test_equal_seeds_give_equal_bits(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    first = judge(tiny_backbone, tiny_scenes, tmp_path / "first", 1)
    assert first == judge(tiny_backbone, tiny_scenes, tmp_path / "second", 1)
    assert first.metrics.keys() == {"box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75"}
    assert all(value is not None for value in first.metrics.values())
    assert (first.train_images, first.test_images) == (28, 4)


@needs_mmdet
def test_what_is_left_beside_the_record(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """User data: polygons, a crowd, gappy ids, an image without objects, images of three sizes."""
    outcome = judge(tiny_backbone, tiny_photos, tmp_path / "run")
    assert set(outcome.per_class) == {"nut", "fig"}
    with Image.open(tmp_path / "run/predictions.png") as sheet:
        assert sheet.size[0] > 1000
    report = json.loads((tmp_path / "run/transfer.json").read_text())
    assert sum(report["tensors"].values()) == len(load_backbone(tiny_backbone)[1])
    assert (tmp_path / "run/toolbox/config.py").is_file()
    assert "loss" in (tmp_path / "run/toolbox/log.txt").read_text()
    assert capfd.readouterr().out == ""


@needs_mmdet
def test_masks_can_be_trained_on_as_polygons(
    tiny_backbone: Path, tiny_photos: DatasetFolder, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    outcome = judge(tiny_backbone, tiny_photos, tmp_path / "a", 0, "settings.mask_format=polygon")
    assert outcome.metrics["mask_AP"] is not None
    with pytest.raises(UserError, match=r"^settings\.mask_format: [^\n]*instances_train\.json[^\n]*=bitmask$"):
        judge(tiny_backbone, tiny_scenes, tmp_path / "b", 0, "settings.mask_format=polygon")  # run lengths


@needs_mmdet
def test_faster_rcnn_judges_boxes(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    outcome = judge(tiny_backbone, tiny_scenes, tmp_path / "run", name="faster_rcnn")
    assert outcome.metrics["box_AP"] is not None
    assert outcome.metrics["mask_AP"] is None


@needs_mmdet
def test_divergence_is_an_error_and_no_result(tiny_backbone: Path, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    wild = ["settings.learning_rate=1e25", "settings.iterations=4", "settings.warmup_iterations=0"]
    wild += ["settings.clip_norm=0", "settings.optimiser=sgd"]
    with pytest.raises(UserError, match=r"lower settings\.learning_rate"):
        judge(tiny_backbone, tiny_photos, tmp_path / "run", 0, *wild)
