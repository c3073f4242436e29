"""How often the slots that MLS takes for positives share a category with their query, and why no oftener."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from pretrain import losses
from pretrain.data.annotations import multilabels
from pretrain.data.loading import uncached_dataset
from pretrain.data.sources import ImageFiles
from pretrain.diagnostics.figure import draw_pseudo_labels
from pretrain.diagnostics.files import BY_CATEGORY, CAUSES, PSEUDO_LABELS, Row, read_rows
from pretrain.diagnostics.measures import category_precision, pseudo_label_quality
from pretrain.diagnostics.mls_causes import compared_vectors, pseudo_label_causes
from pretrain.dictionary import NO_IMAGE
from pretrain.methods.mls import Mls, MlsRecipe
from pretrain.recipes.recipe import Recipe


class Measures:
    """Pseudo-labels held against the categories of ``data.annotations``.

    Cost: one forward pass of ``diagnostics.images`` images a measurement; with ``diagnostics.causes`` three more, and
    three of as many images as the dictionary has slots.

    Attributes:
        usable: whether any image has a category.
    """

    HAS_MAPS = False

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        self.recipe, self.images = recipe, images
        self.labels = multilabels(recipe.data.annotations, images)[0].bool()
        self.usable = bool(self.labels.any())

    def tables(self, mls: Mls) -> dict[str, list[Row]]:
        """Pseudo-labels of the next epoch's first images, as its first steps would pick them from the dictionary now.

        Nothing before training: no slot holds an image then.
        """
        if mls.dictionary.is_unused():
            return {}
        ids = mls.dictionary.image_ids.cpu()
        slot_labels = self.labels[ids.clamp(min=0)] & (ids != NO_IMAGE)[:, None]
        parts = [(self._pick_scores(mls, views), indices) for indices, views in self._queries(mls)]
        scores = torch.cat([part for part, _ in parts])
        indices = torch.cat([part for _, part in parts])
        own = mls.dictionary.holds_image(indices.to(mls.device)).cpu()
        excluded = own if mls.mls.own_view == "out" else torch.zeros_like(own)
        labels = self.labels[indices]
        empty = float((ids == NO_IMAGE).double().mean())
        ks = sorted({*(k for k in self.recipe.diagnostics.ks if k <= len(ids)), mls.mls.k})
        qualities = pseudo_label_quality(scores, labels, slot_labels, excluded, ks)
        rows = [{**dataclasses.asdict(found), "queries": len(indices), "empty_slots": empty} for found in qualities]
        shares, chances, holding = category_precision(scores, labels, slot_labels, excluded, mls.mls.k)
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

    def _queries(self, mls: Mls) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices and first views, n and n x 3 x S x S, of an epoch that training does not reach."""
        dataset = uncached_dataset(self.recipe, self.images)
        wanted = -(-self.recipe.diagnostics.images // self.recipe.schedule.batch_size)
        for step in range(min(wanted, dataset.steps_per_epoch)):
            batch = dataset.load_batch(self.recipe.schedule.epochs, step)
            views = batch.global_views[:, 0].to(mls.device)
            yield batch.indices.clone(), mls.network_input(views, batch.global_photometric[:, 0])

    def _pick_scores(self, mls: Mls, views: Tensor) -> Tensor:
        """What training would pick the pseudo-labels of these views by, float, n x D, on the CPU."""
        dictionary = mls.dictionary
        slots = dictionary.projections if mls.mls.dictionaries == "z_only" else dictionary.features
        return losses.similarities(compared_vectors(mls, mls.query_encoder, views), slots).cpu()

    def draw(self, measured: Path, figures: Path) -> list[Path]:
        """Draw what the files in ``measured`` say into ``figures``."""
        rows, by_category, causes = (read_rows(measured / name) for name in (PSEUDO_LABELS, BY_CATEGORY, CAUSES))
        k, path = self.recipe.section(MlsRecipe).k, figures / "diagnostics_pseudo_labels.png"
        return [draw_pseudo_labels(rows, by_category, causes, k, path)]
