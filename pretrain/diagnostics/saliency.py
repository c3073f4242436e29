"""How well the saliency maps fit the objects."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from pretrain.data.annotations import UNIFORM, object_maps
from pretrain.data.sources import ImageFiles
from pretrain.diagnostics.figure import draw_saliency_quality
from pretrain.diagnostics.files import SALIENCY, Row, read_rows
from pretrain.diagnostics.measures import saliency_quality
from pretrain.methods.saliency.history import some_images
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.recipe import Recipe
from pretrain.saliency import to_float

MASK_GRID = (64, 64)  # cells that the union of the objects is held against


class Measures:
    """Maps held against the union of the objects in ``data.annotations``.

    Cost: the maps of ``diagnostics.images`` images a measurement.

    Attributes:
        usable: whether any image has an object.
    """

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        self.recipe = recipe
        chosen = [images[index] for index in some_images(len(images), recipe.diagnostics.images)]
        shares = object_maps(recipe.data.annotations, chosen, MASK_GRID)
        covered = shares >= UNIFORM / 2
        # All of a map is covered where the JSON says nothing of the image.
        held = covered.flatten(1).any(dim=1) & ~(shares == UNIFORM).flatten(1).all(dim=1)
        self.watched = [chosen[index] for index in held.nonzero().flatten().tolist()]
        self.masks = covered[held]
        self.usable = bool(self.watched)

    def tables(self, method: Saliency) -> dict[str, list[Row]]:
        """The maps that ``saliency.source`` gives now, also while the warm-up still uses uniform ones."""
        maps = to_float(method.maps_of(self.watched, np.random.default_rng([self.recipe.seed])))
        own = saliency_quality(maps, self.masks)
        others = saliency_quality(maps.roll(1, 0), self.masks)  # what a bias to the centre is worth
        row = {**dataclasses.asdict(own), "other_iou": others.iou, "other_pointing": others.pointing}
        return {SALIENCY: [{**row, "images": len(self.watched)}]}

    def draw(self, measured: Path, figures: Path) -> list[Path]:
        """Draw what the file in ``measured`` says into ``figures``."""
        return [draw_saliency_quality(read_rows(measured / SALIENCY), figures / "diagnostics_saliency.png")]
