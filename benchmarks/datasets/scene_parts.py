"""What a scene is made of, before a pixel is painted: its background, strokes, objects, light and all their looks.

All lengths are shares of the image's side, so one seed gives one layout at every image size.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.datasets.scene_shapes import SHAPES

Colour = tuple[float, float, float]

CATEGORIES = list(SHAPES)
BACKGROUNDS = ("gradient", "horizon", "stripes", "tiles", "clouds", "planks")
"""The scene types: scene type t has background kind t."""
TEXTURES = ("plain", "stripes", "checks", "dots", "rings", "gradient", "grid", "zigzag", "blotches", "speckle")


def scene_type_of(category: int) -> int:
    """The scene type that a category is at home in."""
    return category % len(BACKGROUNDS)


@dataclass(frozen=True)
class Look:
    """Two colours (0-1) and the pattern that mixes them.

    Attributes:
        amount: share of the second colour where the pattern is 1.
        frequency: periods of the pattern over one unit of its coordinates.
        direction: unit vector along which the pattern runs; phase: its shift in periods.
    """

    pattern: str
    first: Colour
    second: Colour
    amount: float
    frequency: float
    direction: tuple[float, float]
    phase: tuple[float, float]


@dataclass(frozen=True)
class SceneObject:
    """One object: a category's shape under an affine map.

    Attributes:
        category: index into :data:`CATEGORIES`.
        x, y: centre; radius: of the circle that the undeformed shape fits in.
        matrix: row-major 2 x 2 map from shape to image coordinates of determinant +-1: mirrored, stretched, sheared,
            turned.
        shading: change of brightness over one radius along the light; bevel: darkening at the outline.
    """

    category: int
    x: float
    y: float
    radius: float
    matrix: tuple[float, float, float, float]
    look: Look
    shading: float
    bevel: float


@dataclass(frozen=True)
class Stroke:
    """A line of clutter behind the objects, from (x0, y0) to (x1, y1)."""

    x0: float
    y0: float
    x1: float
    y1: float
    half_width: float
    colour: Colour
    opacity: float


@dataclass(frozen=True)
class Light:
    """Light over the whole picture: direction, strength of its fall-off, colour cast, shadows and sensor noise."""

    direction: tuple[float, float]
    fall_off: float
    cast: Colour
    shadow: float
    shadow_length: float
    noise: float


@dataclass(frozen=True)
class Scene:
    """Everything that is painted, objects from back to front."""

    scene_type: int
    background: Look
    strokes: list[Stroke]
    objects: list[SceneObject]
    light: Light
