"""What a scene of version 2 holds: its type, its objects and how everything looks."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.datasets.scene_draws import (
    below,
    between,
    chance,
    choose,
    difference,
    draw_colour,
    draw_direction,
    draw_light,
    draw_log_uniform,
    draw_matrix,
    draw_place,
    draw_stroke,
    exact_power,
)
from benchmarks.datasets.scene_looks import BY_FREQUENCY, CATEGORY_LOOKS, SURROUNDINGS, Tint
from benchmarks.datasets.scene_parts import (
    BACKGROUNDS,
    CATEGORIES,
    TEXTURES,
    Colour,
    Look,
    Scene,
    SceneObject,
    Stroke,
    scene_type_of,
)

TEXTURE_AMOUNT = (0.3, 0.8)
_FREE_AMOUNT = (0.0, 1.0)
_BACKGROUND_AMOUNT = (0.1, 0.35)
_LEAST_CONTRAST = 0.45  # of an object's first colour to the background
_LEAST_TEXTURE_CONTRAST = 0.3  # of its second colour to its first
_MOST_STROKES = 2
_COLOURS_TRIED = 12
_MOST_TURN = 0.35  # tangent of the angle between a pattern and its category's typical direction


@dataclass(frozen=True)
class Cues:
    """How strongly an object's category can be told from what is not its shape. ``ScenesSpec`` says what each means.

    ``any_colour``: objects take any colour, also that of the background, and any amount of texture.
    """

    texture: float
    palette: float
    surroundings: float
    cooccurrence: float
    tail: float
    scales: tuple[float, float]
    any_colour: bool = False


@cache
def category_frequencies(tail: float) -> tuple[float, ...]:
    """Probability of each category over all scenes, proportional to ``rank ** -tail``; sums to 1."""
    weights = [exact_power(BY_FREQUENCY.index(name) + 1, -tail) for name in CATEGORIES]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


@cache
def scene_type_frequencies(tail: float) -> tuple[float, ...]:
    """Probability of each scene type: that of the categories at home in it together.

    So the frequencies of categories are the same at every strength of co-occurrence.
    """
    frequencies = category_frequencies(tail)
    return tuple(
        math.fsum(frequency for category, frequency in enumerate(frequencies) if scene_type_of(category) == scene_type)
        for scene_type in range(len(BACKGROUNDS))
    )


@cache
def category_probabilities(scene_type: int, cooccurrence: float, tail: float) -> tuple[float, ...]:
    """How probable each category is for one object of a scene type.

    ``(1 - s) f_c + s [c belongs to the type] f_c / F_t``, with the frequencies f of categories and F of types: at
    ``s`` = 0 the type says nothing about the categories; at 1 a scene holds only its type's own.
    """
    share = cooccurrence / scene_type_frequencies(tail)[scene_type]
    return tuple(
        frequency * (1.0 - cooccurrence + (share if scene_type_of(category) == scene_type else 0.0))
        for category, frequency in enumerate(category_frequencies(tail))
    )


def draw_scene(rng: np.random.Generator, fewest: int, most: int, cues: Cues) -> Scene:
    """Draw a scene of ``fewest`` to ``most`` objects (both included)."""
    scene_type = choose(rng, scene_type_frequencies(cues.tail))
    background, strokes = _draw_background(rng, scene_type, cues.surroundings)
    light = draw_light(rng)
    probabilities = category_probabilities(scene_type, cues.cooccurrence, cues.tail)
    objects: list[SceneObject] = []
    for _ in range(fewest + below(rng, most - fewest + 1)):
        category = choose(rng, probabilities)
        radius = draw_log_uniform(rng, *cues.scales)
        x, y = draw_place(rng, radius, objects)
        objects.append(
            SceneObject(
                category=category,
                x=x,
                y=y,
                radius=radius,
                matrix=draw_matrix(rng),
                look=_draw_look(rng, category, background, cues),
                shading=between(rng, 0.0, 0.3),
                bevel=between(rng, 0.0, 0.4),
            )
        )
    return Scene(scene_type, background, strokes, objects, light)


def _draw_background(rng: np.random.Generator, scene_type: int, strength: float) -> tuple[Look, list[Stroke]]:
    """The background and what lies about on it, in the scene type's palette with probability ``strength``."""
    kind = BACKGROUNDS[scene_type]
    surroundings = SURROUNDINGS[kind]
    kept = chance(rng, strength)
    background = Look(
        pattern=kind,
        first=surroundings.first.draw(rng) if kept else draw_colour(rng),
        second=surroundings.second.draw(rng) if kept else draw_colour(rng),
        amount=between(rng, *(surroundings.amount if kept else _BACKGROUND_AMOUNT)),
        frequency=between(rng, 1.5, 4.0),
        direction=draw_direction(rng),
        phase=(float(rng.random()), float(rng.random())),
    )
    strokes = [draw_stroke(rng) for _ in range(below(rng, _MOST_STROKES + 1))]
    if kept:
        strokes = [dataclasses.replace(stroke, colour=surroundings.second.draw(rng)) for stroke in strokes]
    return background, strokes


def _draw_look(rng: np.random.Generator, category: int, background: Look, cues: Cues) -> Look:
    own = CATEGORY_LOOKS[CATEGORIES[category]]
    if chance(rng, cues.texture):
        pattern, frequency, direction = own.pattern, own.draw_frequency(rng), _near(rng, own.direction)
    else:
        pattern, frequency = TEXTURES[below(rng, len(TEXTURES))], between(rng, 1.5, 3.5)
        direction = draw_direction(rng)
    if cues.any_colour:
        first, second = draw_colour(rng), draw_colour(rng)
    else:
        kept = chance(rng, cues.palette)
        first = _draw_contrasting(rng, own.first if kept else None, _colours_of(background), _LEAST_CONTRAST)
        second = _draw_contrasting(rng, own.second if kept else None, [first], _LEAST_TEXTURE_CONTRAST)
    return Look(
        pattern=pattern,
        first=first,
        second=second,
        amount=between(rng, *(_FREE_AMOUNT if cues.any_colour else TEXTURE_AMOUNT)),
        frequency=frequency,
        direction=direction,
        phase=(float(rng.random()), float(rng.random())),
    )


def _near(rng: np.random.Generator, tangent: float) -> tuple[float, float]:
    """A unit vector at about the angle of that tangent to the u axis."""
    x, y = 1.0 - tangent * (turn := between(rng, -_MOST_TURN, _MOST_TURN)), tangent + turn
    length = math.sqrt(x * x + y * y)
    return x / length, y / length


def _colours_of(background: Look) -> list[Colour]:
    """Both ends of what the background is painted in."""
    mixed = [a + background.amount * (b - a) for a, b in zip(background.first, background.second, strict=True)]
    return [background.first, (mixed[0], mixed[1], mixed[2])]


def _draw_contrasting(rng: np.random.Generator, tint: Tint | None, others: list[Colour], least: float) -> Colour:
    """A colour of the tint (None: any) that differs enough from all others, or the most different of a few."""
    best, most = (0.0, 0.0, 0.0), -1.0
    for _ in range(_COLOURS_TRIED):
        colour = draw_colour(rng) if tint is None else tint.draw(rng)
        contrast = min(difference(colour, other) for other in others)
        if contrast > most:
            best, most = colour, contrast
        if contrast >= least:
            break
    return best
