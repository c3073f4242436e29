"""How long kNN and the linear probe take on stored features: ``python -m benchmarks.classification.speed``.

The features are made up (clusters with noise); neither probe's time depends on what they hold.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmarks.classification.linear import Standardisation
from benchmarks.classification.linear_grid import fit_grid, grid_scores
from benchmarks.classification.neighbours import class_votes, nearest
from benchmarks.classification.settings import KNNSettings, LinearGridSettings
from benchmarks.classification.top_k import top_k_accuracy
from scenebench.errors import UserError

_SMALLEST = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both probes and print their seconds; 1 where they take longer than the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classification.speed", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="training images, and as many tests (10000)")
    parser.add_argument("--width", type=int, default=2048, help="numbers a feature (2048)")
    parser.add_argument("--classes", type=int, default=100, help="classes (100)")
    parser.add_argument("--target", type=float, default=60.0, help="seconds for both together (60)")
    options = parser.parse_args(arguments)
    if options.images < _SMALLEST:
        raise UserError(f"--images: {options.images} is below {_SMALLEST}")
    train, train_labels = _made_up(options.images, options.width, options.classes, seed=0)
    test, labels = _made_up(options.images, options.width, options.classes, seed=1)
    knn = _timed(lambda: _knn(train, train_labels, test, options.classes))
    linear = _timed(lambda: _linear(train, train_labels, test, options.classes))
    rates = len(LinearGridSettings().learning_rates)
    for name, (seconds, busy, scores) in (("kNN", knn), (f"linear ({rates} learning rates)", linear)):
        accuracy = top_k_accuracy(scores, labels, 1)
        print(f"{name:27} {seconds:8.2f} s   {busy:8.2f} s of processor time   top-1 {accuracy:.1f}")
    total = knn[0] + linear[0]
    shape = f"{options.images} x {options.width}, {torch.get_num_threads()} threads"
    print(f"{'both':27} {total:8.2f} s   target {options.target:g} s; {shape}")
    return 0 if total <= options.target else 1


def _made_up(images: int, width: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (images,), generator=generator)
    return 0.15 * centres[labels] + torch.randn(images, width, generator=generator), labels


def _knn(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    settings = KNNSettings()
    similarity, indices = nearest(train, test, settings.k)
    return class_votes(similarity, labels[indices], classes, settings.temperature)


def _linear(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    settings = LinearGridSettings(batch_size=1024)
    standardise = Standardisation.of(train)
    weights = fit_grid(standardise(train).float(), labels, classes, settings, seed=0)
    return grid_scores(standardise(test).float(), weights[len(weights) // 2])


def _timed(action: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    start, busy = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - start, time.process_time() - busy, result


if __name__ == "__main__":
    raise SystemExit(main())
