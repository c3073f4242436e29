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
from pretrain.diagnostics.measures import PseudoLabelQuality, category_precision, pseudo_label_quality
from pretrain.diagnostics.mls_causes import compared_vectors, pseudo_label_causes
from pretrain.dictionary import NO_IMAGE
from pretrain.methods.mls import Mls, MlsRecipe
from pretrain.pseudo_labels import labels_of_slots, oracle_scores, rarity
from pretrain.recipes.recipe import Recipe

TOLD = ("precision", "recall", "weighed_precision")
"""What is told of the nearest slots, and of the best, beside what training picks."""


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
        self.rarity = rarity(self.labels)
        self.usable = bool(self.labels.any())

    def tables(self, mls: Mls) -> dict[str, list[Row]]:
        """Pseudo-labels of the next epoch's first images, as its first steps would pick them from the dictionary now.

        Beside them the nearest slots, whatever ``mls.labels`` says, and the best k slots that there are by the labels:
        what any way of picking k of them could reach. Nothing while no slot holds an image, as before training.
        """
        if mls.dictionary.is_unused():
            return {}
        dictionary = mls.dictionary
        ids = dictionary.image_ids.cpu()
        slot_labels = labels_of_slots(self.labels, ids)
        parts = [(self._nearness(mls, views), indices) for indices, views in self._queries(mls)]
        nearness = torch.cat([part for part, _ in parts])
        indices = torch.cat([part for _, part in parts])
        own = dictionary.holds_image(indices.to(mls.device)).cpu()
        excluded = own if mls.mls.own_view == "out" else torch.zeros_like(own)
        labels = self.labels[indices]
        scores = {
            "topk": nearness,
            "oracle": oracle_scores(labels, slot_labels, self.rarity, dictionary.ages().cpu()),
            "random": torch.rand(nearness.shape),
        }
        ks = sorted({*(k for k in self.recipe.diagnostics.ks if k <= len(ids)), mls.mls.k})

        def qualities(way: str) -> list[PseudoLabelQuality]:
            return pseudo_label_quality(scores[way], labels, slot_labels, excluded, ks, self.rarity)

        beside: dict[str, float] = {"queries": len(indices), "empty_slots": float((ids == NO_IMAGE).double().mean())}
        rows = [
            {**dataclasses.asdict(found), **_told("nearest", near), **_told("oracle", best), **beside}
            for found, near, best in zip(qualities(mls.mls.labels), qualities("topk"), qualities("oracle"), strict=True)
        ]
        picks = scores[mls.mls.labels]
        shares, chances, holding = category_precision(picks, labels, slot_labels, excluded, mls.mls.k)
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

    def _nearness(self, mls: Mls, views: Tensor) -> Tensor:
        """How near each slot is to these views, as ``mls.labels=topk`` sees it, float, n x D, on the CPU."""
        dictionary = mls.dictionary
        slots = dictionary.projections if mls.mls.dictionaries == "z_only" else dictionary.features
        return losses.similarities(compared_vectors(mls, mls.query_encoder, views), slots).cpu()

    def draw(self, measured: Path, figures: Path) -> list[Path]:
        """Draw what the files in ``measured`` say into ``figures``."""
        rows, by_category, causes = (read_rows(measured / name) for name in (PSEUDO_LABELS, BY_CATEGORY, CAUSES))
        mls, path = self.recipe.section(MlsRecipe), figures / "diagnostics_pseudo_labels.png"
        picked = f"top {mls.k}" if mls.labels == "topk" else f"{mls.k} {mls.labels}"
        return [draw_pseudo_labels(rows, by_category, causes, mls.k, picked, path)]


def _told(name: str, quality: PseudoLabelQuality) -> Row:
    return {f"{name}_{measure}": getattr(quality, measure) for measure in TOLD}
