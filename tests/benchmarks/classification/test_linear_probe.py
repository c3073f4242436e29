import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.frozen.linear import Standardisation, fit_path


def make_problem(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 6)) * rng.uniform(0.1, 10, 6) + rng.normal(size=6)
    truth = features @ rng.normal(size=(6, 3)) / 10 + rng.normal(size=(60, 3))
    return torch.from_numpy(features), torch.from_numpy((truth > 0.2).astype(np.uint8))


@pytest.mark.parametrize("l2", [1.0, 0.05, 0.003])
def test_equals_scikit_learn(l2: float) -> None:
    raw, labels = make_problem(0)
    features = Standardisation.of(raw)(raw)
    (probe,) = fit_path(features, labels, [l2], 500)
    for category in range(3):
        reference = LogisticRegression(C=1 / (len(raw) * l2), tol=1e-10, max_iter=5000)
        reference.fit(features.numpy(), labels[:, category].numpy())
        np.testing.assert_allclose(probe.weight[:, category].numpy(), reference.coef_[0], atol=2e-4)
        np.testing.assert_allclose(float(probe.bias[category]), reference.intercept_[0], atol=2e-4)


def test_the_gradient_vanishes_and_the_path_does_not_matter() -> None:
    raw, labels = make_problem(1)
    features = Standardisation.of(raw)(raw)
    path = list(fit_path(features, labels, [1.0, 0.1, 0.01], 500))
    (alone,) = fit_path(features, labels, [0.01], 500)
    torch.testing.assert_close(path[-1].weight, alone.weight, rtol=0, atol=1e-4)
    errors = torch.sigmoid(alone(features)) - labels.double()
    gradient = features.T @ errors / len(features) + 0.01 * alone.weight
    assert float(gradient.abs().max()) < 1e-5
    assert float(errors.mean(dim=0).abs().max()) < 1e-5  # the bias is free


def test_fitting_twice_is_equal_to_the_bit() -> None:
    raw, labels = make_problem(2)
    features = Standardisation.of(raw)(raw)
    first, second = (next(iter(fit_path(features, labels, [0.1], 50))) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


def test_a_category_without_positives_does_not_disturb_the_others() -> None:
    raw, labels = make_problem(3)
    features = Standardisation.of(raw)(raw)
    labels[:, 1] = 0
    (probe,) = fit_path(features, labels, [0.1], 500)
    (alone,) = fit_path(features, labels[:, :1], [0.1], 500)
    assert bool(torch.isfinite(probe.weight).all())
    torch.testing.assert_close(probe.weight[:, :1], alone.weight, rtol=0, atol=1e-4)


def test_standardisation_uses_the_training_statistics_and_survives_constants() -> None:
    train = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    standardise = Standardisation.of(train)
    torch.testing.assert_close(standardise(train), torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
    assert standardise(torch.tensor([[5.0, 9.0]])).tolist() == [[3.0, 0.0]]
