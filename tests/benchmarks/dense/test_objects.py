"""Which objects take part, how they are drawn, and how right answers are averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.datasets.samples import Box
from benchmarks.dense.annotated_images import AnnotatedImages
from benchmarks.dense.object_accuracy import mean_category_accuracy, object_metrics, size_of
from benchmarks.dense.object_features import box_shapes, pixels_of
from benchmarks.dense.objects import Objects, drawn, drawn_by_category, objects_of


def annotated(*boxes: tuple[Box, ...]) -> AnnotatedImages:
    paths = [Path(f"images/{number}.jpg") for number in range(len(boxes))]
    return AnnotatedImages("test", paths, list(boxes), [(100, 50)] * len(boxes), [], ["a", "b", "c"], "stamp")


def many(counts: dict[int, int]) -> Objects:
    """One image with so many objects of each label."""
    boxes = [Box(label, 0, 0, 10, 10) for label, count in counts.items() for _ in range(count)]
    return objects_of(annotated(tuple(boxes)))


def test_crowds_difficult_ones_and_boxes_without_area_are_left_out() -> None:
    found = objects_of(
        annotated(
            (Box(0, 10, 5, 60, 30), Box(1, 0, 0, 9, 9, crowd=True), Box(1, 0, 0, 9, 9, difficult=True)),
            (),
            (Box(2, -10, 10, 50, 80), Box(1, 5, 5, 5, 9), Box(1, 120, 0, 130, 9)),
        )
    )
    assert found.labels.tolist() == [0, 2]
    assert found.image_of.tolist() == found.shown == [0, 2]
    wanted = torch.tensor([[0.1, 0.1, 0.6, 0.6], [0.0, 0.2, 0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(found.boxes, wanted)
    torch.testing.assert_close(found.aspects, torch.tensor([50 / 25, 50 / 40], dtype=torch.float64))
    torch.testing.assert_close(found.areas, torch.tensor([0.25, 0.4], dtype=torch.float64))
    assert found.notes == ("2 boxes of split 'test' without area left out",)


def test_draws_are_fixed_capped_by_category_and_grow() -> None:
    objects = many({0: 50, 1: 20, 2: 3})
    few, more = drawn_by_category(objects, 5), drawn_by_category(objects, 10)
    assert torch.bincount(few.labels).tolist() == [5, 5, 3]
    assert torch.bincount(more.labels).tolist() == [10, 10, 3]
    assert "13 of the 73 objects of split 'test' (at most 5 of a category, a fixed draw)" in few.notes
    assert drawn_by_category(objects, 50).notes == ()
    assert len(drawn(objects, 30)) == 30
    numbered = objects.subset(range(73))
    numbered.aspects[:] = torch.arange(73.0)
    picks = [set(drawn_by_category(numbered, most).aspects.tolist()) for most in (5, 10)]
    assert picks[0] < picks[1]
    assert picks[0] == set(drawn_by_category(numbered, 5).aspects.tolist())


def test_categories_count_alike_and_sizes_have_means_of_their_own() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    predicted = torch.tensor([0, 0, 0, 1, 1, 0, 0])
    areas = torch.tensor([0.01, 0.01, 0.02, 0.5, 0.5, 0.01, 0.02], dtype=torch.float64)
    assert size_of(torch.tensor([1 / 64, 1 / 16, 0.0]), [1 / 64, 1 / 16]).tolist() == [1, 2, 0]
    metrics = object_metrics(predicted, labels, areas, [1 / 64, 1 / 16])
    assert metrics["object_acc"] == pytest.approx(100 * (3 / 4 + 1 / 2 + 0) / 3)
    assert metrics["object_top1"] == pytest.approx(100 * 4 / 7)
    assert metrics["object_small"] == pytest.approx(100 * (1 + 0) / 2)
    assert metrics["object_medium"] == pytest.approx(100 * (1 + 0) / 2)
    assert metrics["object_large"] == pytest.approx(100 * (0 + 1) / 2)
    assert mean_category_accuracy(torch.tensor([], dtype=torch.bool), torch.tensor([], dtype=torch.int64)) is None


def test_shapes_and_pixels_of_boxes() -> None:
    boxes = torch.tensor([[0.25, 0.0, 0.75, 1.0]], dtype=torch.float64)
    shape = box_shapes(boxes, torch.tensor([2.0]))
    torch.testing.assert_close(shape, torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.5, 0.6931472]]))
    assert pixels_of(boxes[0], 64) == (16, 0, 48, 64)
    assert pixels_of(torch.tensor([0.11, 0.999, 0.12, 1.0], dtype=torch.float64), 10) == (1, 9, 2, 10)
