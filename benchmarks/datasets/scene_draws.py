"""Elementary draws for a scene's layout.

Only ``Generator.random`` is drawn from and only exactly rounded arithmetic is used (see ``scene_shapes``), so a seed
gives the same layout on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Context, Decimal
from functools import cache

import numpy as np

from benchmarks.datasets.scene_parts import Colour, Light, SceneObject, Stroke

# Objects stand roughly upright, as in photographs: turned every way they were next to unlearnable in minutes.
_MOST_TILT = 0.5  # tangent of the angle, about 27 degrees
_PLACES_TRIED = 6
_POINTS = 64


def draw_place(rng: np.random.Generator, radius: float, others: list[SceneObject]) -> tuple[float, float]:
    """The roomiest of a few random places: objects overlap often, but rarely hide one another."""
    margin = 0.75 * radius
    best, best_room = (0.5, 0.5), -1.0
    for _ in range(_PLACES_TRIED):
        x, y = between(rng, margin, 1.0 - margin), between(rng, margin, 1.0 - margin)
        room = min((_distance(x - other.x, y - other.y) / (radius + other.radius) for other in others), default=1.0)
        if room > best_room:
            best, best_room = (x, y), room
        if room >= 1.0:
            break
    return best


def _distance(x: float, y: float) -> float:
    return math.sqrt(x * x + y * y)


def draw_matrix(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Mirrored or not, a little stretched, sheared and turned; row-major, of determinant +-1."""
    tilt = between(rng, -_MOST_TILT, _MOST_TILT)
    length = math.sqrt(1.0 + tilt * tilt)
    cos, sin = 1.0 / length, tilt / length
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    stretch = between(rng, 0.85, 1.18)
    shear = between(rng, -0.15, 0.15)
    # turn x [[stretch, shear], [0, 1 / stretch]] x mirror
    return (
        cos * stretch * mirror,
        cos * shear - sin / stretch,
        sin * stretch * mirror,
        sin * shear + cos / stretch,
    )


def draw_light(rng: np.random.Generator) -> Light:
    """Light over the whole picture."""
    return Light(
        direction=draw_direction(rng),
        fall_off=between(rng, 0.0, 0.3),
        cast=(between(rng, 0.85, 1.1), between(rng, 0.85, 1.1), between(rng, 0.85, 1.1)),
        shadow=between(rng, 0.0, 0.4),
        shadow_length=between(rng, 0.01, 0.05),
        noise=between(rng, 0.0, 0.04),
    )


def draw_stroke(rng: np.random.Generator) -> Stroke:
    """A line of clutter in any colour."""
    x, y = float(rng.random()), float(rng.random())
    cos, sin = draw_direction(rng)
    length = between(rng, 0.1, 0.7)
    return Stroke(
        x0=x,
        y0=y,
        x1=x + cos * length,
        y1=y + sin * length,
        half_width=between(rng, 0.004, 0.02),
        colour=draw_colour(rng),
        opacity=between(rng, 0.4, 1.0),
    )


def difference(one: Colour, other: Colour) -> float:
    """Largest difference of a channel."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def draw_colour(rng: np.random.Generator) -> Colour:
    """Any hue, saturation 0-0.9, value 0.2-1."""
    return colour_of(6.0 * float(rng.random()), between(rng, 0.0, 0.9), between(rng, 0.2, 1.0))


def colour_of(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a hue on the circle of length 6 (0 red, 2 green, 4 blue), a saturation and a value of 0-1."""
    red, green, blue = (
        value * (1.0 - saturation * min(max(2.0 - abs((hue - peak + 3.0) % 6.0 - 3.0), 0.0), 1.0))
        for peak in (3.0, 5.0, 1.0)  # where the channel is lowest
    )
    return red, green, blue


def draw_direction(rng: np.random.Generator) -> tuple[float, float]:
    """A uniformly distributed unit vector, without trigonometry: a point of the disc, normalised."""
    while True:
        x, y = between(rng, -1.0, 1.0), between(rng, -1.0, 1.0)
        square = x * x + y * y
        if 0.01 < square <= 1.0:
            length = math.sqrt(square)
            return x / length, y / length


def draw_log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform between ``low`` and ``high``, but for less than a thousandth: linear between 65 points."""
    points = _geometric(low, high)
    place = float(rng.random()) * _POINTS
    number = int(place)
    return points[number] + (points[number + 1] - points[number]) * (place - number)


@cache
def _geometric(low: float, high: float) -> list[float]:
    """``low`` (high / low) ^ (k / _POINTS)."""
    inner = [low * exact_power(high / low, k / _POINTS) for k in range(1, _POINTS)]
    return [low, *inner, high]


def exact_power(base: float, exponent: float) -> float:
    """``base ** exponent`` with the same last bit everywhere, which C's ``pow`` does not promise."""
    return float(Context(prec=28).power(Decimal(base), Decimal(exponent)))


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with ``probability``; draws once whatever it is."""
    return float(rng.random()) < probability


def choose(rng: np.random.Generator, probabilities: Sequence[float]) -> int:
    """An index, with the probabilities given."""
    rest = float(rng.random())
    for index, probability in enumerate(probabilities):
        rest -= probability
        if rest < 0.0:
            return index
    return len(probabilities) - 1


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Uniform between ``low`` and ``high``."""
    return low + (high - low) * float(rng.random())


def below(rng: np.random.Generator, count: int) -> int:
    """A whole number of 0 to ``count`` - 1."""
    return int(rng.random() * count)
