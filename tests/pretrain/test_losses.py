"""Every loss against a slow float64 oracle written from the paper's formula with Python loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pretrain import losses

B, D, DIM, TAU = 5, 12, 7, 0.2


def unit(rows: int, dim: int = DIM, seed: int = 0) -> Tensor:
    vectors = torch.randn(rows, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=1, keepdim=True)


def dot(a: Tensor, b: Tensor) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def labels() -> Tensor:
    return torch.rand(B, D, generator=torch.Generator().manual_seed(9)) < 0.3


def test_info_nce_is_eq_1() -> None:
    query, key, queue = unit(B, seed=1), unit(B, seed=2), unit(D, seed=3)
    found = losses.info_nce(query, key, queue, TAU)
    for i in range(B):
        positive = math.exp(dot(query[i], key[i]) / TAU)
        negatives = sum(math.exp(dot(query[i], slot) / TAU) for slot in queue)
        assert float(found[i]) == pytest.approx(-math.log(positive / (positive + negatives)), abs=1e-12)


def test_bce_is_eq_9(labels: Tensor) -> None:
    query, queue = unit(B, seed=1), unit(D, seed=3)
    expected = 0.0
    for i in range(B):
        for j in range(D):
            p = sigmoid(dot(query[i], queue[j]) / TAU)
            expected -= math.log(p) if labels[i, j] else math.log(1 - p)
    found = losses.multi_label_bce(losses.similarities(query, queue), labels, TAU)
    assert float(found) == pytest.approx(expected / (B * D), abs=1e-12)


def test_bce_positives_is_the_first_term_of_eq_9(labels: Tensor) -> None:
    query, queue = unit(B, seed=1), unit(D, seed=3)
    expected = -sum(
        math.log(sigmoid(dot(query[i], queue[j]) / TAU)) for i in range(B) for j in range(D) if labels[i, j]
    )
    found = losses.multi_label_bce_positives(losses.similarities(query, queue), labels, TAU)
    assert float(found) == pytest.approx(expected / (B * D), abs=1e-12)


def test_knn_softmax_is_eq_2_over_the_queue() -> None:
    query, queue = unit(B, seed=1), unit(D, seed=3)
    labels = losses.top_k_labels(losses.similarities(unit(B, seed=4), unit(D, seed=5)), 3)
    expected = 0.0
    for i in range(B):
        total = sum(math.exp(dot(query[i], slot) / TAU) for slot in queue)
        positives = [j for j in range(D) if labels[i, j]]
        expected -= sum(math.log(math.exp(dot(query[i], queue[j]) / TAU) / total) for j in positives) / len(positives)
    found = losses.knn_softmax(losses.similarities(query, queue), labels, TAU)
    assert float(found) == pytest.approx(expected / B, abs=1e-12)


@pytest.mark.parametrize("name", ["multi_label_bce", "multi_label_bce_positives", "knn_softmax"])
def test_excluded_slots_are_as_if_they_were_not_there(name: str, labels: Tensor) -> None:
    scores = torch.randn(B, D, dtype=torch.float64)
    excluded = torch.zeros(B, D, dtype=torch.bool)
    excluded[:, [2, 7]] = True
    labels = labels & ~excluded
    keep = [j for j in range(D) if j not in (2, 7)]
    loss = getattr(losses, name)
    assert torch.allclose(loss(scores, labels, TAU, excluded), loss(scores[:, keep], labels[:, keep], TAU), atol=1e-12)


def test_knn_softmax_of_rows_without_positives_is_zero_with_a_zero_gradient() -> None:
    scores = torch.randn(B, D, requires_grad=True)
    loss = losses.knn_softmax(scores, torch.zeros(B, D, dtype=torch.bool), TAU)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert torch.equal(scores.grad, torch.zeros(B, D))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_top_k_labels_are_the_k_largest(seed: int, slots: int, k: int) -> None:
    k = min(k, slots)
    scores = torch.randn(3, slots, generator=torch.Generator().manual_seed(seed))
    labels = losses.top_k_labels(scores, k)
    assert labels.dtype == torch.bool
    assert labels.sum(dim=1).tolist() == [k] * 3
    for row, chosen in zip(scores, labels, strict=True):
        assert set(row[chosen].tolist()) == set(sorted(row.tolist(), reverse=True)[:k])


def test_top_k_labels_never_take_an_excluded_slot() -> None:
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0], [5.0, 4.0, 3.0, 2.0]])
    excluded = torch.tensor([[True, False, False, False], [True, True, True, False]])
    labels = losses.top_k_labels(scores, 2, excluded)
    assert labels.tolist() == [[False, True, True, False], [False, False, False, True]]


def test_labels_carry_no_gradient() -> None:
    features = unit(B).requires_grad_()
    labels = losses.top_k_labels(losses.similarities(features, unit(D, seed=2)), 3)
    assert not labels.requires_grad


def test_normalise_has_unit_rows_and_keeps_zero() -> None:
    rows = losses.normalise(torch.cat([unit(3) * 17, torch.zeros(1, DIM, dtype=torch.float64)]))
    assert torch.allclose(rows.norm(dim=1), torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64))


def test_losses_stay_in_float32_inside_autocast(labels: Tensor) -> None:
    query, key, queue = unit(B, seed=1).float(), unit(B, seed=2).float(), unit(D, seed=3).float()

    def all_losses() -> list[Tensor]:
        scores = losses.similarities(query, queue)
        return [
            losses.normalise(query * 3),
            scores,
            losses.info_nce(query, key, queue, TAU),
            losses.multi_label_bce(scores, labels, TAU),
            losses.multi_label_bce_positives(scores, labels, TAU),
            losses.knn_softmax(scores, labels, TAU),
        ]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (query @ queue.T).dtype == torch.bfloat16  # autocast is really on
        inside = all_losses()
    for found, expected in zip(inside, all_losses(), strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


def test_half_precision_inputs_are_raised(labels: Tensor) -> None:
    query, queue = unit(B, seed=1).bfloat16(), unit(D, seed=3).bfloat16()
    assert losses.similarities(query, queue).dtype == torch.float32
    assert torch.equal(losses.similarities(query, queue), query.float() @ queue.float().T)
