"""Painting a scene: pixels and exact masks.

Exactly rounded arithmetic only (see ``scene_shapes``): the same seed gives the same bytes everywhere.
Images are kept as 3 x H x W in 0-1 until the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets.scene_parts import CATEGORIES, Light, Look, Scene, SceneObject, Stroke
from benchmarks.datasets.scene_shapes import SHAPES, Field, radius

LEAST_VISIBLE = 0.35
"""An object of which less is seen (hidden by others or beyond the border) is taken out of the picture."""


@dataclass(frozen=True)
class RenderedScene:
    """A painted scene.

    Attributes:
        image: uint8 size x size x 3, RGB.
        instances: uint8 size x size; 0 background, 1 + i where ``categories[i]`` is what one sees.
        categories: category index of each object, from back to front.
    """

    image: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    categories: list[int]
    scene_type: int


@dataclass(frozen=True)
class _Cutout:
    """An object's shape on the pixels around it.

    ``top``, ``left`` may lie outside the image. u, v are shape coordinates, ``field`` the shape's f in pixels.
    """

    item: SceneObject
    top: int
    left: int
    u: Field
    v: Field
    field: Field

    @property
    def coverage(self) -> Field:
        """Share of each pixel that the shape covers, 0-1."""
        return np.clip(self.field + 0.5, 0.0, 1.0)


def render(scene: Scene, size: int, rng: np.random.Generator) -> RenderedScene:
    """Paint ``scene`` at ``size`` x ``size`` pixels; ``rng`` gives what is random per pixel (noise, blotches)."""
    cutouts, instances = _visible([_cut_out(item, size) for item in scene.objects], size)
    image = _paint_background(scene.background, size, rng)
    for stroke in scene.strokes:
        _paint_stroke(image, stroke, size)
    for cutout in cutouts:
        _paint_shadow(image, cutout, scene.light, size)
        _paint_object(image, cutout, scene.light, size, rng)
    return RenderedScene(
        image=_expose(image, scene.light, size, rng),
        instances=instances,
        categories=[cutout.item.category for cutout in cutouts],
        scene_type=scene.scene_type,
    )


def _cut_out(item: SceneObject, size: int) -> _Cutout:
    a, b, c, d = item.matrix
    pixels = item.radius * size
    margin = 3.0 + 0.1 * pixels  # room for the soft edge of the shadow
    reach_x = pixels * math.sqrt(a * a + b * b) + margin
    reach_y = pixels * math.sqrt(c * c + d * d) + margin
    left, right = math.floor(item.x * size - reach_x), math.ceil(item.x * size + reach_x)
    top, bottom = math.floor(item.y * size - reach_y), math.ceil(item.y * size + reach_y)
    x = ((_counting(left, right) + (0.5 - item.x * size)) / pixels)[None, :]
    y = ((_counting(top, bottom) + (0.5 - item.y * size)) / pixels)[:, None]
    determinant = a * d - b * c
    u = (d / determinant) * x - (b / determinant) * y
    v = (a / determinant) * y - (c / determinant) * x
    return _Cutout(item, top, left, u, v, SHAPES[CATEGORIES[item.category]](u, v) * pixels)


def _visible(cutouts: list[_Cutout], size: int) -> tuple[list[_Cutout], NDArray[np.uint8]]:
    """Take out objects until each is visible enough; returns those kept and their instance map.

    The least visible one goes first, since others may come to light without it. What is taken out is not painted
    either: the annotations stay complete.
    """
    kept = list(cutouts)
    insides = {id(cutout): cutout.field > 0.0 for cutout in cutouts}
    while True:
        instances = np.zeros((size, size), dtype=np.uint8)
        for number, cutout in enumerate(kept, start=1):
            target, source = _overlap(cutout.top, cutout.left, cutout.field.shape, size)
            instances[target][insides[id(cutout)][source]] = number
        seen = np.bincount(instances.ravel(), minlength=len(kept) + 1)[1:]
        shares = [seen[i] / max(int(np.count_nonzero(insides[id(cutout)])), 1) for i, cutout in enumerate(kept)]
        if not kept or min(shares) >= LEAST_VISIBLE:
            return kept, instances
        kept.pop(shares.index(min(shares)))


def _overlap(top: int, left: int, shape: tuple[int, ...], size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a box placed at (top, left) meets the image: slices of the image and of the box."""
    y0, y1 = max(top, 0), max(min(top + shape[0], size), 0)
    x0, x1 = max(left, 0), max(min(left + shape[1], size), 0)
    image = (slice(y0, max(y1, y0)), slice(x0, max(x1, x0)))
    box = (slice(y0 - top, max(y1, y0) - top), slice(x0 - left, max(x1, x0) - left))
    return image, box


def _paint_background(look: Look, size: int, rng: np.random.Generator) -> Field:
    axis = (_counting(0, size) + 0.5) / size * 2.0 - 1.0
    pattern = _background_pattern(look, axis[None, :], axis[:, None], rng)
    # Slow changes of brightness, as on any real surface.
    brightness = 0.9 + 0.2 * _smooth_noise(rng, size, size, cells=3)
    image = np.empty((3, size, size), dtype=np.float32)
    for channel in range(3):
        first, second = look.first[channel], look.second[channel]
        image[channel] = (first + (look.amount * (second - first)) * pattern) * brightness
    return image


def _background_pattern(look: Look, x: Field, y: Field, rng: np.random.Generator) -> Field:
    """How much of the second colour, 0-1, for x, y in -1..1 (broadcast to size x size)."""
    size = x.shape[1]
    p, q = _along(look, x, y)
    if look.pattern == "gradient":
        return np.clip(0.5 + 0.5 * p, 0.0, 1.0)
    if look.pattern == "horizon":
        below = np.clip((y + 0.25 * x * look.direction[0] - (look.phase[0] - 0.5)) * size / 4.0, 0.0, 1.0)
        return below * (0.7 + 0.3 * y)
    if look.pattern == "stripes":
        return _sharpened(_wave(p * look.frequency + look.phase[0]) - 0.5, 4.0)
    if look.pattern == "tiles":
        lines = np.maximum(_wave(p * look.frequency + look.phase[0]), _wave(q * look.frequency + look.phase[1]))
        return _sharpened(lines - 0.85, 12.0)
    if look.pattern == "clouds":
        return _sharpened(_smooth_noise(rng, size, size, cells=5) - 0.5, 2.5)
    row = np.floor(p * look.frequency * 1.5 + look.phase[0])
    column = np.floor(q * look.frequency * 0.5 + 0.37 * row + look.phase[1])
    tones = rng.random(256).astype(np.float32)
    return tones[(row * 31.0 + column * 17.0).astype(np.int64) % 256]


def _paint_stroke(image: Field, stroke: Stroke, size: int) -> None:
    half_width = stroke.half_width * size
    x0, y0, x1, y1 = stroke.x0 * size, stroke.y0 * size, stroke.x1 * size, stroke.y1 * size
    margin = half_width + 1.0
    left, top = math.floor(min(x0, x1) - margin), math.floor(min(y0, y1) - margin)
    shape = (math.ceil(max(y0, y1) + margin) - top, math.ceil(max(x0, x1) + margin) - left)
    target, source = _overlap(top, left, shape, size)
    x = (_counting(0, shape[1])[source[1]] + (left + 0.5 - x0))[None, :]
    y = (_counting(0, shape[0])[source[0]] + (top + 0.5 - y0))[:, None]
    dx, dy = x1 - x0, y1 - y0
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    opacity = stroke.opacity * np.clip(half_width - radius(x - along * dx, y - along * dy) + 0.5, 0.0, 1.0)
    for channel in range(3):
        part = image[channel][target]
        part += opacity * (stroke.colour[channel] - part)


def _paint_shadow(image: Field, cutout: _Cutout, light: Light, size: int) -> None:
    """Darken what lies on the far side of the object from the light."""
    shift = light.shadow_length * size + 0.1 * cutout.item.radius * size
    top = cutout.top - round(light.direction[1] * shift)
    left = cutout.left - round(light.direction[0] * shift)
    target, source = _overlap(top, left, cutout.field.shape, size)
    softness = 2.0 + 0.1 * cutout.item.radius * size
    shadow = 1.0 - light.shadow * np.clip(cutout.field[source] / softness + 0.5, 0.0, 1.0)
    for channel in range(3):
        image[channel][target] *= shadow


def _paint_object(image: Field, cutout: _Cutout, light: Light, size: int, rng: np.random.Generator) -> None:
    item, look = cutout.item, cutout.item.look
    target, source = _overlap(cutout.top, cutout.left, cutout.field.shape, size)
    pattern = look.amount * _texture(look, cutout.u, cutout.v, rng)[source]
    coverage = cutout.coverage[source]
    a, b, c, d = item.matrix
    u, v = cutout.u[source], cutout.v[source]
    toward_light = (a * u + b * v) * light.direction[0] + (c * u + d * v) * light.direction[1]
    rim = np.clip(cutout.field[source] / (0.2 * item.radius * size), 0.0, 1.0)
    brightness = (1.0 + item.shading * toward_light) * (1.0 - item.bevel + item.bevel * rim)
    for channel in range(3):
        first, second = look.first[channel], look.second[channel]
        part = image[channel][target]
        part += coverage * ((first + (second - first) * pattern) * brightness - part)


def _texture(look: Look, u: Field, v: Field, rng: np.random.Generator) -> Field:
    """How much of the second colour, 0-1, at shape coordinates u, v."""
    p, q = _along(look, u, v)
    p = p * look.frequency + look.phase[0]
    q = q * look.frequency + look.phase[1]
    if look.pattern == "stripes":
        return _sharpened(_wave(p) - 0.5, 4.0)
    if look.pattern == "checks":
        return _sharpened((_wave(p) - 0.5) * (_wave(q) - 0.5), 30.0)
    if look.pattern == "dots":
        x, y = p - np.floor(p) - 0.5, q - np.floor(q) - 0.5
        return _sharpened(0.09 - (x * x + y * y), 12.0)
    if look.pattern == "rings":
        return _sharpened(_wave(radius(u, v) * look.frequency + look.phase[0]) - 0.5, 4.0)
    if look.pattern == "gradient":
        return np.clip(0.5 + 0.6 * (p - look.phase[0]) / look.frequency, 0.0, 1.0)
    if look.pattern == "grid":
        return _sharpened(np.maximum(_wave(p), _wave(q)) - 0.75, 8.0)
    if look.pattern == "zigzag":
        return _sharpened(_wave(p + 0.5 * _wave(2.0 * q)) - 0.5, 4.0)
    if look.pattern == "blotches":
        return _sharpened(_smooth_noise(rng, u.shape[0], u.shape[1], cells=6) - 0.5, 4.0)
    if look.pattern == "speckle":
        return (_random_bytes(rng, u.shape) < 90).astype(np.float32)
    return np.zeros_like(u)


def _along(look: Look, x: Field, y: Field) -> tuple[Field, Field]:
    cos, sin = look.direction
    return cos * x + sin * y, cos * y - sin * x


def _wave(x: Field) -> Field:
    """Triangle wave of period 1, 1 at whole numbers, 0 between them."""
    return np.abs(2.0 * (x - np.floor(x)) - 1.0)


def _sharpened(signed: Field, slope: float) -> Field:
    return np.clip(0.5 + slope * signed, 0.0, 1.0)


def _smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Field:
    """Random values on a coarse grid, smoothly interpolated; 0-1, height x width."""
    grid = rng.random((cells + 1, cells + 1)).astype(np.float32)
    rows, row_weights = _smooth_steps(height, cells)
    columns, column_weights = _smooth_steps(width, cells)
    grid = grid[:, columns] + column_weights * (grid[:, columns + 1] - grid[:, columns])
    return grid[rows] + row_weights[:, None] * (grid[rows + 1] - grid[rows])


def _smooth_steps(length: int, cells: int) -> tuple[NDArray[np.int64], Field]:
    position = (_counting(0, length) + 0.5) * (cells / length)
    whole = np.floor(position)
    rest = position - whole
    return whole.astype(np.int64), rest * rest * (3.0 - 2.0 * rest)


def _expose(image: Field, light: Light, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light over the picture, colour cast and sensor noise, in place; returns uint8 H x W x 3."""
    axis = (_counting(0, size) + 0.5) / size * 2.0 - 1.0
    brightness = 1.0 + light.fall_off * (axis[None, :] * light.direction[0] + axis[:, None] * light.direction[1])
    # The sum of two uniform bytes: a triangular distribution on -1..1.
    first, second = _random_bytes(rng, (2, 3, size, size))
    noise = np.add(first, second, dtype=np.int16) - np.int16(255)  # -255..255
    image *= brightness
    for channel in range(3):
        image[channel] *= 255.0 * light.cast[channel]
    image += np.multiply(noise, light.noise, dtype=np.float32)
    np.clip(image, 0.0, 255.0, out=image)
    image += 0.5
    return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))  # astype truncates


def _counting(start: int, stop: int) -> Field:
    return np.arange(start, stop, dtype=np.float32)


def _random_bytes(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.frombuffer(rng.bytes(math.prod(shape)), dtype=np.uint8).reshape(shape)
