"""Every strength of scenes does what it says, measured from what is drawn; at 0 there is nothing to measure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scene_statistics import binned, hue_distance, hue_of, layouts, tells
from scipy.stats import kstest
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.datasets.scene_draws import exact_power
from benchmarks.datasets.scene_layout import TEXTURE_AMOUNT, category_probabilities
from benchmarks.datasets.scene_looks import BY_FREQUENCY, CATEGORY_LOOKS, HUE_SPREAD, SURROUNDINGS, Tint
from benchmarks.datasets.scene_parts import (
    BACKGROUNDS,
    CATEGORIES,
    TEXTURES,
    Colour,
    Scene,
    SceneObject,
    scene_type_of,
)
from benchmarks.datasets.scenes import TIES, ScenesSpec, render_scene

NO_TIES = dict.fromkeys(TIES, 0.0)
SHAPE_ALONE = ScenesSpec(**NO_TIES)
COUNT = 1500


def only(**strengths: float) -> ScenesSpec:
    """Scenes with these ties alone, categories equally frequent."""
    return ScenesSpec(**(NO_TIES | {"tail": 0.0} | strengths))


def objects_of(scenes: list[Scene]) -> list[SceneObject]:
    return [item for scene in scenes for item in scene.objects]


def within(share: float, expected: float, count: int, slack: float = 0.0) -> bool:
    """Within four binomial standard errors."""
    return abs(share - expected) <= 4 * math.sqrt(max(expected * (1 - expected), 0.0) / count) + slack


def in_tint(colour: Colour, tint: Tint) -> bool:
    value, saturation = max(colour), 1 - min(colour) / max(colour)
    near = hue_distance(hue_of(colour), tint.hue) <= tint.spread + 1e-6 or saturation < 1e-3
    ranges = ((value, tint.value), (saturation, tint.saturation))
    return near and all(low - 1e-6 <= number <= high + 1e-6 for number, (low, high) in ranges)


# --- each strength alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.0, 0.4, 0.8, 1.0])
def test_texture_is_kept_as_often_as_stated(strength: float) -> None:
    """p + (1 - p) / 10 of the objects have their category's pattern; those of any other are of any direction."""
    objects = objects_of(layouts(COUNT, only(texture=strength)))
    own = [item.look.pattern == CATEGORY_LOOKS[CATEGORIES[item.category]].pattern for item in objects]
    assert within(np.mean(own), strength + (1 - strength) / len(TEXTURES), len(objects))
    assert all(TEXTURE_AMOUNT[0] <= item.look.amount <= TEXTURE_AMOUNT[1] for item in objects)


def test_a_kept_texture_varies_around_its_category() -> None:
    objects = objects_of(layouts(COUNT, only(texture=1.0)))
    looks = [CATEGORY_LOOKS[CATEGORIES[item.category]] for item in objects]
    ratios = np.array([item.look.frequency / look.frequency for item, look in zip(objects, looks, strict=True)])
    assert ratios.min() >= 0.8
    assert ratios.max() <= 1.25
    assert ratios.std() > 0.1
    turns = [
        abs(math.remainder(math.atan2(*reversed(item.look.direction)) - math.atan(look.direction), math.pi))
        for item, look in zip(objects, looks, strict=True)
    ]
    assert 0.1 < np.mean(turns) < max(turns) < 0.36


@pytest.mark.parametrize("strength", [0.0, 0.4, 0.7, 1.0])
def test_palette_is_kept_as_often_as_stated(strength: float) -> None:
    """Any hue lies within .45 of 6 of the category's with probability .15. (Contrast to the background: slack.)"""
    objects = objects_of(layouts(COUNT, only(palette=strength)))
    own = [
        hue_distance(hue_of(item.look.first), CATEGORY_LOOKS[CATEGORIES[item.category]].first.hue) <= HUE_SPREAD + 1e-6
        for item in objects
    ]
    assert within(np.mean(own), strength + (1 - strength) * 2 * HUE_SPREAD / 6, len(objects), slack=0.01)


def test_a_kept_palette_is_never_broken_for_contrast_and_varies() -> None:
    """Also before surroundings of the same hue: value and saturation give way, within their ranges."""
    objects = objects_of(layouts(COUNT, only(palette=1.0, surroundings=1.0)))
    for item in objects:
        look = CATEGORY_LOOKS[CATEGORIES[item.category]]
        assert in_tint(item.look.first, look.first)
        assert in_tint(item.look.second, look.second)
    offsets = [hue_distance(hue_of(o.look.first), CATEGORY_LOOKS[CATEGORIES[o.category]].first.hue) for o in objects]
    assert np.mean(offsets) == pytest.approx(HUE_SPREAD / 2, abs=0.03)


@pytest.mark.parametrize("strengths", [{}, {"palette": 1.0, "surroundings": 1.0}, {"palette": 1.0}])
def test_objects_stand_out_from_the_background(strengths: dict[str, float]) -> None:
    def contrast(scene: Scene, item: SceneObject) -> float:
        look = scene.background
        ends = np.array([look.first, np.array(look.first) + look.amount * np.subtract(look.second, look.first)])
        return float(np.abs(ends - item.look.first).max(axis=1).min())

    scenes = layouts(COUNT, only(**strengths))
    contrasts = [contrast(scene, item) for scene in scenes for item in scene.objects]
    assert np.mean(np.array(contrasts) >= 0.45) > 0.75
    assert np.quantile(contrasts, 0.01) > 0.25
    patterned = [np.abs(np.subtract(item.look.first, item.look.second)).max() for item in objects_of(scenes)]
    assert np.mean(np.array(patterned) >= 0.3) > 0.9


@pytest.mark.parametrize("strength", [0.0, 0.7, 1.0])
def test_surroundings_are_kept_as_often_as_stated(strength: float) -> None:
    def keeps(scene: Scene) -> bool:
        own = SURROUNDINGS[BACKGROUNDS[scene.scene_type]]
        return in_tint(scene.background.first, own.first) and in_tint(scene.background.second, own.second)

    scenes = layouts(COUNT, only(surroundings=strength))
    by_chance = np.mean([keeps(scene) for scene in layouts(COUNT, only())])
    assert by_chance < 0.02
    assert within(np.mean([keeps(scene) for scene in scenes]), strength + (1 - strength) * by_chance, COUNT, 0.002)
    assert all(scene.background.pattern == BACKGROUNDS[scene.scene_type] for scene in scenes)
    assert {scene.scene_type for scene in scenes} == set(range(len(BACKGROUNDS)))


@pytest.mark.parametrize("tail", [0.0, 1.0])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_cooccurrence_has_the_stated_strength(strength: float, tail: float) -> None:
    scenes = layouts(COUNT, only(cooccurrence=strength, tail=tail))
    for scene_type in range(len(BACKGROUNDS)):
        assert sum(category_probabilities(scene_type, strength, tail)) == pytest.approx(1.0)
        own = [
            scene_type_of(item.category) == scene_type
            for scene in scenes
            if scene.scene_type == scene_type
            for item in scene.objects
        ]
        weights = {c: (1 + BY_FREQUENCY.index(name)) ** -tail for c, name in enumerate(CATEGORIES)}
        share = sum(w for c, w in weights.items() if scene_type_of(c) == scene_type) / sum(weights.values())
        assert within(np.mean(own), strength + (1 - strength) * share, len(own))


@pytest.mark.parametrize(("tail", "cooccurrence"), [(0.0, 0.3), (0.5, 0.3), (1.0, 0.0), (1.0, 1.0)])
def test_categories_are_as_frequent_as_their_rank_says(tail: float, cooccurrence: float) -> None:
    scenes = layouts(2 * COUNT, only(tail=tail, cooccurrence=cooccurrence))
    counts = np.bincount([item.category for item in objects_of(scenes)], minlength=len(CATEGORIES))
    weights = np.arange(1, 19) ** -tail
    for rank, name in enumerate(BY_FREQUENCY):
        expected = weights[rank] / weights.sum()
        # Objects of one scene belong together where categories co-occur: the error is that of scenes, not of objects.
        assert within(counts[CATEGORIES.index(name)] / counts.sum(), expected, len(scenes)), name


def test_every_category_appears_in_a_small_test_split() -> None:
    spec = ScenesSpec(images=600)
    scenes = [render_scene(ScenesSpec(images=600, size=32), index) for index in spec.splits["test"]]
    counts = np.bincount([category for scene in scenes for category in scene.categories], minlength=len(CATEGORIES))
    assert len(scenes) == 120
    assert counts.min() >= 4


@pytest.mark.parametrize(("low", "high"), [(0.14, 0.36), (0.05, 0.4), (0.2, 0.2)])
def test_radii_are_log_uniform(low: float, high: float) -> None:
    spec = only() if (low, high) == (0.14, 0.36) else ScenesSpec(**NO_TIES, scale_min=low, scale_max=high)
    radii = np.array([item.radius for item in objects_of(layouts(COUNT, spec))])
    assert radii.min() >= low
    assert radii.max() <= high
    if low < high:
        assert kstest(np.log(radii / low) / np.log(high / low), "uniform").pvalue > 1e-3
        assert np.median(radii) == pytest.approx(math.sqrt(low * high), rel=0.05)


def test_exact_power_is_a_power() -> None:
    for base, exponent in ((2.0, 0.5), (18.0, -0.5), (0.34 / 0.09, 1 / 64), (7.0, 0.0), (1.0, -2.0)):
        assert exact_power(base, exponent) == pytest.approx(base**exponent, rel=1e-15)


# --- what says nothing ---------------------------------------------------------------------------------------------


def clues(scenes: list[Scene]) -> dict[str, NDArray[np.int64]]:
    """For every object whatever could tell its category, but its shape."""
    pairs = [(scene, item) for scene in scenes for item in scene.objects]
    numbers: dict[str, Callable[[Scene, SceneObject], float]] = {
        "hue": lambda _, item: hue_of(item.look.first),
        "saturation": lambda _, item: 1 - min(item.look.first) / max(item.look.first),
        "value": lambda _, item: max(item.look.first),
        "second hue": lambda _, item: hue_of(item.look.second),
        "second value": lambda _, item: max(item.look.second),
        "amount": lambda _, item: item.look.amount,
        "frequency": lambda _, item: item.look.frequency,
        "direction": lambda _, item: math.atan2(*item.look.direction),
        "size": lambda _, item: item.radius,
        "place": lambda _, item: item.x,
        "mirror": lambda _, item: item.matrix[0],
        "hue of the background": lambda scene, _: hue_of(scene.background.first),
        "value of the background": lambda scene, _: max(scene.background.first),
        "amount of the background": lambda scene, _: scene.background.amount,
    }
    found = {name: binned([read(scene, item) for scene, item in pairs]) for name, read in numbers.items()}
    found["texture"] = np.array([TEXTURES.index(item.look.pattern) for _, item in pairs])
    found["scene type"] = np.array([scene.scene_type for scene, _ in pairs])
    neighbours = [scene.objects[scene.objects.index(item) - 1].category for scene, item in pairs]
    found["another object"] = np.array(neighbours)
    return found


def categories(scenes: list[Scene]) -> NDArray[np.int64]:
    return np.array([item.category for item in objects_of(scenes)])


def test_on_a_board_of_shape_alone_nothing_else_tells_the_category() -> None:
    """Also with the long tail and the range of scales of the default."""
    scenes = layouts(COUNT, SHAPE_ALONE)
    told = {name: tells(categories(scenes), values) for name, values in clues(scenes).items()}
    assert max(told.values()) < 1.2, told


def test_by_default_the_ties_tell_and_the_rest_does_not() -> None:
    """So the test above would see a tie."""
    scenes = layouts(COUNT, ScenesSpec())
    told = {name: tells(categories(scenes), values) for name, values in clues(scenes).items()}
    for name in ("hue", "texture", "frequency", "direction", "scene type", "hue of the background"):
        assert told.pop(name) > 1.5, name
    for name in ("size", "place", "mirror", "amount"):
        assert told[name] < 1.2, name


@pytest.mark.parametrize(
    ("strengths", "silent"),
    [
        ({"palette": 1.0}, ("texture", "frequency", "direction", "scene type", "another object")),
        ({"texture": 1.0}, ("hue", "saturation", "value", "second hue", "scene type", "hue of the background")),
        ({"cooccurrence": 1.0}, ("texture", "frequency", "direction", "hue", "hue of the background")),
        ({"surroundings": 1.0}, ("texture", "hue", "value", "scene type", "hue of the background", "another object")),
    ],
)
def test_each_strength_ties_its_own_cue_alone(strengths: dict[str, float], silent: tuple[str, ...]) -> None:
    scenes = layouts(COUNT, only(**strengths))
    found = clues(scenes)
    told = {name: tells(categories(scenes), found[name]) for name in silent}
    assert max(told.values()) < 1.2, told


def painted_accuracy(spec: ScenesSpec) -> float:
    """Histograms of the pixels under each mask, as painted: accuracy of k-nearest neighbours in the category."""
    features, labels = [], []
    for index in range(220):
        scene = render_scene(spec, index)
        for number, category in enumerate(scene.categories, start=1):
            pixels = scene.image[scene.instances == number]
            histograms = [np.histogram(pixels[:, channel], 8, (0, 256))[0] for channel in range(3)]
            features.append(np.concatenate(histograms) / len(pixels))
            labels.append(category)
    return float(cross_val_score(KNeighborsClassifier(15), np.array(features), labels, cv=4).mean())


def test_as_painted_colours_tell_where_palettes_do_and_not_on_a_board_of_shape_alone() -> None:
    assert painted_accuracy(ScenesSpec(size=48, **NO_TIES, tail=0.0)) < 0.11
    assert painted_accuracy(ScenesSpec(size=48, tail=0.0, palette=0.7)) > 0.2
