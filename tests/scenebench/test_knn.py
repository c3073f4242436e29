import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scenebench.knn import class_votes, multilabel_scores, nearest_neighbours


def brute_force(train: np.ndarray, labels: np.ndarray, test: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """One image after the other, one neighbour after the other, float64."""
    scores = np.zeros((len(test), labels.shape[1]))
    for row, query in enumerate(test):
        similarity = []
        for vector in train:
            length = np.linalg.norm(vector) * np.linalg.norm(query)
            similarity.append(float(vector @ query / length) if length > 0 else 0.0)
        nearest = sorted(range(len(train)), key=lambda i: -similarity[i])[:k]
        weights = [np.exp(similarity[i] / temperature) for i in nearest]
        for weight, i in zip(weights, nearest, strict=True):
            scores[row] += weight / sum(weights) * labels[i]
    return scores


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 9), st.sampled_from([0.05, 0.3, 2.0]))
def test_equals_brute_force(seed: int, k: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(9, 5)), rng.normal(size=(6, 5))
    labels = rng.integers(0, 2, (9, 4))
    found = multilabel_scores(torch.from_numpy(train), torch.from_numpy(labels), torch.from_numpy(test), k, temperature)
    np.testing.assert_allclose(found.numpy(), brute_force(train, labels, test, k, temperature), atol=1e-12)


def test_many_queries_are_chunked_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = torch.randn(20, 3, generator=generator), torch.randn(11, 3, generator=generator)
    labels = torch.randint(0, 2, (20, 2), generator=generator)
    whole = multilabel_scores(train, labels, test, 5, 0.1)
    monkeypatch.setattr("scenebench.knn._CHUNK", 4)
    torch.testing.assert_close(multilabel_scores(train, labels, test, 5, 0.1), whole, rtol=0, atol=1e-12)


def test_scores_ignore_the_length_of_features_and_stay_in_range() -> None:
    generator = torch.Generator().manual_seed(1)
    train, test = torch.randn(8, 3, generator=generator), torch.randn(4, 3, generator=generator)
    labels = torch.randint(0, 2, (8, 3), generator=generator)
    scores = multilabel_scores(train, labels, test, 8, 0.07)
    torch.testing.assert_close(scores, multilabel_scores(train * 1e3, labels, test * 1e-3, 8, 0.07), rtol=0, atol=1e-6)
    assert bool(((scores >= 0) & (scores <= 1 + 1e-12)).all())
    assert scores.dtype == torch.float64


def test_a_zero_feature_is_no_nan() -> None:
    scores = multilabel_scores(torch.eye(3), torch.eye(3), torch.zeros(1, 3), 3, 0.1)
    torch.testing.assert_close(scores, torch.full((1, 3), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("k", [0, 4])
def test_k_must_fit(k: int) -> None:
    with pytest.raises(ValueError, match="k ="):
        multilabel_scores(torch.eye(3), torch.eye(3), torch.eye(3), k, 0.1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12))
def test_votes_against_brute_force(seed: int, images: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    k = min(k, images)
    train, test = rng.normal(size=(images, 5)), rng.normal(size=(4, 5))
    labels = rng.integers(0, 3, images)
    expected = np.zeros((4, 3))
    for row, query in enumerate(test):
        cosine = [vector @ query / np.linalg.norm(vector) / np.linalg.norm(query) for vector in train]
        closest = sorted(range(images), key=lambda i: -cosine[i])[:k]
        for index in closest:
            expected[row, labels[index]] += np.exp((cosine[index] - cosine[closest[0]]) / 0.07)
    similarity, indices = nearest_neighbours(torch.from_numpy(train), torch.from_numpy(test), k)
    votes = class_votes(similarity, torch.from_numpy(labels)[indices], 3, 0.07)
    np.testing.assert_allclose(votes.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert bool((similarity.diff(dim=1) <= 0).all())


def test_chunks_change_nothing() -> None:
    features = torch.randn(2500, 6, generator=torch.Generator().manual_seed(0))
    similarity, indices = nearest_neighbours(features, features, 2)
    assert indices[:, 0].tolist() == list(range(2500))
    torch.testing.assert_close(similarity[:, 0], torch.ones(2500))
    with pytest.raises(ValueError, match="k = 3 with 2"):
        nearest_neighbours(features[:2], features, 3)
