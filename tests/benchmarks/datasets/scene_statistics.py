"""What tests read off drawn layouts: hues, categories and how much one thing says about another."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.datasets.scene_layout import draw_scene
from benchmarks.datasets.scene_parts import Colour, Scene
from benchmarks.datasets.scenes import ScenesSpec


def layouts(count: int, spec: ScenesSpec) -> list[Scene]:
    """The first layouts of version 2."""
    generators = (np.random.Generator(np.random.PCG64([spec.seed, index])) for index in range(count))
    return [draw_scene(rng, spec.objects_min, spec.objects_max, spec.cues) for rng in generators]


def hue_of(colour: Colour) -> float:
    """Hue on the circle of length 6."""
    red, green, blue = colour
    most, least = max(colour), min(colour)
    if most == least:
        return 0.0
    if most == red:
        return ((green - blue) / (most - least)) % 6.0
    if most == green:
        return (blue - red) / (most - least) + 2.0
    return (red - green) / (most - least) + 4.0


def hue_distance(one: float, other: float) -> float:
    """Along the circle."""
    return abs((one - other + 3.0) % 6.0 - 3.0)


def binned(values: ArrayLike, bins: int = 6) -> NDArray[np.int64]:
    """Numbers as classes of equal size."""
    array = np.asarray(values, dtype=np.float64)
    return np.searchsorted(np.quantile(array, np.linspace(0, 1, bins + 1)[1:-1]), array)


def tells(about: NDArray[np.int64], values: NDArray[np.int64]) -> float:
    """Mutual information over the largest of twenty shuffles: at most about 1 where ``values`` say nothing."""
    rng = np.random.default_rng(0)
    shuffled = max(_mutual_information(rng.permutation(about), values) for _ in range(20))
    return _mutual_information(about, values) / shuffled


def _mutual_information(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """In nats."""
    width = second.max() + 1
    joint = np.bincount(first * width + second, minlength=(first.max() + 1) * width).reshape(-1, width) / len(first)
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())
