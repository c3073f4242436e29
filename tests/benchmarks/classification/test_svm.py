import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from benchmarks.classification.svm import choose_cost, draw_low_shot, low_shot_map, normalise, score_svms
from benchmarks.protocols.classification import SVMSettings
from scenebench.errors import UserError
from scenebench.mean_average_precision import mean_average_precision

CLASSES = ["cat", "dog", "cow"]
SETTINGS = SVMSettings(costs=[0.01, 0.3, 3.0], shots=[1, 4], samples=3)


def make_data(images: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that tell the classes apart somewhat; some entries difficult."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, len(CLASSES))) < 0.3).astype(np.int8)
    directions = np.random.default_rng(42).normal(size=(len(CLASSES), 12))
    features = rng.normal(size=(images, 12)) + labels @ directions
    labels[rng.random(labels.shape) < 0.05] = -1
    return normalise(features), labels


def test_features_are_divided_by_their_length_plus_a_little() -> None:
    features = np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(normalise(features), [[3 / 5.00001, 4 / 5.00001], [0, 0]], rtol=1e-12)


def test_scores_are_those_of_scikit_learn() -> None:
    """By hand: folds, costs, class weights; a difficult image trains as a negative."""
    train, labels = make_data()
    test, _ = make_data(40, seed=1)
    scores, costs = score_svms(train, labels, test, CLASSES, SETTINGS, seed=5)
    for column, cost in enumerate(costs):
        targets = np.where(labels[:, column] == 1, 1, -1)
        by_cost = []
        for candidate in SETTINGS.costs:
            folds = []
            for inside, outside in StratifiedKFold(3).split(train, targets):
                decision = direct(candidate).fit(train[inside], targets[inside]).decision_function(train[outside])
                value, _ = mean_average_precision((targets[outside, None] == 1).astype(np.int8), decision[:, None])
                folds.append(value)
            by_cost.append(np.mean(folds))
        assert cost == SETTINGS.costs[int(np.argmax(by_cost))]
        expected = direct(cost).fit(train, targets).decision_function(test)
        np.testing.assert_array_equal(scores[:, column], expected)
    np.testing.assert_array_equal(scores, score_svms(train, labels, test, CLASSES, SETTINGS, seed=5)[0])


def direct(cost: float) -> LinearSVC:
    weights = {1: 2.0, -1: 1.0}
    return LinearSVC(C=cost, class_weight=weights, loss="squared_hinge", dual=True, max_iter=2000, random_state=5)


def test_equal_costs_take_the_first() -> None:
    train, labels = make_data()
    targets = np.where(labels[:, 0] == 1, 1, -1).astype(np.int8)
    assert choose_cost(train, targets, SVMSettings(costs=[1.0, 1.0])) == 1.0


def test_a_draw_is_class_complete_and_comes_again() -> None:
    _, labels = make_data()
    for k in (1, 2, 8):
        drawn = draw_low_shot(labels, k, 0, 7, CLASSES)
        assert ((drawn == 1).sum(axis=0) == k).all()
        assert ((drawn == 0).sum(axis=0) == 2 * k).all()
        assert (labels[drawn == 1] == 1).all()
        assert (labels[drawn == 0] == 0).all()
        np.testing.assert_array_equal(drawn, draw_low_shot(labels, k, 0, 7, CLASSES))
        assert (drawn != draw_low_shot(labels, k, 1, 7, CLASSES)).any()
        assert (drawn != draw_low_shot(labels, k, 0, 8, CLASSES)).any()


def test_low_shot_takes_each_draws_best_cost() -> None:
    train, labels = make_data()
    test, test_labels = make_data(60, seed=2)
    values = low_shot_map(train, labels, test, test_labels, CLASSES, SETTINGS, "area", seed=0)
    assert {k: len(found) for k, found in values.items()} == {1: 3, 4: 3}
    drawn = draw_low_shot(labels, 4, 2, 0, CLASSES)
    best = []
    for cost in SETTINGS.costs:
        scores = np.empty((60, 3))
        for column in range(3):
            taken = drawn[:, column] != -1
            targets = np.where(drawn[taken, column] == 1, 1, -1)
            scores[:, column] = (
                direct(cost).set_params(random_state=0).fit(train[taken], targets).decision_function(test)
            )
        best.append(mean_average_precision(test_labels, scores, "area")[0])
    assert values[4][2] == max(best)
    assert np.mean(values[4]) > np.mean(values[1])


def test_too_few_images_of_a_class_are_named() -> None:
    train, labels = make_data()
    labels[:, 1] = 0
    labels[:2, 1] = 1
    with pytest.raises(UserError, match="class 'dog': 2 training images on one side, too few for 3 folds"):
        score_svms(train, labels, train, CLASSES, SETTINGS, 0)
    with pytest.raises(UserError, match=r"class 'dog': 2 clear positives .* too few for k = 4"):
        draw_low_shot(labels, 4, 0, 0, CLASSES)
