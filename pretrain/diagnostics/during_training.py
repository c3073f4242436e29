"""What a method goes by, held against the truth while it is learnt, where ``data.annotations`` gives it.

MLS: how often the slots it takes for positives share a category with their query. Saliency: how well its maps fit the
objects. Training reads nothing of it, and a run with the diagnostics is equal to the bit to one without.

They are written to ``RUN/diagnostics`` as CSV, a line an epoch, and drawn in ``RUN/figures/diagnostics_*.png``.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from pretrain import losses
from pretrain.data.annotations import (
    KEY,
    UNIFORM,
    multilabels,
    object_maps,
)
from pretrain.data.loading import uncached_dataset
from pretrain.data.sources import ImageFiles
from pretrain.diagnostics.causes import compared_vectors, pseudo_label_causes
from pretrain.diagnostics.measures import category_precision, pseudo_label_quality, saliency_quality
from pretrain.dictionary import NO_IMAGE
from pretrain.methods.base import Method
from pretrain.methods.saliency_history import some_images
from pretrain.recipes.recipe import Recipe
from pretrain.saliency import to_float
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import write_text

if TYPE_CHECKING:
    from pretrain.methods.mls import Mls
    from pretrain.methods.saliency import Saliency

FOLDER = "diagnostics"
ABOUT, PSEUDO_LABELS, BY_CATEGORY, SALIENCY = "about.json", "pseudo_labels.csv", "by_category.csv", "saliency.csv"
CAUSES = "causes.csv"
MEASURED = ("mls", "saliency")
MASK_GRID = (64, 64)  # cells that the union of the objects is held against

Row = dict[str, Any]


class Diagnostics:
    """Measures every ``diagnostics.every_epochs`` epochs, and before training; the same images and crops each time.

    Cost: one forward pass of ``diagnostics.images`` images a measurement; with ``diagnostics.causes`` three more, and
    three of as many images as the dictionary has slots.

    Raises:
        UserError: asked for without ``data.annotations``, for a method that has neither pseudo-labels nor maps, or
            where no image has an object.
    """

    def __init__(self, recipe: Recipe, images: ImageFiles, out: Path) -> None:
        self.recipe, self.images, self.folder = recipe, images, out / FOLDER
        self.every = recipe.diagnostics.every_epochs
        if self.every is None:
            return
        if recipe.method not in MEASURED:
            raise UserError(
                f"diagnostics.every_epochs: {recipe.method} has neither pseudo-labels nor saliency maps "
                f"({' and '.join(MEASURED)} have); set diagnostics.every_epochs=null"
            )
        if not recipe.data.annotations:
            raise UserError(
                f"diagnostics.every_epochs: {self.every} needs the truth; add {KEY}=FILE, a COCO instances JSON, or "
                "set diagnostics.every_epochs=null"
            )
        if recipe.method == "mls":
            self.labels = multilabels(recipe.data.annotations, images)[0].bool()
            found = bool(self.labels.any())
        else:
            chosen = [images[index] for index in some_images(len(images), recipe.diagnostics.images)]
            shares = object_maps(recipe.data.annotations, chosen, MASK_GRID)
            covered = shares >= UNIFORM / 2
            # All of a map is covered where the JSON says nothing of the image.
            usable = covered.flatten(1).any(dim=1) & ~(shares == UNIFORM).flatten(1).all(dim=1)
            self.watched = [chosen[index] for index in usable.nonzero().flatten().tolist()]
            self.masks = covered[usable]
            found = bool(self.watched)
        if not found:
            raise UserError(f"{KEY}: none of the images that the diagnostics read holds an object")

    def at_epoch_boundary(self, method: Method, step: int, steps_per_epoch: int) -> float:
        """Measure, if it is due after ``step`` finished steps; the seconds it took.

        To be called wherever an epoch has just ended or a run starts or goes on, in one process that sees itself as the
        only one (:func:`pretrain.distributed.only_main`): it reads whole batches, so that what is found does not depend
        on how many processes train. What a file says of this step or later ones, left by a run that went on from here,
        is replaced.
        """
        if self.every is None or step % (self.every * steps_per_epoch):
            return 0.0
        started = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            tables = self._of_mls(method) if self.recipe.method == "mls" else self._of_saliency(method)
        self._write_about()
        for name, rows in tables.items():
            epoch = step // steps_per_epoch
            _replace_rows(self.folder / name, step, [{"epoch": epoch, "step": step, **row} for row in rows])
        return time.monotonic() - started

    def draw(self, figures: Path) -> list[Path]:
        """Draw what was measured."""
        if self.every is None:
            return []
        from pretrain.diagnostics.figure import draw_pseudo_labels, draw_saliency_quality

        if self.recipe.method == "mls":
            rows, by_category = read_rows(self.folder / PSEUDO_LABELS), read_rows(self.folder / BY_CATEGORY)
            causes, path = read_rows(self.folder / CAUSES), figures / "diagnostics_pseudo_labels.png"
            return [draw_pseudo_labels(rows, by_category, causes, self.recipe.mls.k, path)]
        return [draw_saliency_quality(read_rows(self.folder / SALIENCY), figures / "diagnostics_saliency.png")]

    def _of_mls(self, method: Method) -> dict[str, list[Row]]:
        """Pseudo-labels of the next epoch's first images, as its first steps would pick them from the dictionary now.

        Nothing before training: no slot holds an image then.
        """
        mls = cast("Mls", method)
        if mls.dictionary.is_unused():
            return {}
        ids = mls.dictionary.image_ids.cpu()
        slot_labels = self.labels[ids.clamp(min=0)] & (ids != NO_IMAGE)[:, None]
        parts = [(self._pick_scores(mls, views), indices) for indices, views in self._queries(mls)]
        scores = torch.cat([part for part, _ in parts])
        indices = torch.cat([part for _, part in parts])
        own = mls.dictionary.holds_image(indices.to(mls.device)).cpu()
        excluded = own if self.recipe.mls.own_view == "out" else torch.zeros_like(own)
        labels = self.labels[indices]
        empty = float((ids == NO_IMAGE).double().mean())
        ks = sorted({*(k for k in self.recipe.diagnostics.ks if k <= len(ids)), self.recipe.mls.k})
        qualities = pseudo_label_quality(scores, labels, slot_labels, excluded, ks)
        rows = [{**dataclasses.asdict(found), "queries": len(indices), "empty_slots": empty} for found in qualities]
        shares, chances, holding = category_precision(scores, labels, slot_labels, excluded, self.recipe.mls.k)
        by_category = [
            {
                "category": category,
                "images": int(self.labels[:, category].sum()),
                "slots": int(slot_labels[:, category].sum()),
                "queries": int(holding[category]),
                "precision": float(shares[category]),
                "chance_precision": float(chances[category]),
            }
            for category in range(self.labels.shape[1])
        ]
        tables: dict[str, list[Row]] = {PSEUDO_LABELS: rows, BY_CATEGORY: by_category}
        if self.recipe.diagnostics.causes:
            tables[CAUSES] = pseudo_label_causes(mls, self.labels, self.recipe.diagnostics.images, ks)
        return tables

    def _queries(self, method: Method) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices and first views, n and n x 3 x S x S, of an epoch that training does not reach."""
        dataset = uncached_dataset(self.recipe, self.images)
        wanted = -(-self.recipe.diagnostics.images // self.recipe.schedule.batch_size)
        for step in range(min(wanted, dataset.steps_per_epoch)):
            batch = dataset.load_batch(self.recipe.schedule.epochs, step)
            views = batch.global_views[:, 0].to(method.device)
            yield batch.indices.clone(), method.network_input(views, batch.global_photometric[:, 0])

    def _pick_scores(self, mls: Mls, views: Tensor) -> Tensor:
        """What training would pick the pseudo-labels of these views by, float, n x D, on the CPU."""
        dictionary = mls.dictionary
        slots = dictionary.projections if self.recipe.mls.dictionaries == "z_only" else dictionary.features
        return losses.similarities(compared_vectors(mls, mls.query_encoder, views), slots).cpu()

    def _of_saliency(self, method: Method) -> dict[str, list[Row]]:
        """The maps that ``saliency.source`` gives now, also while the warm-up still uses uniform ones."""
        maps = to_float(cast("Saliency", method).maps_of(self.watched, np.random.default_rng([self.recipe.seed])))
        own = saliency_quality(maps, self.masks)
        others = saliency_quality(maps.roll(1, 0), self.masks)  # what a bias to the centre is worth
        row = {**dataclasses.asdict(own), "other_iou": others.iou, "other_pointing": others.pointing}
        return {SALIENCY: [{**row, "images": len(self.watched)}]}

    def _write_about(self) -> None:
        """Whose they are, so that the folder can be copied away from its run."""
        recipe = self.recipe
        content = {"recipe": recipe.name, "method": recipe.method, "seed": recipe.seed}
        content |= {"identity": config_hash(recipe.identity()), "epochs": recipe.schedule.epochs}
        own = dataclasses.asdict(recipe.mls if recipe.method == "mls" else recipe.saliency)
        content |= {"settings": own, "views": dataclasses.asdict(recipe.views)}
        write_text(self.folder / ABOUT, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_rows(path: Path) -> list[dict[str, float]]:
    """The lines of one of the files; empty where it was not written."""
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _replace_rows(path: Path, step: int, rows: list[Row]) -> None:
    """Add the rows of ``step``, and drop those of this step and later ones."""
    kept = [row for row in read_rows(path) if row["step"] < step]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in [*kept, *rows]:
        writer.writerow({key: _text(value) for key, value in row.items()})
    write_text(path, buffer.getvalue())


def _text(value: float) -> str:
    """Whole numbers without a point, others with six digits behind it."""
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}"
