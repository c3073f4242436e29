"""The categories of ``scenes``: eighteen plane shapes, each an implicit function.

A shape is ``f(u, v)``, float32, positive inside and negative outside, near its outline about the signed distance; the
shape fits in the unit circle around (0, 0); v points down, as in images.

Only +, -, x, /, square root, comparisons and absolute values are used. IEEE 754 rounds each of these in one way, so the
masks are the same on every processor, which ``sin`` and ``arctan2`` would not promise: angles come in as the cosine of
multiples, by Chebyshev polynomials, and directions as constants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]

_SQRT_HALF = 0.7071067811865476
_SQRT_3_4 = 0.8660254037844386
# The directions of a regular pentagon, 90 + 72 k degrees, one of them up.
_PENTAGON = (
    (0.0, -1.0),
    (0.9510565162951535, -0.3090169943749474),
    (0.5877852522924731, 0.8090169943749475),
    (-0.5877852522924731, 0.8090169943749475),
    (-0.9510565162951535, -0.3090169943749474),
)


def radius(u: Field, v: Field) -> Field:
    """Distance from the origin."""
    return np.sqrt(u * u + v * v)


def cosine(u: Field, v: Field) -> Field:
    """Cosine of the angle between (u, v) and the u axis; finite at the origin."""
    return u / np.maximum(radius(u, v), 1e-9)


def _ball(u: Field, v: Field, x: float, y: float, size: float) -> Field:
    return size - radius(u - x, v - y)


def _box(u: Field, v: Field, x: float, y: float, half_width: float, half_height: float) -> Field:
    return np.minimum(half_width - np.abs(u - x), half_height - np.abs(v - y))


def disc(u: Field, v: Field) -> Field:
    """A filled circle."""
    return 0.85 - radius(u, v)


def ring(u: Field, v: Field) -> Field:
    """A circle with a round hole."""
    return 0.2 - np.abs(radius(u, v) - 0.7)


def half_disc(u: Field, v: Field) -> Field:
    """The upper half of a circle."""
    return np.minimum(_ball(u, v, 0.0, 0.4, 0.92), 0.4 - v)


def pie(u: Field, v: Field) -> Field:
    """A disc without a wedge of about 80 degrees."""
    wedge = 0.77 * (u + 0.05) - 0.64 * np.abs(v)
    return np.minimum(0.9 - radius(u, v), -wedge)


def crescent(u: Field, v: Field) -> Field:
    """A disc without a second disc."""
    return np.minimum(_ball(u, v, 0.12, 0.0, 0.9), -_ball(u, v, 0.55, 0.0, 0.72))


def capsule(u: Field, v: Field) -> Field:
    """A bar with round ends."""
    return 0.3 - radius(np.maximum(np.abs(u) - 0.66, 0.0), v)


def dumbbell(u: Field, v: Field) -> Field:
    """Two balls on a bar."""
    return np.maximum(0.38 - radius(np.abs(u) - 0.56, v), _box(u, v, 0.0, 0.0, 0.56, 0.13))


def triangle(u: Field, v: Field) -> Field:
    """An equilateral triangle."""
    return 0.48 - np.maximum(v - 0.06, _SQRT_3_4 * np.abs(u) - 0.5 * (v - 0.06))


def square(u: Field, v: Field) -> Field:
    """A filled square."""
    return 0.68 - np.maximum(np.abs(u), np.abs(v))


def frame(u: Field, v: Field) -> Field:
    """A square with a square hole."""
    return 0.14 - np.abs(np.maximum(np.abs(u), np.abs(v)) - 0.56)


def hourglass(u: Field, v: Field) -> Field:
    """Two triangles that meet at their tips."""
    return np.minimum(0.76 - np.abs(v), 0.78 * (0.1 + 0.75 * np.abs(v) - np.abs(u)))


def cross(u: Field, v: Field) -> Field:
    """A plus sign."""
    return np.maximum(_box(u, v, 0.0, 0.0, 0.25, 0.9), _box(u, v, 0.0, 0.0, 0.9, 0.25))


def tee(u: Field, v: Field) -> Field:
    """The letter T."""
    return np.maximum(_box(u, v, 0.0, -0.47, 0.72, 0.22), _box(u, v, 0.0, 0.1, 0.22, 0.79))


def arrow(u: Field, v: Field) -> Field:
    """A shaft with a triangular head, pointing to the right."""
    head = np.minimum(u, _SQRT_HALF * (0.86 - u - np.abs(v)))
    return np.maximum(_box(u, v, -0.35, 0.0, 0.5, 0.24), head)


def star(u: Field, v: Field) -> Field:
    """A five-pointed star: the points on the inner side of at least four of a pentagon's five edges."""
    lowest = np.full_like(u, np.inf)
    second = np.full_like(u, np.inf)
    for x, y in _PENTAGON:
        distance = 0.31 + x * u - y * v
        second = np.minimum(second, np.maximum(lowest, distance))
        lowest = np.minimum(lowest, distance)
    return second


def gear(u: Field, v: Field) -> Field:
    """A wheel with eight teeth and a hole."""
    doubled = cosine(u, v)
    for _ in range(3):  # cos 2a = 2 cos^2 a - 1, three times: cos 8a
        doubled = 2.0 * doubled * doubled - 1.0
    distance = radius(u, v)
    outline = 0.75 + 0.15 * np.clip(2.5 * doubled, -1.0, 1.0) - distance
    return np.minimum(outline, distance - 0.26)


def flower(u: Field, v: Field) -> Field:
    """Five round petals."""
    c = cosine(u, v)
    square_of_c = c * c
    five_fold = c * (square_of_c * (16.0 * square_of_c - 20.0) + 5.0)  # cos 5a
    return 0.8 * (0.66 + 0.28 * five_fold - radius(u, v))


def heart(u: Field, v: Field) -> Field:
    """A square on its corner under two discs."""
    a = _SQRT_HALF * (u + v) - 0.1
    b = _SQRT_HALF * (v - u) - 0.1
    lobes = np.maximum(_ball(a, b, -0.49, 0.0, 0.49), _ball(a, b, 0.0, -0.49, 0.49))
    return np.maximum(_box(a, b, 0.0, 0.0, 0.49, 0.49), lobes)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    shape.__name__: shape
    for shape in (
        *(disc, ring, half_disc, pie, crescent, capsule),
        *(dumbbell, triangle, square, frame, hourglass, cross),
        *(tee, arrow, star, gear, flower, heart),
    )
}
"""By category name, in the order of the COCO ids."""
