import math

from benchmarks.detection.metrics import coco_metrics

NAN = math.nan


def test_values_by_task_and_category() -> None:
    results = {
        "bbox": {"AP": 10.0, "AP50": 20.0, "AP75": 5.0, "APs": NAN, "AP-nut": 15.0, "AP-fig": 5.0},
        "segm": {"AP": 9.0, "AP50": 19.0, "AP75": 4.0, "APs": NAN, "AP-nut": 14.0, "AP-fig": NAN},
    }
    metrics, per_class = coco_metrics(results, ["nut", "fig"], [3, 0])
    assert metrics == {
        "box_AP": 10.0,
        "box_AP50": 20.0,
        "box_AP75": 5.0,
        "mask_AP": 9.0,
        "mask_AP50": 19.0,
        "mask_AP75": 4.0,
    }
    assert per_class == {"nut": {"box_AP": 15.0, "mask_AP": 14.0}, "fig": {"box_AP": None, "mask_AP": None}}


def test_no_prediction_is_zero_where_there_are_objects() -> None:
    nothing = {"AP": NAN, "AP50": NAN, "AP75": NAN}
    metrics, per_class = coco_metrics({"bbox": nothing, "segm": nothing}, ["nut", "fig"], [3, 0])
    assert set(metrics.values()) == {0.0}
    assert per_class == {"nut": {"box_AP": 0.0, "mask_AP": 0.0}, "fig": {"box_AP": None, "mask_AP": None}}


def test_no_object_is_undefined() -> None:
    nothing = {"AP": NAN, "AP50": NAN, "AP75": NAN}
    metrics, _ = coco_metrics({"bbox": nothing, "segm": nothing}, ["nut"], [0])
    assert set(metrics.values()) == {None}


def test_boxes_only_and_one_category() -> None:
    metrics, per_class = coco_metrics({"bbox": {"AP": 7.0, "AP50": 8.0, "AP75": 6.0}}, ["nut"], [2])
    assert metrics["box_AP"] == 7.0
    assert metrics["mask_AP"] is None
    assert per_class == {"nut": {"box_AP": 7.0}}
