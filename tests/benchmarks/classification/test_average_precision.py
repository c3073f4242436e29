from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from benchmarks.classification.images import LabelledImages
from benchmarks.classification.measures import measure
from benchmarks.classification.top_k import accuracy_by_class, top_k_accuracy
from scenebench.errors import UserError
from scenebench.mean_average_precision import mean_average_precision


def walk(labels: np.ndarray, scores: np.ndarray, rule: str) -> float:
    """Down the list, one image after the other, in float64; ``eleven_point`` and ``area`` in their textbook form."""
    order = sorted(range(len(labels)), key=lambda i: -scores[i])
    order = [i for i in order if labels[i] != -1]
    total = sum(labels[i] == 1 for i in order)
    points, found = [], 0
    for rank, index in enumerate(order, start=1):
        found += labels[index] == 1
        points.append((found, found / rank))
    if rule == "eleven_point":
        best = [max((p for f, p in points if 10 * f >= tenth * total), default=0.0) for tenth in range(11)]
        return 100 * sum(best) / 11
    value = 0.0
    for step in range(1, total + 1):
        value += max(p for f, p in points if f >= step) / total
    return 100 * value


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.sampled_from(["area", "eleven_point"]))
def test_area_and_eleven_points_against_the_textbook(seed: int, images: int, rule: str) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, (images, 3)).astype(np.int8)
    scores = rng.permutation(images * 3).reshape(images, 3).astype(np.float64)
    _, per_class = mean_average_precision(labels, scores, rule)
    for column, value in enumerate(per_class):
        if (labels[:, column] == 1).any():
            assert value == pytest.approx(walk(labels[:, column], scores[:, column], rule), abs=1e-10)
        else:
            assert value is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["area", "sum", "eleven_point"]))
def test_the_eleven_points_stand_beside_the_protocols_rule(seed: int, rule: str) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, (30, 3)).astype(np.int8)
    labels[0] = 1
    scores = rng.permutation(90).reshape(30, 3).astype(np.float64)
    images = LabelledImages([Path(f"{index}.jpg") for index in range(30)], labels, "made up")
    metrics, _ = measure(torch.from_numpy(scores), images, rule, ["a", "b", "c"])
    expected = np.mean([walk(labels[:, column], scores[:, column], "eleven_point") for column in range(3)])
    assert metrics["mAP_11point"] == pytest.approx(expected, abs=1e-10)
    assert metrics["mAP"] == mean_average_precision(labels, scores, rule)[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40))
def test_the_sum_is_scikit_learns_without_difficult_images(seed: int, images: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, 2, (images, 4)).astype(np.int8)
    scores = rng.integers(0, 6, (images, 4)).astype(np.float64)
    value, per_class = mean_average_precision(labels, scores)
    expected = []
    for column in range(4):
        kept = labels[:, column] != -1
        if (labels[:, column] == 1).any():
            expected.append(100 * average_precision_score(labels[kept, column], scores[kept, column]))
            assert per_class[column] == pytest.approx(expected[-1], abs=1e-10)
    assert value == (pytest.approx(np.mean(expected)) if expected else None)


def test_a_difficult_image_is_neither_right_nor_wrong() -> None:
    labels = np.array([[1], [-1], [0], [1]], np.int8)
    scores = np.array([[0.9], [0.8], [0.7], [0.6]])
    without = mean_average_precision(labels[[0, 2, 3]], scores[[0, 2, 3]], "area")
    assert mean_average_precision(labels, scores, "area") == without
    assert without[0] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert mean_average_precision(labels, scores, "eleven_point")[0] == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)
    with pytest.raises(UserError, match="did you mean 'eleven_point'"):
        mean_average_precision(labels, scores, "11_point")


def test_recall_is_counted_and_not_rounded() -> None:
    """Three of ten positives reach a recall of 0.3, though 0.1 * 3 is above it in binary fractions."""
    labels = np.array([[1]] * 3 + [[0]] * 30 + [[1]] * 7, np.int8)
    scores = -np.arange(40.0)[:, None]
    expected = walk(labels[:, 0], scores[:, 0], "eleven_point")
    assert mean_average_precision(labels, scores, "eleven_point")[0] == pytest.approx(expected)
    assert expected == pytest.approx(100 * (4 + 7 * 0.25) / 11)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(2, 8), st.integers(1, 5))
def test_top_k_against_scikit_learn(seed: int, images: int, classes: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(images, classes)), rng.integers(0, classes, images)
    found = top_k_accuracy(torch.from_numpy(scores), torch.from_numpy(labels), k)
    if k >= classes:
        assert found == 100.0
    elif classes > 2:
        assert found == pytest.approx(100 * top_k_accuracy_score(labels, scores, k=k, labels=range(classes)))


def test_constant_scores_earn_chance() -> None:
    labels = torch.arange(10)
    assert top_k_accuracy(torch.zeros(10, 10), labels, 1) == pytest.approx(10.0)
    assert top_k_accuracy(torch.zeros(10, 10), labels, 5) == pytest.approx(50.0)


def test_accuracy_by_class() -> None:
    scores = torch.tensor([[2.0, 1, 0], [0, 2, 1], [2, 0, 1]])
    assert accuracy_by_class(scores, torch.tensor([0, 0, 1])) == [50.0, 0.0, None]
