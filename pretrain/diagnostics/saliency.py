"""How well the saliency maps fit the objects, and what people find salient."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from pretrain.data.annotations import UNIFORM, object_maps
from pretrain.data.sources import ImageFiles
from pretrain.diagnostics.figure import draw_against_people, draw_saliency_quality
from pretrain.diagnostics.files import PEOPLE, SALIENCY, Row, read_rows
from pretrain.diagnostics.measures import saliency_quality
from pretrain.diagnostics.people import People
from pretrain.methods.saliency.history import some_images
from pretrain.methods.saliency.keys import MODEL_SOURCES
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.recipe import Recipe
from pretrain.saliency import to_float
from scenebench.salient_quality import centre_prior, in_cells

MASK_GRID = (64, 64)  # cells that the union of the objects is held against


class Measures:
    """Maps held against the union of the objects in ``data.annotations``, and against people where there are some.

    Cost: the maps of ``diagnostics.images`` images a measurement, and once more of the network itself where
    ``saliency.source`` is a control or the oracle; with ``diagnostics.human_root`` of as many of these.

    Attributes:
        usable: whether there is anything to hold maps against.
    """

    HAS_MAPS = True

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        self.recipe = recipe
        self.watched: ImageFiles = []
        if recipe.data.annotations:
            chosen = [images[index] for index in some_images(len(images), recipe.diagnostics.images)]
            shares = object_maps(recipe.data.annotations, chosen, MASK_GRID)
            covered = shares >= UNIFORM / 2
            # All of a map is covered where the JSON says nothing of the image.
            held = covered.flatten(1).any(dim=1) & ~(shares == UNIFORM).flatten(1).all(dim=1)
            self.watched = [chosen[index] for index in held.nonzero().flatten().tolist()]
            self.masks = covered[held]
        self.people = People(recipe.diagnostics) if recipe.diagnostics.human_root else None
        self.usable = bool(self.watched) or not recipe.data.annotations

    def tables(self, method: Saliency) -> dict[str, list[Row]]:
        """The maps that ``saliency.source`` gives now, also while the warm-up still uses uniform ones."""
        tables: dict[str, list[Row]] = {}
        if self.watched:
            tables[SALIENCY] = [self._against_objects(method)]
        if self.people is not None:
            tables[PEOPLE] = [self.people.row(method)]
        return tables

    def _against_objects(self, method: Saliency) -> Row:
        """The maps of the source, of the network itself, and what the controls reach by the same measures."""
        maps = to_float(method.maps_of(self.watched, np.random.default_rng([self.recipe.seed])))
        asks_network = method.local.source in MODEL_SOURCES
        compared = {
            "other": maps.roll(1, 0),  # what a bias to the centre is worth
            "model": maps if asks_network else to_float(method.model_maps_of(self.watched)),
            "centre": centre_prior(MASK_GRID).expand(self.masks.shape),
            "uniform": torch.ones_like(maps),
            "known": torch.stack([in_cells(mask, method.maps.size) for mask in self.masks]),
        }
        row: Row = dataclasses.asdict(saliency_quality(maps, self.masks))
        for name, of_control in compared.items():
            found = saliency_quality(of_control, self.masks)
            row |= {f"{name}_iou": found.iou, f"{name}_pointing": found.pointing, f"{name}_mass": found.mass}
        return {**row, "images": len(self.watched)}

    def draw(self, measured: Path, figures: Path) -> list[Path]:
        """Draw what the file in ``measured`` says into ``figures``."""
        drawn = []
        if self.watched:
            drawn.append(draw_saliency_quality(read_rows(measured / SALIENCY), figures / "diagnostics_saliency.png"))
        if self.people is not None:
            drawn.append(draw_against_people(read_rows(measured / PEOPLE), figures / "diagnostics_saliency_human.png"))
        return drawn
