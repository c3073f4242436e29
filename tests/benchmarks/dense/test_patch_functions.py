"""Patches, votes, the score of segmentation and softmax regression, each against a slow oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from benchmarks.dense.patch_labels import patch_histograms
from benchmarks.dense.patch_neighbours import any_patches, neighbours_vote, rare_patches
from benchmarks.dense.segmentation_accuracy import confusion, predicted_map, segmentation_metrics
from benchmarks.frozen.softmax import fit_softmax_path


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (16, 9), (3, 3)])
def test_histograms_count_every_pixel_that_is_labelled_once(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 255], shape).astype(np.uint8)
    rows, columns = 4, 3
    wanted = np.zeros((rows, columns, 3))
    for y in range(shape[0]):
        for x in range(shape[1]):
            row = min(int((y + 0.5) / shape[0] * rows), rows - 1)
            column = min(int((x + 0.5) / shape[1] * columns), columns - 1)
            if labels[y, x] != 255:
                wanted[row, column, labels[y, x]] += 1
    found = patch_histograms(labels, rows, columns, 3)
    np.testing.assert_array_equal(found.numpy(), wanted)
    assert found.sum() == (labels != 255).sum()


def test_votes_equal_the_oracle() -> None:
    generator = torch.Generator().manual_seed(0)
    memory, queries = torch.randn(40, 5, generator=generator), torch.randn(9, 5, generator=generator)
    labels = torch.rand(40, 3, generator=generator)
    labels /= labels.sum(dim=1, keepdim=True)
    found = neighbours_vote(memory, labels, queries, 6, 0.02)
    for row, query in enumerate(queries.double()):
        cosines = [float(query @ key / (query.norm() * key.norm())) for key in memory.double()]
        nearest = sorted(range(40), key=lambda i: -cosines[i])[:6]
        weights = [math.exp((cosines[i] - cosines[nearest[0]]) / 0.02) for i in nearest]
        wanted = sum(w * labels[i].double() for w, i in zip(weights, nearest, strict=True)) / sum(weights)
        torch.testing.assert_close(found[row].double(), wanted, atol=1e-5, rtol=1e-4)


def test_the_memory_leaves_ignored_patches_out_and_favours_rare_classes() -> None:
    histograms = torch.zeros(100, 2)
    histograms[:90, 0] = 4  # common
    histograms[90:95, 1] = 4  # rare; the last five are ignored pixels alone
    taken = [rare_patches(histograms, 10, torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert all(len(own) == 10 and int(own.max()) < 95 for own in taken)
    share = sum(int((own >= 90).sum()) for own in taken) / (50 * 5)
    plain = [any_patches(histograms, 10, torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert all(len(own) == 10 and int(own.max()) < 95 for own in plain)
    assert share > 0.9 > 0.3 > sum(int((own >= 90).sum()) for own in plain) / (50 * 5)
    assert len(rare_patches(histograms, 1000, torch.Generator())) == 95
    again = rare_patches(histograms, 10, torch.Generator().manual_seed(0))
    assert again.tolist() == taken[0].tolist()


def test_scores_are_upsampled_to_the_map_before_the_best_is_taken() -> None:
    """One row of two cells: class 1 wins from where the interpolated scores cross, not at the border of the cells."""
    scores = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]]])
    predicted = predicted_map(scores, 2, 8)
    at = (np.arange(8) + 0.5) / 4 - 0.5  # of each pixel in cells
    weight = np.clip(at, 0, 1)
    np.testing.assert_array_equal(predicted, np.tile((3 * weight > 1 - weight).astype(int), (2, 1)))


def test_intersection_over_union_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [255, 0, 1, 255]], dtype=np.uint8)
    predicted = np.array([[0, 1, 1, 1], [2, 0, 0, 1]])
    matrix = confusion(truth, predicted, 4)
    assert matrix.sum() == 6
    metrics, per_class = segmentation_metrics(matrix, ["ground", "a", "b", "c"])
    assert per_class["ground"]["IoU"] == pytest.approx(50.0)  # 2 of 3 + 3 - 2
    assert per_class["a"]["IoU"] == pytest.approx(50.0)
    assert per_class["b"] == {"IoU": None, "accuracy": None}  # predicted on ignored pixels alone
    assert metrics["dense_mIoU"] == pytest.approx(50.0)
    assert metrics["dense_aAcc"] == pytest.approx(100 * 4 / 6)


def test_softmax_regression_is_scikit_learns_optimum() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(90, 4, generator=generator, dtype=torch.float64)
    labels = (features[:, 0] > 0).long() + (features[:, 1] + 0.5 * torch.randn(90, generator=generator) > 0).long()
    targets = functional.one_hot(labels, 3)
    strengths = [1.0, 0.03]
    for strength, probe in zip(strengths, fit_softmax_path(features, targets, strengths, 500), strict=True):
        sklearn = LogisticRegression(C=1 / (90 * strength), tol=1e-10, max_iter=5000).fit(features, labels)
        found = probe(features).softmax(dim=1).numpy()
        np.testing.assert_allclose(found, sklearn.predict_proba(features.numpy()), atol=1e-4)


def test_a_share_of_each_class_counts_as_so_many_rows() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.75, 0.25]]).repeat(5, 1)
    (mixed,) = fit_softmax_path(features, shares, [0.1], 500)
    rows = torch.cat([features.repeat_interleave(4, dim=0)])
    hard = torch.cat(
        [functional.one_hot(torch.tensor([0] * int(4 * s) + [1] * int(4 * (1 - s))), 2) for s in shares[:, 0]]
    )
    (plain,) = fit_softmax_path(rows, hard, [0.1], 500)
    torch.testing.assert_close(mixed.weight, plain.weight, atol=1e-5, rtol=1e-4)
