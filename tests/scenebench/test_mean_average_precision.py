import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenebench.mean_average_precision import mean_average_precision


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Walk down the distinct scores; add precision times the recall gained."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        taken = scores >= threshold
        precision = labels[taken].sum() / taken.sum()
        gained = labels[taken].sum() / labels.sum()
        total += precision * (gained - recall)
        recall = gained
    return 100 * total


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 5))
def test_equals_the_obvious_sum(seed: int, images: int, categories: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (images, categories)).astype(np.uint8)
    scores = rng.integers(0, 4, (images, categories)).astype(np.float64)  # many ties
    value, per_category = mean_average_precision(labels, scores)
    expected = [
        average_precision(labels[:, c], scores[:, c]) if labels[:, c].any() else None for c in range(categories)
    ]
    assert per_category == [None if e is None else pytest.approx(e, abs=1e-9) for e in expected]
    defined = [e for e in expected if e is not None]
    assert value == (pytest.approx(np.mean(defined), abs=1e-9) if defined else None)


def test_known_values() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    scores = np.array([[0.9, 1.0], [0.8, 2.0], [0.1, 3.0]])
    value, per_category = mean_average_precision(labels, scores)
    assert per_category == [pytest.approx(100 * (0.5 + 0.5 * 2 / 3)), None]
    assert value == per_category[0]
    assert mean_average_precision(labels[:, 1:], scores[:, 1:]) == (None, [None])
