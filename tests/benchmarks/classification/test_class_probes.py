"""Linear classifiers on stored features with one class an image, and the store itself."""

import logging
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from benchmarks.classification.linear_grid import fit_grid, grid_scores, standardise_
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.frozen.feature_cache import cache_folder, cached, key_of
from benchmarks.protocols.classification import LinearGridSettings


def reference(features: torch.Tensor, labels: torch.Tensor, rate: float, settings: LinearGridSettings) -> torch.Tensor:
    """One learning rate alone, by PyTorch's own SGD, scheduler and autograd."""
    linear = torch.nn.Linear(features.shape[1], 4)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    groups = [{"params": [linear.weight], "weight_decay": settings.weight_decay}, {"params": [linear.bias]}]
    optimiser = torch.optim.SGD(groups, lr=rate, momentum=0.9)
    batches = -(-len(features) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs * batches)
    generator = torch.Generator().manual_seed(9)
    for _ in range(settings.epochs):
        for indices in torch.randperm(len(features), generator=generator).split(settings.batch_size):
            optimiser.zero_grad()
            functional.cross_entropy(linear(features[indices]), labels[indices]).backward()
            optimiser.step()
            schedule.step()
    return torch.cat([linear.weight.detach().T, linear.bias.detach()[None]])


def test_the_grid_equals_one_training_for_each_rate() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (70,), generator=generator)
    features = torch.randn(70, 6, generator=generator) + functional.one_hot(labels, 6)
    settings = LinearGridSettings(learning_rates=[0.01, 0.1, 1.0], epochs=4, batch_size=16, weight_decay=1e-3)
    weights = fit_grid(features, labels, 4, settings, seed=9)
    assert weights.shape == (3, 7, 4)
    for rate, weight in zip(settings.learning_rates, weights, strict=True):
        torch.testing.assert_close(weight, reference(features, labels, rate, settings), rtol=1e-3, atol=1e-5)
    assert torch.equal(weights, fit_grid(features, labels, 4, settings, seed=9))
    assert top_k_accuracy(grid_scores(features, weights[1]), labels, 1) > 40


def test_rows_are_those_that_train() -> None:
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(30, 4, generator=generator), torch.arange(30) % 3
    settings, rows = LinearGridSettings(learning_rates=[0.1], epochs=2, batch_size=7), torch.arange(3, 25)
    chosen = fit_grid(features, labels, 3, settings, seed=1, rows=rows)
    assert torch.equal(chosen, fit_grid(features[rows], labels[rows], 3, settings, seed=1))


def test_standardising_in_place_by_chunks() -> None:
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randn(count, 3, generator=generator) * 5 + 2 for count in (9000, 10))
    train[:, 2] = 7.0
    expected = (test[:, :2] - train[:, :2].double().mean(dim=0)) / train[:, :2].double().std(dim=0, unbiased=False)
    standardise_(train, test)
    torch.testing.assert_close(train[:, :2].double().mean(dim=0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(test[:, :2].double(), expected, atol=1e-5, rtol=1e-5)
    assert not bool(train[:, 2].any())


def test_a_rate_that_diverges_harms_no_other() -> None:
    features, labels = torch.eye(8).repeat(2, 1) * 30, torch.arange(8).repeat(2)
    both = LinearGridSettings(learning_rates=[1e38, 0.01], epochs=3, batch_size=4)
    alone = LinearGridSettings(learning_rates=[0.01], epochs=3, batch_size=4)
    weights = fit_grid(features, labels, 8, both, seed=0)
    assert not bool(torch.isfinite(weights[0]).all())
    torch.testing.assert_close(weights[1], fit_grid(features, labels, 8, alone, seed=0)[0])


def test_the_store_keeps_bits_and_survives_damage(feature_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = torch.randn(3, 5)
    calls = []

    def compute() -> torch.Tensor:
        calls.append(1)
        return features

    key = key_of(backbone="abc", size=3)
    assert key != key_of(backbone="abc", size=4)
    assert torch.equal(cached(key, 3, compute), features)
    assert torch.equal(cached(key, 3, compute), features)
    assert len(calls) == 1
    (path,) = feature_cache.iterdir()
    path.write_bytes(path.read_bytes()[:40])
    caplog.set_level(logging.INFO, logger="scenebench")
    assert torch.equal(cached(key, 3, compute), features)
    assert "computed again" in caplog.text
    assert torch.equal(cached(key, 3, compute), features)
    assert len(calls) == 2


def test_where_features_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCENEBENCH_FEATURES", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("SCENEBENCH_FEATURES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "scenebench/features"


def test_a_user_without_a_home_keeps_no_features(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    for name in ("SCENEBENCH_FEATURES", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.INFO, logger="scenebench")
    assert cache_folder() is None
    assert torch.equal(cached("key", 2, lambda: torch.ones(2, 2)), torch.ones(2, 2))
    assert "features are not kept: there is no home folder; name one with SCENEBENCH_FEATURES" in caplog.text


def test_a_home_that_cannot_be_looked_into_is_done_without(
    feature_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOME=/root of a container that runs as somebody else."""

    def forbidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", forbidden)
    assert torch.equal(cached("key", 2, lambda: torch.ones(2, 2)), torch.ones(2, 2))


def test_a_store_that_cannot_be_written_is_done_without(feature_cache: Path) -> None:
    feature_cache.write_text("a file in the way")
    assert torch.equal(cached("key", 2, lambda: torch.ones(2, 2)), torch.ones(2, 2))
    assert feature_cache.read_text() == "a file in the way"
