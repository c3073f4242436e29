"""faster-coco-eval says what pycocotools says, to 1e-10: every number of the summary, and every precision."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miniatures import build_coco2017
from pycocotools import mask

from benchmarks.detection.coco_evaluation import (
    evaluate_detections,
    evaluate_task,
    evaluator_note,
    read_truth,
)
from benchmarks.detection.data import registered
from benchmarks.detection.evaluators import build_evaluator
from benchmarks.evaluation.official import OfficialFolder
from benchmarks.protocols.detection import EVALUATORS, FASTER, PYCOCOTOOLS, DetectionSettings
from benchmarks.protocols.protocol import load_protocol
from scenebench.errors import UserError
from transfer.exporters.silenced_logs import quiet_detectron2, quiet_pycocotools

SIDE = 200
TINY, SMALL, MEDIUM, LARGE = (2, 12), (20, 31), (33, 95), (97, 180)  # sides on both sides of COCO's limits, 32 and 96


def _entry(rng: np.random.Generator, image: int, sides: tuple[int, int], as_polygon: bool = False) -> dict[str, Any]:
    width, height = (int(side) for side in rng.integers(*sides, 2))
    x, y = int(rng.integers(0, SIDE - width)), int(rng.integers(0, SIDE - height))
    corners = [x, y, x + width, y, x + width, y + height, x, y + height]
    if as_polygon:
        segmentation: Any = [[float(value) for value in corners]]
        area = float(width * height)
    else:
        pixels = np.zeros((SIDE, SIDE), np.uint8, order="F")
        pixels[y : y + height, x : x + width] = rng.random((height, width)) < 0.8
        segmentation = mask.encode(pixels)
        area = float(pixels.sum())
        segmentation["counts"] = segmentation["counts"].decode()
    box = [float(x), float(y), float(width), float(height)]
    return {"image_id": image, "segmentation": segmentation, "bbox": box, "area": area}


def _moved(rng: np.random.Generator, truth: dict[str, Any]) -> dict[str, Any]:
    """A detection near an object: sometimes exactly it."""
    box = truth["bbox"]
    if rng.random() < 0.3:
        segmentation = truth["segmentation"]
        if isinstance(segmentation, list):
            segmentation = mask.merge(mask.frPyObjects(segmentation, SIDE, SIDE))
            segmentation["counts"] = segmentation["counts"].decode()
        return {"image_id": truth["image_id"], "segmentation": segmentation, "bbox": list(box)}
    shift = rng.integers(-4, 5, 2)
    x, y = (int(np.clip(box[axis] + shift[axis], 0, SIDE - box[axis + 2])) for axis in range(2))
    width, height = int(box[2]), int(box[3])
    pixels = np.zeros((SIDE, SIDE), np.uint8, order="F")
    pixels[y : y + height, x : x + width] = 1
    segmentation = mask.encode(pixels)
    segmentation["counts"] = segmentation["counts"].decode()
    return {"image_id": truth["image_id"], "segmentation": segmentation, "bbox": [x, y, width, height]}


def made_up(
    seed: int, images: int, objects: int, stray: int, ties: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth and detections: crowds, ``ignore`` flags, images without objects, without detections, gappy ids."""
    rng = np.random.default_rng(seed)
    categories, ids = [3, 7, 90], [11 * (index + 1) for index in range(images)]
    truth, found = [], []
    for image in ids[1:]:  # the first holds nothing
        for _ in range(int(rng.integers(0, objects + 1))):
            sides = (TINY, SMALL, MEDIUM, LARGE)[int(rng.integers(4))]
            crowd = bool(rng.random() < 0.15)
            entry = _entry(rng, image, sides, as_polygon=not crowd and bool(rng.random() < 0.5))
            category = categories[int(rng.integers(2))]  # the third is never there
            extra = {"ignore": int(rng.random() < 0.2)}  # pycocotools overwrites it by iscrowd
            truth.append({"id": len(truth) + 1, "category_id": category, "iscrowd": int(crowd), **entry, **extra})
    for target in truth:
        for _ in range(int(rng.integers(0, 3))):
            found.append({**_moved(rng, target), "category_id": target["category_id"]})
    for image in ids[:-1]:  # the last has no stray one
        for _ in range(int(rng.integers(0, stray + 1))):
            entry = _entry(rng, image, (TINY, SMALL, MEDIUM, LARGE)[int(rng.integers(4))])
            del entry["area"]
            found.append({**entry, "category_id": categories[int(rng.integers(3))]})
    scores = rng.integers(1, 4, len(found)) / 4 if ties else rng.random(len(found))
    for entry, score in zip(found, scores, strict=True):
        entry["score"] = float(score)
    content = {
        "info": {},
        "images": [{"id": image, "width": SIDE, "height": SIDE, "file_name": f"{image}.jpg"} for image in ids],
        "annotations": truth,
        "categories": [{"id": number, "name": f"c{number}"} for number in categories],
    }
    return content, [found[int(index)] for index in rng.permutation(len(found))]


def assert_equal(folder: Path, content: dict[str, Any], found: list[dict[str, Any]]) -> None:
    path = folder / "truth.json"
    path.write_text(json.dumps(content))
    for task in ("bbox", "segm"):
        with quiet_pycocotools():
            plain, fast = (evaluate_task(read_truth(path, name), found, task, name) for name in EVALUATORS)
        if plain is None or fast is None:
            assert plain is fast is None
            assert not found
            continue
        assert plain.stats.shape == fast.stats.shape == (12,)
        assert plain.precision.shape == fast.precision.shape == (10, 101, 3, 4, 3)
        np.testing.assert_allclose(fast.stats, plain.stats, rtol=0, atol=1e-10)
        np.testing.assert_allclose(fast.precision, plain.precision, rtol=0, atol=1e-10)
    plain_results, fast_results = (evaluate_detections(path, found, ("bbox", "segm"), name) for name in EVALUATORS)
    for task, values in plain_results.items():
        assert values == pytest.approx(fast_results[task], rel=0, abs=1e-8, nan_ok=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(2, 6),
    objects=st.integers(0, 8),
    stray=st.integers(0, 12),
    ties=st.booleans(),
)
def test_both_evaluators_say_the_same(
    tmp_path: Path, seed: int, images: int, objects: int, stray: int, ties: bool
) -> None:
    assert_equal(tmp_path, *made_up(seed, images, objects, stray, ties))


@pytest.mark.parametrize("ties", [False, True])
def test_more_than_a_hundred_detections_of_an_image(tmp_path: Path, ties: bool) -> None:
    content, found = made_up(5, 3, 10, 10, ties)
    rng = np.random.default_rng(1)
    targets = [target for target in content["annotations"] if target["category_id"] == 3]
    for _ in range(600):  # of one category, in one image: all but a hundred do not count
        near = _moved(rng, targets[0])
        found.append({**near, "category_id": 3, "score": float(rng.integers(1, 9) / 8 if ties else rng.random())})
    assert_equal(tmp_path, content, found)


def test_nothing_detected_nothing_there_and_all_right(tmp_path: Path) -> None:
    content, found = made_up(2, 4, 6, 5, False)
    assert_equal(tmp_path, content, [])
    assert_equal(tmp_path, content | {"annotations": []}, found)
    perfect = [
        {key: target[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for target in content["annotations"]
        if not target["iscrowd"]
    ]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    for name in EVALUATORS:
        assert evaluate_detections(path, perfect, ("bbox",), name)["bbox"]["AP"] == pytest.approx(100.0)


def test_detectron2s_evaluator_gives_the_same_by_either(tmp_path: Path) -> None:
    """Category ids are mapped back, the metrics and those by class are equal."""
    quiet_detectron2()
    import torch
    from detectron2.data import DatasetCatalog
    from detectron2.structures import Boxes, BoxMode, Instances

    data = OfficialFolder.read("coco2017", build_coco2017(tmp_path / "coco"))
    measured = []
    with registered(data, "val", None, tmp_path / "work") as test:
        for name in EVALUATORS:
            evaluator = build_evaluator("coco", test, data.categories, ("bbox",), "test", name)
            evaluator.reset()
            for entry in DatasetCatalog.get(test.name):
                boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in entry["annotations"]]
                found = Instances((entry["height"], entry["width"]))
                found.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) + 0.7)
                found.scores = torch.linspace(0.9, 0.5, len(boxes))
                found.pred_classes = torch.tensor([a["category_id"] for a in entry["annotations"]])
                evaluator.process([entry], [{"instances": found}])
            evaluator.evaluate()
            measured.append(evaluator.measured)
    (plain, plain_classes), (fast, fast_classes) = measured
    assert 0.0 < (plain["box_AP"] or 0.0) < 100.0
    assert fast == pytest.approx(plain, abs=1e-8)
    assert fast_classes.keys() == plain_classes.keys()
    assert all(values == pytest.approx(plain_classes[name], abs=1e-8) for name, values in fast_classes.items())


def test_what_has_published_values_is_judged_by_pycocotools() -> None:
    with pytest.raises(UserError, match=r"^settings\.evaluator: .*mask_rcnn_r50_fpn_1x.* leave it at pycocotools$"):
        load_protocol("mask_rcnn_r50_fpn_1x", [f"settings.evaluator={FASTER}"])
    demo = load_protocol("mask_rcnn_fpn_demo")
    chosen = load_protocol("mask_rcnn_fpn_demo", [f"settings.evaluator={FASTER}"])
    assert "evaluator" not in demo.resolved["settings"]  # so that the hash of older records stays
    assert chosen.resolved["settings"]["evaluator"] == FASTER
    assert chosen.hash != demo.hash
    assert evaluator_note(PYCOCOTOOLS) == []
    assert len(evaluator_note(FASTER)) == 1


def test_a_wrong_evaluator_is_named() -> None:
    with pytest.raises(UserError, match=r"settings\.evaluator.*faster_coco_eval"):
        DetectionSettings(evaluator="faster_coco")
    with pytest.raises(UserError, match=r"settings\.evaluator: .*not by voc07; remove the key"):
        DetectionSettings(evaluator=FASTER, metric="voc07")
