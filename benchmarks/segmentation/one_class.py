"""The trivial predictor of semantic maps: the class of most training pixels, everywhere. It looks at no picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.folder import IGNORED

Labels = NDArray[np.integer]


def pixels_by_class(maps: Sequence[Path], classes: int, read_as: Callable[[Labels], Labels]) -> NDArray[np.int64]:
    """Number of labelled pixels of each class in the maps; what is ignored counts nowhere.

    Args:
        read_as: what becomes of a map's labels, H x W (:func:`.transforms.merge_labels`, or nothing).
    """
    counts = np.zeros(IGNORED + 1, dtype=np.int64)
    for path in maps:
        with Image.open(path) as image:
            counts += np.bincount(read_as(np.asarray(image)).ravel(), minlength=IGNORED + 1)
    return counts[:classes]


def one_class_measured(
    train: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """(overall accuracy, IoU and accuracy by class) as fractions of predicting one class for every test pixel.

    The class is the one with most training pixels. One that is neither in the test pixels nor predicted has NaN.

    Args:
        train, test: labelled pixels by class.
    """
    predicted = np.arange(len(test)) == int(train.argmax())
    total = test.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = np.where(test > 0, predicted.astype(np.float64), np.nan)
        iou = np.where(predicted, test / total, np.where(test > 0, 0.0, np.nan))
    return float(test[predicted].sum() / total), iou, accuracy
