"""How the categories and surroundings of ``scenes`` version 2 naturally look: constants, whatever the data's seed.

Hues lie on a circle of length 6: 0 red, 1 yellow, 2 green, 3 cyan, 4 blue, 5 magenta. The tables follow four rules, so
that a look tells much, and no single part of it everything:

* no two categories share both hue and pattern: of two that share one, the other differs;
* every hue, and every pattern but two, is shared by two categories or more;
* the three categories that are at home in one scene type differ in pattern and in hue;
* surroundings share their hues with those of another scene type, and with categories that are at home elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.scene_draws import between, colour_of
from benchmarks.datasets.scene_parts import Colour

HUE_SPREAD = 0.45
"""A category's first colour keeps its hue within this."""
_SECOND_SPREAD = 0.3
_FREQUENCY_SPREAD = (0.8, 1.25)

Range = tuple[float, float]


@dataclass(frozen=True)
class Tint:
    """A family of colours: hue +- spread, and ranges of saturation and value."""

    hue: float
    spread: float
    saturation: Range
    value: Range

    def draw(self, rng: np.random.Generator) -> Colour:
        """One of its colours."""
        hue = (self.hue + between(rng, -self.spread, self.spread)) % 6.0
        return colour_of(hue, between(rng, *self.saturation), between(rng, *self.value))


@dataclass(frozen=True)
class CategoryLook:
    """What an object of a category mostly looks like.

    Attributes:
        pattern: one of ``TEXTURES``.
        frequency: typical periods of the pattern over one radius; blotches, speckle and plain have none to vary.
        direction: tangent of the typical angle between pattern and object.
        first, second: the palette; the second colour is the pattern's.
    """

    pattern: str
    frequency: float
    direction: float
    first: Tint
    second: Tint

    def draw_frequency(self, rng: np.random.Generator) -> float:
        """Typical frequency of the pattern, give or take a quarter."""
        return self.frequency * between(rng, *_FREQUENCY_SPREAD)


@dataclass(frozen=True)
class Surroundings:
    """The palette of a scene type's background; ``amount`` is the share of the second colour."""

    first: Tint
    second: Tint
    amount: Range


def _look(
    texture: tuple[str, float, float],
    first: tuple[float, Range, Range],
    second: tuple[float, Range, Range],
) -> CategoryLook:
    (hue, saturation, value), (second_hue, second_saturation, second_value) = first, second
    return CategoryLook(
        *texture,
        Tint(hue, HUE_SPREAD, saturation, value),
        Tint(second_hue, _SECOND_SPREAD, second_saturation, second_value),
    )


_VIVID, _RICH, _MUTED, _GREYISH = (0.7, 0.95), (0.5, 0.85), (0.3, 0.6), (0.1, 0.3)
_ANY_LIGHT, _LIGHT, _MIDDLE, _DARK = (0.35, 1.0), (0.8, 1.0), (0.4, 0.8), (0.1, 0.3)
_PALE = (0.0, 0.2)

CATEGORY_LOOKS: dict[str, CategoryLook] = {
    "disc": _look(("dots", 2.0, 0.0), (0.0, _VIVID, _ANY_LIGHT), (1.0, _PALE, _LIGHT)),
    "ring": _look(("stripes", 2.6, 0.0), (3.0, _RICH, _ANY_LIGHT), (3.0, _PALE, _LIGHT)),
    "half_disc": _look(("gradient", 2.0, 4.0), (2.1, _RICH, _ANY_LIGHT), (1.0, _RICH, _LIGHT)),
    "pie": _look(("grid", 2.4, 1.0), (0.8, _RICH, _ANY_LIGHT), (0.4, _RICH, _DARK)),
    "crescent": _look(("zigzag", 1.8, 4.0), (4.0, _RICH, _ANY_LIGHT), (3.0, _MUTED, _LIGHT)),
    "capsule": _look(("rings", 1.6, 0.0), (4.8, _RICH, _ANY_LIGHT), (5.2, _PALE, _LIGHT)),
    "dumbbell": _look(("checks", 1.8, 0.0), (4.0, _VIVID, _ANY_LIGHT), (1.0, _PALE, _LIGHT)),
    "triangle": _look(("speckle", 2.0, 0.0), (2.1, _RICH, _ANY_LIGHT), (1.6, _RICH, _DARK)),
    "square": _look(("checks", 2.6, 1.0), (0.0, _VIVID, _ANY_LIGHT), (0.0, _RICH, _DARK)),
    "frame": _look(("zigzag", 3.0, 0.0), (5.3, _RICH, _ANY_LIGHT), (5.0, _PALE, _LIGHT)),
    "hourglass": _look(("blotches", 2.0, 0.0), (1.0, _RICH, _ANY_LIGHT), (0.5, _RICH, _DARK)),
    "cross": _look(("stripes", 1.5, 1.0), (0.5, _VIVID, _ANY_LIGHT), (4.0, _RICH, _DARK)),
    "tee": _look(("plain", 2.0, 0.0), (0.5, _RICH, _ANY_LIGHT), (0.5, _RICH, _DARK)),
    "arrow": _look(("rings", 2.8, 0.0), (1.1, _VIVID, _ANY_LIGHT), (0.1, _VIVID, _MIDDLE)),
    "star": _look(("dots", 3.2, 1.0), (4.8, _RICH, _ANY_LIGHT), (1.0, _RICH, _LIGHT)),
    "gear": _look(("speckle", 2.0, 0.0), (3.8, _GREYISH, _ANY_LIGHT), (3.8, _PALE, _DARK)),
    "flower": _look(("gradient", 2.0, 0.0), (5.4, _RICH, _ANY_LIGHT), (1.0, _RICH, _LIGHT)),
    "heart": _look(("blotches", 2.0, 0.0), (5.8, _VIVID, _ANY_LIGHT), (0.0, _VIVID, _DARK)),
}
"""By category, in the order of ``CATEGORIES``."""

SURROUNDINGS: dict[str, Surroundings] = {
    "gradient": Surroundings(
        Tint(3.2, 0.5, (0.1, 0.35), (0.45, 0.85)), Tint(3.6, 0.5, (0.1, 0.4), (0.25, 0.6)), (0.3, 0.8)
    ),
    "horizon": Surroundings(
        Tint(3.6, 0.3, (0.15, 0.45), (0.75, 1.0)), Tint(1.8, 0.5, (0.3, 0.6), (0.3, 0.65)), (0.7, 1.0)
    ),
    "stripes": Surroundings(
        Tint(0.9, 0.4, (0.15, 0.4), (0.65, 0.95)), Tint(0.7, 0.4, (0.2, 0.5), (0.45, 0.8)), (0.2, 0.6)
    ),
    "tiles": Surroundings(Tint(3.8, 1.0, (0.0, 0.15), (0.6, 0.95)), Tint(3.8, 1.0, (0.0, 0.2), (0.3, 0.6)), (0.3, 0.7)),
    "clouds": Surroundings(
        Tint(3.7, 0.3, (0.3, 0.65), (0.6, 0.95)), Tint(3.7, 0.5, (0.0, 0.15), (0.85, 1.0)), (0.4, 0.9)
    ),
    "planks": Surroundings(
        Tint(0.5, 0.2, (0.35, 0.65), (0.3, 0.65)), Tint(0.5, 0.2, (0.4, 0.7), (0.15, 0.35)), (0.2, 0.6)
    ),
}
"""By kind of background."""

BY_FREQUENCY = (
    *("square", "triangle", "disc", "capsule", "hourglass", "frame"),
    *("gear", "cross", "flower", "star", "arrow", "tee"),
    *("ring", "dumbbell", "half_disc", "crescent", "pie", "heart"),
)
"""The categories from the most frequent to the rarest; every six hold one of each scene type."""
