"""The shapes: where they lie, that they differ, and that their functions measure distance well enough."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.datasets.scene_shapes import SHAPES, cosine

AXIS = np.linspace(-1.3, 1.3, 261, dtype=np.float32)
U, V = np.meshgrid(AXIS, AXIS)
CELL = float(AXIS[1] - AXIS[0]) ** 2


@pytest.mark.parametrize("name", SHAPES)
def test_shape_fits_the_unit_circle_and_fills_a_fair_part_of_it(name: str) -> None:
    field = SHAPES[name](U, V)
    assert field.dtype == np.float32
    assert np.isfinite(field).all()
    inside = field > 0
    assert np.sqrt(U[inside] ** 2 + V[inside] ** 2).max() <= 1.01
    assert 0.25 < inside.sum() * CELL / np.pi < 0.8


@pytest.mark.parametrize("name", SHAPES)
def test_field_is_near_the_distance_at_the_outline(name: str) -> None:
    """The edge is blended over |f| < half a pixel, so the slope there must be about 1."""
    field = SHAPES[name](U, V).astype(np.float64)
    step = float(AXIS[1] - AXIS[0])
    dv, du = np.gradient(field, step)
    slope = np.hypot(du, dv)[np.abs(field) < 0.02]
    assert 0.6 < np.median(slope) < 1.8


def test_no_two_shapes_are_alike() -> None:
    masks = {name: shape(U, V) > 0 for name, shape in SHAPES.items()}
    for one, other in itertools.combinations(masks, 2):
        union = (masks[one] | masks[other]).sum()
        assert (masks[one] & masks[other]).sum() / union < 0.85, (one, other)


def test_angles_by_chebyshev_equal_trigonometry() -> None:
    """gear and flower turn cos a into cos 8a and cos 5a; a slow oracle uses arctan2."""
    u, v = U.astype(np.float64), V.astype(np.float64)
    angle = np.arctan2(v, u)
    r = np.hypot(u, v)
    away = r > 0.01
    np.testing.assert_allclose(cosine(u, v)[away], np.cos(angle)[away], atol=1e-12)
    teeth = 0.75 + 0.15 * np.clip(2.5 * np.cos(8 * angle), -1, 1) - r
    np.testing.assert_allclose(SHAPES["gear"](u, v)[away], np.minimum(teeth, r - 0.26)[away], atol=1e-12)
    petals = 0.8 * (0.66 + 0.28 * np.cos(5 * angle) - r)
    np.testing.assert_allclose(SHAPES["flower"](u, v)[away], petals[away], atol=1e-12)


def test_star_is_the_pentagram() -> None:
    """At least four of five edges have the point on their inner side: counted, not sorted."""
    angles = np.pi / 2 + 2 * np.pi / 5 * np.arange(5)
    inner = [0.31 + np.cos(a) * U - np.sin(-a) * V > 0 for a in angles]
    near_an_edge = np.abs(SHAPES["star"](U, V)) < 1e-4
    assert ((SHAPES["star"](U, V) > 0) == (np.sum(inner, axis=0) >= 4))[~near_an_edge].all()
