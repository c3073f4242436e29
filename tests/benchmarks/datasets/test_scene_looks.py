"""The tables of looks follow the rules that they state."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scene_statistics import hue_distance, hue_of

from benchmarks.datasets.scene_looks import BY_FREQUENCY, CATEGORY_LOOKS, HUE_SPREAD, SURROUNDINGS
from benchmarks.datasets.scene_parts import BACKGROUNDS, CATEGORIES, TEXTURES, scene_type_of

NEAR = 2 * HUE_SPREAD


def test_there_is_a_look_for_everything() -> None:
    assert list(CATEGORY_LOOKS) == CATEGORIES
    assert list(SURROUNDINGS) == list(BACKGROUNDS)
    assert {look.pattern for look in CATEGORY_LOOKS.values()} == set(TEXTURES)


def test_no_two_categories_share_hue_and_pattern() -> None:
    for (one, first), (other, second) in combinations(CATEGORY_LOOKS.items(), 2):
        same_hue = hue_distance(first.first.hue, second.first.hue) < NEAR
        assert not (same_hue and first.pattern == second.pattern), (one, other)


def test_neither_hue_nor_pattern_alone_names_a_category() -> None:
    patterns = Counter(look.pattern for look in CATEGORY_LOOKS.values())
    assert sorted(patterns.values()) == [1] * 2 + [2] * 8
    for one, look in CATEGORY_LOOKS.items():
        others = [other.first.hue for name, other in CATEGORY_LOOKS.items() if name != one]
        assert min(hue_distance(look.first.hue, other) for other in others) < NEAR


@pytest.mark.parametrize("scene_type", range(len(BACKGROUNDS)))
def test_categories_of_one_scene_type_differ(scene_type: int) -> None:
    own = [CATEGORY_LOOKS[name] for c, name in enumerate(CATEGORIES) if scene_type_of(c) == scene_type]
    assert len({look.pattern for look in own}) == 3
    assert all(hue_distance(a.first.hue, b.first.hue) >= 0.5 for a, b in combinations(own, 2))


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_surroundings_share_their_hues(kind: str) -> None:
    hue = SURROUNDINGS[kind].first.hue
    assert any(hue_distance(hue, other.first.hue) <= 0.5 for name, other in SURROUNDINGS.items() if name != kind)
    elsewhere = [name for c, name in enumerate(CATEGORIES) if BACKGROUNDS[scene_type_of(c)] != kind]
    assert any(hue_distance(hue, CATEGORY_LOOKS[name].first.hue) <= 0.5 for name in elsewhere)


def test_frequent_and_rare_are_spread_over_the_scene_types() -> None:
    assert sorted(BY_FREQUENCY) == sorted(CATEGORIES)
    for start in (0, 6, 12):
        assert sorted(scene_type_of(CATEGORIES.index(name)) for name in BY_FREQUENCY[start : start + 6]) == [*range(6)]


def test_a_tint_stays_in_its_ranges() -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    for look in [*CATEGORY_LOOKS.values()]:
        for tint in (look.first, look.second):
            for colour in [tint.draw(rng) for _ in range(50)]:
                value = max(colour)
                saturation = 1 - min(colour) / value
                assert tint.value[0] - 1e-9 <= value <= tint.value[1] + 1e-9
                assert tint.saturation[0] - 1e-9 <= saturation <= tint.saturation[1] + 1e-9
                if saturation > 1e-3:
                    assert hue_distance(hue_of(colour), tint.hue) <= tint.spread + 1e-6
