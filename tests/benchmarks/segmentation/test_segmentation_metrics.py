import math

import numpy as np
import pytest

from benchmarks.segmentation.metrics import segmentation_metrics
from benchmarks.segmentation.run import build_metric
from transfer.exporters.silenced_logs import quiet_mmseg


def from_confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Pixel by pixel: overall accuracy, IoU and accuracy by class, NaN where undefined; 255 ignored."""
    confusion = np.zeros((classes, classes))
    for real, found in zip(truth.ravel(), predicted.ravel(), strict=True):
        if real != 255:
            confusion[real, found] += 1
    iou, accuracy = np.full(classes, np.nan), np.full(classes, np.nan)
    for c in range(classes):
        union = confusion[c].sum() + confusion[:, c].sum() - confusion[c, c]
        if union:
            iou[c] = confusion[c, c] / union
        if confusion[c].sum():
            accuracy[c] = confusion[c, c] / confusion[c].sum()
    return float(np.trace(confusion) / confusion.sum()), iou, accuracy


@pytest.mark.parametrize("seed", range(4))
def test_the_metric_equals_a_confusion_matrix(seed: int) -> None:
    quiet_mmseg()
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    rng = np.random.default_rng(seed)
    classes = ["background", "nut", "fig", "absent"]
    metric = build_metric()
    metric.dataset_meta = {"classes": classes}
    truths, predictions = [], []
    for height, width in ((6, 5), (4, 9)):
        truth = rng.choice([0, 1, 2, 255], (height, width)).astype(np.uint8)
        predicted = rng.integers(0, 3, (height, width)).astype(np.uint8)
        truths.append(truth.ravel())
        predictions.append(predicted.ravel())
        sample = SegDataSample(
            gt_sem_seg=PixelData(data=torch.from_numpy(truth).long()[None]),
            pred_sem_seg=PixelData(data=torch.from_numpy(predicted).long()[None]),
        )
        metric.process({}, [sample.to_dict()])
    metric.evaluate(2)
    metrics, per_class = segmentation_metrics(*metric.measured, classes)
    overall, iou, accuracy = from_confusion(np.concatenate(truths), np.concatenate(predictions), 4)
    assert metrics["aAcc"] == pytest.approx(100 * overall, rel=1e-6)
    assert metrics["mIoU"] == pytest.approx(100 * np.nanmean(iou), rel=1e-6)
    assert metrics["mAcc"] == pytest.approx(100 * np.nanmean(accuracy), rel=1e-6)
    assert per_class["absent"] == {"IoU": None, "Acc": None}
    assert per_class["fig"]["IoU"] == pytest.approx(100 * iou[2], rel=1e-6)


def test_nothing_defined() -> None:
    nothing = np.array([math.nan, math.nan])
    metrics, per_class = segmentation_metrics(math.nan, nothing, nothing, ["background", "nut"])
    assert metrics == {"mIoU": None, "mAcc": None, "aAcc": None}
    assert per_class["nut"] == {"IoU": None, "Acc": None}
