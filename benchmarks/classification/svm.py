"""Linear SVMs on frozen features, as published for VOC07: on all training images, and on a few a class.

Goyal et al., ICCV 2019, as their released scripts and their copies do it: features divided by (length + 1e-5);
one LinearSVC a class (L2, squared hinge, dual, class weights 2 : 1, at most 2,000 iterations); costs by 3-fold
cross-validated average precision, a class at a time. In the full set an image with only difficult objects of a class is
a negative of it; a low-shot draw takes k clear positives and (classes - 1) * k clear negatives of each class.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from benchmarks.protocols.classification import SVMSettings
from scenebench.errors import UserError
from scenebench.mean_average_precision import DIFFICULT, NEGATIVE, POSITIVE, mean_average_precision
from scenebench.progress import Progress

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]


def normalise(features: Floats) -> Floats:
    """Rows divided by their length plus 1e-5, float64."""
    values = features.astype(np.float64)
    lengths: Floats = np.linalg.norm(values, axis=1, keepdims=True)
    return values / (lengths + 1e-5)


def fit_svm(features: Floats, targets: Labels, cost: float, settings: SVMSettings, seed: int = 0) -> LinearSVC:
    """One SVM; ``targets`` are +1 and -1. The seed orders the coordinate descent."""
    with warnings.catch_warnings():
        # The published limit of iterations is part of the protocol; that it is met is no news at high costs.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _svm(cost, settings, seed).fit(features, targets)


def choose_cost(features: Floats, targets: Labels, settings: SVMSettings, seed: int = 0) -> float:
    """The cost with the best mean cross-validated average precision; of equal ones the first."""
    values = []
    for cost in settings.costs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm = _svm(cost, settings, seed)
            folds = cross_val_score(svm, features, targets, cv=settings.folds, scoring="average_precision")
        values.append(float(np.mean(folds)))
    return settings.costs[int(np.argmax(values))]


def score_svms(
    train: Floats, labels: Labels, test: Floats, classes: list[str], settings: SVMSettings, seed: int
) -> tuple[Floats, list[float]]:
    """Decision values of one SVM a class, each at its cross-validated cost.

    Args:
        train, test: features, already :func:`normalise`-d.
        labels: 1, 0, -1 (difficult, here a negative).

    Returns:
        float64, tests x classes, and the chosen costs.

    Raises:
        UserError: a class with fewer positives than folds.
    """
    progress = Progress(len(classes), "SVMs")
    scores, costs = np.empty((len(test), len(classes))), []
    for column, name in enumerate(classes):
        targets = np.where(labels[:, column] == POSITIVE, 1, -1).astype(np.int8)
        fewest = min(int((targets == 1).sum()), int((targets == -1).sum()))
        if fewest < settings.folds:
            raise UserError(
                f"class '{name}': {fewest} training images on one side, too few for {settings.folds} folds; "
                "give the whole data set, or lower settings.svm.folds"
            )
        costs.append(choose_cost(train, targets, settings, seed))
        scores[:, column] = fit_svm(train, targets, costs[-1], settings, seed).decision_function(test)
        progress.advance()
    return scores, costs


def draw_low_shot(labels: Labels, k: int, sample: int, seed: int, classes: list[str]) -> Labels:
    """A draw of ``k`` positives and (classes - 1) * ``k`` negatives a class; every other entry is -1.

    Equal arguments, equal draw; ``sample`` makes it another. Where there are fewer clear negatives, all are taken.

    Raises:
        UserError: a class has fewer than ``k`` clear positives, or no clear negative.
    """
    rng = np.random.default_rng([seed, sample, k])
    drawn = np.full(labels.shape, DIFFICULT, dtype=np.int8)
    for column, name in enumerate(classes):
        positives, negatives = (np.flatnonzero(labels[:, column] == value) for value in (POSITIVE, NEGATIVE))
        if len(positives) < k or not len(negatives):
            raise UserError(
                f"class '{name}': {len(positives)} clear positives and {len(negatives)} negatives, too few for k = {k};"
                " give the whole data set, or fewer settings.svm.shots"
            )
        drawn[rng.choice(positives, k, replace=False), column] = POSITIVE
        wanted = min((labels.shape[1] - 1) * k, len(negatives))
        drawn[rng.choice(negatives, wanted, replace=False), column] = NEGATIVE
    return drawn


def low_shot_map(
    train: Floats,
    labels: Labels,
    test: Floats,
    test_labels: Labels,
    classes: list[str],
    settings: SVMSettings,
    rule: str,
    seed: int,
) -> dict[int, list[float]]:
    """Test mAP by k, one value a sample, each at its best cost *on the test images*, as the released scripts do."""
    results: dict[int, list[float]] = {}
    progress = Progress(len(settings.shots) * settings.samples, "low-shot draws")
    for k in settings.shots:
        results[k] = []
        for sample in range(settings.samples):
            drawn = draw_low_shot(labels, k, sample, seed, classes)
            by_cost = [_low_shot_scores(train, drawn, test, cost, settings, seed) for cost in settings.costs]
            values = [mean_average_precision(test_labels, scores, rule)[0] for scores in by_cost]
            defined = [value for value in values if value is not None]
            if not defined:
                raise UserError("the test images hold none of the classes")
            results[k].append(max(defined))
            progress.advance()
        logging.getLogger("scenebench").info("k = %d: mAP %s", k, " ".join(f"{value:.2f}" for value in results[k]))
    return results


def _low_shot_scores(
    train: Floats, drawn: Labels, test: Floats, cost: float, settings: SVMSettings, seed: int
) -> Floats:
    scores = np.empty((len(test), drawn.shape[1]))
    for column in range(drawn.shape[1]):
        taken = drawn[:, column] != DIFFICULT
        targets = np.where(drawn[taken, column] == POSITIVE, 1, -1).astype(np.int8)
        scores[:, column] = fit_svm(train[taken], targets, cost, settings, seed).decision_function(test)
    return scores


def _svm(cost: float, settings: SVMSettings, seed: int) -> LinearSVC:
    return LinearSVC(
        C=cost,
        class_weight={1: settings.positive_weight, -1: 1.0},
        penalty="l2",
        loss="squared_hinge",
        dual=True,
        tol=1e-4,
        intercept_scaling=1.0,
        max_iter=settings.max_iterations,
        random_state=seed,
    )
