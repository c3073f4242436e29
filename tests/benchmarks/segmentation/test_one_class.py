"""The trivial predictor of semantic maps, against every pixel counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.cell import Cell
from benchmarks.protocols.protocol import load_protocol
from benchmarks.segmentation.one_class import one_class_measured, pixels_by_class
from benchmarks.segmentation.run import run
from benchmarks.segmentation.transforms import merge_labels


def test_the_most_frequent_training_class_is_predicted_everywhere() -> None:
    all_accuracy, iou, accuracy = one_class_measured(np.array([50, 30, 20, 0]), np.array([10, 70, 20, 0]))
    assert all_accuracy == pytest.approx(0.1)
    np.testing.assert_allclose(iou, [0.1, 0.0, 0.0, np.nan])
    np.testing.assert_allclose(accuracy, [1.0, 0.0, 0.0, np.nan])


def test_pixels_are_counted_as_labelled(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 255], [1, 2, 2]], dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / "map.png")
    assert pixels_by_class([tmp_path / "map.png"] * 2, 3, np.asarray).tolist() == [4, 2, 4]
    assert pixels_by_class([tmp_path / "map.png"], 2, merge_labels).tolist() == [2, 3]


@pytest.mark.parametrize("merged", [True, False])
def test_a_segmentation_protocol_judges_chance(merged: bool, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    """mIoU is the share of background over the classes that occur."""
    protocol = load_protocol("fcn_demo", [f"data.merge_categories={str(merged).lower()}", "data.max_test_images=4"])
    outcome = run(Cell("reference:chance", None, protocol, tiny_scenes, 0, tmp_path))
    counts = np.zeros(256, dtype=np.int64)
    from benchmarks.evaluation.inputs import choose_images

    for index in choose_images(tiny_scenes, "test", 4)[0]:
        with Image.open(tiny_scenes.semantic("test")[index]) as image:
            labels = np.asarray(image)
        counts += np.bincount((merge_labels(labels) if merged else labels).ravel(), minlength=256)
    occurring = int((counts[:255] > 0).sum())
    share = counts[0] / counts[:255].sum()
    assert outcome.metrics["aAcc"] == pytest.approx(100 * share)
    assert outcome.metrics["mIoU"] == pytest.approx(100 * share / occurring)
    assert outcome.test_images == 4
    assert outcome.notes[-1] == "'background' everywhere; looks at no picture"
