"""``scenes``: a procedural data set of scene images with several objects and exact masks.

Each scene shows 2-4 objects of eighteen categories (plane shapes, see ``scene_shapes``) before one of six kinds of
background, with occlusion, clutter, shading, shadows, light, colour cast and noise.

What is tied, and what is not:

* The **category** is the shape, and nothing else. Hue, saturation, texture, size, place, turn, mirror image, stretch
  and shear are drawn the same way for all of them: no category can be told by its colour or texture. (An object's
  colour does avoid that of the background, so that it can be seen; this too is the same for all.)
* The **scene type** is the kind of background, in any colours. It makes categories co-occur: each type has three
  categories of its own, and with strength ``cooccurrence`` s an object comes from these with probability
  s + (1 - s) / 6. At s = 0 neither the background nor the other objects say anything about an object.
* So with s > 0 a scene can be partly "recognised" without looking at an object. How far, says the row *scene-type
  oracle* that stands in every table on this data.

The variant ``hard`` has none of that: its co-occurrence is 0, an object takes any colour, also that of its background,
and its texture is as strong as chance has it (see ``scene_layout``). What is left to tell a category by is its shape.

Masks are of what is seen, not of what lies behind. An object of which less than 35 % is seen is taken out of the
picture, so that the annotations are complete and a few scenes hold fewer objects than drawn.

Scene i depends on the seed, i, the size and the strengths alone, never on how many scenes there are; equal arguments
give equal bytes (with the JPEG library of the lock file). The splits are ranges of indices: train, then val, then test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets.contact_sheet import draw_contact_sheet
from benchmarks.datasets.existing_folder import already_built
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.parallel import run_in_chunks
from benchmarks.datasets.scene_layout import CATEGORIES, FREE, TIED, draw_scene
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
VERSION = "1"
"""Rises when equal arguments would give other data."""
VARIANTS = ("default", "hard")
DEFAULT_COOCCURRENCE = 0.2


@dataclass(frozen=True)
class ScenesSpec:
    """What to generate.

    Attributes:
        images: number of scenes over all splits.
        size: side in pixels.
        seed: not negative.
        cooccurrence: strength with which the scene type decides the categories, 0-1.
        objects_min, objects_max: objects drawn for a scene, both included.
        val_share, test_share: shares of the images; the rest is for training.
        variant: ``default``, or ``hard``: without shortcuts; its ``cooccurrence`` is 0.
    """

    images: int = 2000
    size: int = 128
    seed: int = 0
    cooccurrence: float = DEFAULT_COOCCURRENCE
    objects_min: int = 2
    objects_max: int = 4
    val_share: float = 0.1
    test_share: float = 0.2
    variant: str = "default"

    def __post_init__(self) -> None:
        require_choice("scenes: variant", self.variant, VARIANTS)
        if self.variant == "hard":
            if self.cooccurrence not in (0.0, DEFAULT_COOCCURRENCE):
                raise UserError(
                    f"scenes: cooccurrence is {self.cooccurrence}, and variant hard has none; leave it out, or set it "
                    "to 0"
                )
            object.__setattr__(self, "cooccurrence", 0.0)  # frozen
        checks = {
            "images": (self.images >= 3, "at least 3, one for each split"),
            "size": (16 <= self.size <= 4096, "between 16 and 4096 pixels"),
            "seed": (self.seed >= 0, "not negative"),
            "cooccurrence": (0.0 <= self.cooccurrence <= 1.0, "between 0 and 1"),
            "objects_min": (self.objects_min >= 1, "at least 1"),
            "objects_max": (self.objects_min <= self.objects_max <= 20, "at least objects_min and at most 20"),
            "val_share": (0.0 < self.val_share < 1.0, "between 0 and 1"),
            "test_share": (0.0 < self.test_share < 1.0 - self.val_share, "between 0 and 1 - val_share"),
        }
        for key, (holds, expected) in checks.items():
            if not holds:
                raise UserError(f"scenes: {key} is {getattr(self, key)}; it must be {expected}")

    @property
    def identity(self) -> dict[str, Any]:
        """What the data depend on; without the variant, which came later, where it is the default."""
        values = dataclasses.asdict(self)
        if self.variant == "default":
            del values["variant"]
        return values

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
    ties = FREE if spec.variant == "hard" else TIED
    scene = draw_scene(rng, spec.cooccurrence, spec.objects_min, spec.objects_max, ties)
    return render(scene, spec.size, rng)


def generate_scenes(out: Path | str, spec: ScenesSpec, workers: int = 1) -> DatasetFolder:
    """Write the data set to ``out``, or return it where it already is.

    Raises:
        UserError: ``out`` holds something else, or cannot be written.
    """
    out = Path(out)
    source = spec.identity
    existing = already_built(out, NAME, VERSION, source)
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
            version=VERSION,
            fingerprint="",
            categories=CATEGORIES,
            splits={split: len(entries) for split, entries in images.items()},
            source=source,
        )
        draw_contact_sheet(root, "train", images["train"], CATEGORIES, title=f"scenes, seed {spec.seed}")
        return write_description(root, folder)


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
