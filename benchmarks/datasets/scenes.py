"""``scenes``: a procedural data set of scene images with several objects and exact masks.

Each scene shows 2-4 objects of eighteen categories (plane shapes, see ``scene_shapes``) before one of six kinds of
background, with occlusion, clutter, shading, shadows, light, colour cast and noise.

What is tied to the category in version 2, and what is not. Each tie has a strength of 0-1 of its own:

* The **shape** is the category; it is never another's.
* ``texture`` p: with probability p an object has its category's pattern at about its typical frequency and direction,
  else any of the ten patterns. So a category's pattern is seen on p + (1 - p) / 10 of its objects.
* ``palette`` p: with probability p an object has its category's two colours: a hue within .45 of 6 of the typical one,
  saturation and value in typical ranges, a second colour for the pattern. Else any two colours.
* ``surroundings`` p: with probability p a scene's background and clutter have the palette of its type, else any
  colours. The kind of background always is that of the type.
* ``cooccurrence`` s: each scene type has three categories of its own, and an object comes from these with probability
  s + (1 - s) F, where F is their share of all objects (1/6 where ``tail`` is 0). So with s > 0 a scene can be partly
  "recognised" without looking at an object. How far, says the row *scene-type oracle* in every table on this data.
* Size, place, turn, mirror image, stretch, shear, phase and amount of the pattern are drawn the same way for all. An
  object's colours are chosen so that it stands out from the background and its pattern shows, within the palette where
  that is kept; this too is the same for all.

With ``texture``, ``palette``, ``surroundings`` and ``cooccurrence`` at 0 it is a board of shape alone. Two more
settings tie nothing:

* ``tail`` x: categories are as frequent as rank ^ -x, whatever the other strengths; at 0 all alike, at .5 the rarest of
  the eighteen has a quarter of the most frequent one's objects.
* ``scale_min``, ``scale_max``: objects' radii, as shares of the image's side, are log-uniform in between.

The looks themselves are constants, see ``scene_looks``. The variant ``hard`` has none of the ties, and an object takes
any colour, also that of its background, and any amount of texture (a pattern as strong as the shape, or none). What is
left to tell a category by is its shape.

**Version 1** is drawn on request: the shape alone is tied but for ``cooccurrence``, backgrounds take any colours,
categories are equally frequent and radii uniform in .18-.34.

Masks are of what is seen, not of what lies behind. An object of which less than 35 % is seen is taken out of the
picture, so that the annotations are complete and a few scenes hold fewer objects than drawn.

Scene i depends on the version, the seed, i, the size and the strengths alone, never on how many scenes there are; equal
arguments give equal bytes (with the JPEG library of the lock file). The splits are ranges of indices: train, then val,
then test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import scene_layout, scene_layout_v1
from benchmarks.datasets.contact_sheet import draw_contact_sheet
from benchmarks.datasets.existing_folder import already_built
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.parallel import run_in_chunks
from benchmarks.datasets.scene_parts import CATEGORIES
from benchmarks.datasets.scene_render import RenderedScene, render
from benchmarks.datasets.writing import (
    PreparedImage,
    instances_of,
    make_split_folders,
    write_description,
    write_jpeg,
    write_semantic,
    write_split,
)
from scenebench.errors import UserError, require_choice
from scenebench.staging import whole_folder

NAME = "scenes"
VERSIONS = (1, 2)
"""What can be drawn; the last is the default. Another comes when equal arguments are to give other data."""
VARIANTS = ("default", "hard")
TIES = ("texture", "palette", "surroundings", "cooccurrence")
"""The strengths that let a category be told by something else than its shape."""

_OF_VERSION: Any = None  # a default that depends on the version
_DEFAULTS: dict[int, dict[str, float]] = {
    1: {"texture": 0.0, "palette": 0.0, "surroundings": 0.0, "cooccurrence": 0.2, "tail": 0.0}
    | dict(zip(("scale_min", "scale_max"), scene_layout_v1.RADIUS, strict=True)),
    2: {"texture": 0.9, "palette": 0.35, "surroundings": 1.0, "cooccurrence": 0.45, "tail": 0.4}
    | {"scale_min": 0.14, "scale_max": 0.36},
}
_SINCE_2 = ("texture", "palette", "surroundings", "tail", "scale_min", "scale_max")


@dataclass(frozen=True)
class ScenesSpec:
    """What to generate; the module says what the strengths mean.

    Attributes:
        images: number of scenes over all splits.
        size: side in pixels.
        seed: not negative.
        cooccurrence: strength with which the scene type decides the categories, 0-1.
        objects_min, objects_max: objects drawn for a scene, both included.
        val_share, test_share: shares of the images; the rest is for training.
        variant: ``default``, or ``hard``: without ties, in any colour.
        version: of the generator.
        texture, palette, surroundings: strengths, 0-1. Version 1 has none.
        tail: exponent of the categories' frequencies, 0-2. Version 1 has none.
        scale_min, scale_max: range of objects' radii, shares of the side. Those of version 1 are fixed.
    """

    images: int = 2000
    size: int = 128
    seed: int = 0
    cooccurrence: float = _OF_VERSION
    objects_min: int = 2
    objects_max: int = 4
    val_share: float = 0.1
    test_share: float = 0.2
    variant: str = "default"
    version: int = VERSIONS[-1]
    texture: float = _OF_VERSION
    palette: float = _OF_VERSION
    surroundings: float = _OF_VERSION
    tail: float = _OF_VERSION
    scale_min: float = _OF_VERSION
    scale_max: float = _OF_VERSION

    def __post_init__(self) -> None:
        require_choice("scenes: variant", self.variant, VARIANTS)
        if self.version not in VERSIONS:
            raise UserError(f"scenes: version is {self.version}; it must be {' or '.join(map(str, VERSIONS))}")
        defaults = dict(_DEFAULTS[self.version])
        if self.variant == "hard":
            defaults |= dict.fromkeys(TIES, 0.0)
        for key, default in defaults.items():
            value = getattr(self, key)
            object.__setattr__(self, key, default if value is None else float(value))  # frozen
            if value in (None, default):
                continue
            if self.version == 1 and key in _SINCE_2:
                raise UserError(f"scenes: {key} is {value}, and in version 1 it is always {default:g}; leave it out")
            if self.variant == "hard" and key in TIES:
                raise UserError(f"scenes: {key} is {value}, and variant hard has none; leave it out, or set it to 0")
        checks = {
            "images": (self.images >= 3, "at least 3, one for each split"),
            "size": (16 <= self.size <= 4096, "between 16 and 4096 pixels"),
            "seed": (self.seed >= 0, "not negative"),
            **{key: (0.0 <= getattr(self, key) <= 1.0, "between 0 and 1") for key in TIES},
            "tail": (0.0 <= self.tail <= 2.0, "between 0 and 2"),
            "scale_min": (0.03 <= self.scale_min <= 0.45, "between 0.03 and 0.45"),
            "scale_max": (self.scale_min <= self.scale_max <= 0.45, "at least scale_min and at most 0.45"),
            "objects_min": (self.objects_min >= 1, "at least 1"),
            "objects_max": (self.objects_min <= self.objects_max <= 20, "at least objects_min and at most 20"),
            "val_share": (0.0 < self.val_share < 1.0, "between 0 and 1"),
            "test_share": (0.0 < self.test_share < 1.0 - self.val_share, "between 0 and 1 - val_share"),
        }
        for key, (holds, expected) in checks.items():
            if not holds:
                raise UserError(f"scenes: {key} is {getattr(self, key)}; it must be {expected}")

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value, as plain data; of version 1 without the keys that came later."""
        values = dataclasses.asdict(self)
        return {key: values[key] for key in values if self.version > 1 or key not in (*_SINCE_2, "version")}

    @property
    def identity(self) -> dict[str, Any]:
        """What the data depend on, but the version; the variant, which came later, only if not the default."""
        without = ("version", "variant") if self.variant == "default" else ("version",)
        return {key: value for key, value in self.resolved.items() if key not in without}

    @property
    def cues(self) -> scene_layout.Cues:
        """The strengths, for version 2's layout."""
        return scene_layout.Cues(
            **{key: getattr(self, key) for key in TIES},
            tail=self.tail,
            scales=(self.scale_min, self.scale_max),
            any_colour=self.variant == "hard",
        )

    @property
    def splits(self) -> dict[str, range]:
        """The scene indices of each split."""
        test = max(1, round(self.images * self.test_share))
        val = max(1, round(self.images * self.val_share))
        train = self.images - val - test
        return {
            "train": range(train),
            "val": range(train, train + val),
            "test": range(train + val, self.images),
        }


def render_scene(spec: ScenesSpec, index: int) -> RenderedScene:
    """Scene ``index`` of the endless series that ``spec`` names; ``spec.images`` plays no part."""
    rng = np.random.Generator(np.random.PCG64([spec.seed, index]))
    fewest, most, hard = spec.objects_min, spec.objects_max, spec.variant == "hard"
    if spec.version == 1:
        ties = scene_layout_v1.FREE if hard else scene_layout_v1.TIED
        scene = scene_layout_v1.draw_scene(rng, spec.cooccurrence, fewest, most, ties)
    else:
        scene = scene_layout.draw_scene(rng, fewest, most, spec.cues)
    return render(scene, spec.size, rng)


def generate_scenes(out: Path | str, spec: ScenesSpec, workers: int = 1) -> DatasetFolder:
    """Write the data set to ``out``, or return it where it already is.

    Raises:
        UserError: ``out`` holds something else, or cannot be written.
    """
    out = Path(out)
    source = spec.identity
    existing = already_built(out, NAME, str(spec.version), source)
    if existing is not None:
        return existing
    categories = list(enumerate(CATEGORIES, start=1))
    with whole_folder(out) as root:
        images: dict[str, list[PreparedImage]] = {}
        for split, indices in spec.splits.items():
            make_split_folders(root, split)
            write = partial(_write_scenes, root=root, split=split, spec=spec)
            images[split] = run_in_chunks(write, indices, label=f"scenes {split}", workers=workers)
            write_split(root, split, categories, images[split])
        folder = DatasetFolder(
            root=out,
            name=NAME,
            version=str(spec.version),
            fingerprint="",
            categories=CATEGORIES,
            splits={split: len(entries) for split, entries in images.items()},
            source=source,
        )
        draw_contact_sheet(root, "train", images["train"], CATEGORIES, _title(spec))
        return write_description(root, folder)


def _title(spec: ScenesSpec) -> str:
    return f"scenes, seed {spec.seed}" if spec.version == 1 else f"scenes, version {spec.version}, seed {spec.seed}"


def _write_scenes(indices: Sequence[int], root: Path, split: str, spec: ScenesSpec) -> list[PreparedImage]:
    return [_write_scene(root, split, spec, index) for index in indices]


def _write_scene(root: Path, split: str, spec: ScenesSpec, index: int) -> PreparedImage:
    scene = render_scene(spec, index)
    stem = f"{index:08d}"
    labels = np.array([0, *(1 + category for category in scene.categories)], dtype=np.uint8)
    write_jpeg(root / "images" / split / f"{stem}.jpg", scene.image)
    write_semantic(root / "semantic" / split / f"{stem}.png", labels[scene.instances])
    return PreparedImage(
        file_name=f"{stem}.jpg",
        width=spec.size,
        height=spec.size,
        instances=instances_of(scene.instances, scene.categories),
        scene_type=scene.scene_type,
    )
