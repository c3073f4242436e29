"""Why the nearest slots of MLS are as right as they are: the same picks again, without what may spoil them.

Three things may: the keys are stale (encoded up to D / B steps ago by a key encoder that has moved since), colours and
sharpness of both views are changed at random, and both views are crops. They are taken away one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pretrain.data.loading import uncached_dataset
from pretrain.data.whole_images import whole_image_batches
from pretrain.diagnostics.measures import pseudo_label_quality
from pretrain.losses import normalise, similarities
from pretrain.methods.mls import Mls
from pretrain.networks import Encoder, encode_without_trace
from pretrain.pseudo_labels import rarity

CONDITIONS = {"fresh": "fresh keys", "uncoloured": "and unchanged colours", "whole": "and whole images"}
"""Keys of the encoder as it is now; besides, crops as they were cut; besides, whole images in place of crops."""


def pseudo_label_causes(mls: Mls, labels: Tensor, queries: int, ks: Sequence[int]) -> list[dict[str, float]]:
    """Precision of the k nearest keys under each of :data:`CONDITIONS`, of equally many keys as there are slots.

    Queries are first views by the query encoder, keys second views by the key encoder, both with the statistics of
    their batches as in training; of epochs that training does not reach. Keys of the query's own image are left out.

    Args:
        labels: bool, images x categories.
        queries: how many, in whole batches.
        ks: each at least 1.

    Returns:
        A line for each k: ``k``, ``chance_precision`` (of all conditions alike, for their images are the same) and
        ``<condition>_precision``, shares in 0..1.
    """
    epochs = mls.recipe.schedule.epochs
    query_images, asked = _encoded(mls, mls.query_encoder, 0, epochs, queries)
    key_images, kept = _encoded(mls, mls.key_encoder, 1, epochs + 1, mls.dictionary.size)
    own = query_images[:, None] == key_images[None, :]
    lines: list[dict[str, float]] = [{"k": k} for k in ks]
    for condition in CONDITIONS:
        scores = similarities(asked[condition], kept[condition])
        found = pseudo_label_quality(scores, labels[query_images], labels[key_images], own, list(ks), rarity(labels))
        for line, quality in zip(lines, found, strict=True):
            line["chance_precision"] = quality.chance_precision
            line[f"{condition}_precision"] = quality.precision
    return lines


def _encoded(mls: Mls, encoder: Encoder, view: int, epoch: int, wanted: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Indices of at least ``wanted`` images, n, and their vectors of unit length under each condition, n x d, CPU."""
    recipe = mls.recipe
    dataset = uncached_dataset(recipe, mls.images)
    indices: list[Tensor] = []
    vectors: dict[str, list[Tensor]] = {condition: [] for condition in CONDITIONS}
    for step in range(min(-(-wanted // dataset.batch_size), dataset.steps_per_epoch)):
        batch = dataset.load_batch(epoch, step)
        crops = batch.global_views[:, view].to(mls.device)
        files = [mls.images[index] for index in batch.indices.tolist()]
        ((_, whole),) = whole_image_batches(files, recipe.views.crop_size, len(files))
        inputs = {
            "fresh": mls.network_input(crops, batch.global_photometric[:, view]),
            "uncoloured": mls.normalised(crops),
            "whole": mls.normalised(whole),
        }
        for condition, images in inputs.items():
            vectors[condition].append(compared_vectors(mls, encoder, images).cpu())
        indices.append(batch.indices.clone())
    return torch.cat(indices), {condition: torch.cat(parts) for condition, parts in vectors.items()}


def compared_vectors(mls: Mls, encoder: Encoder, images: Tensor) -> Tensor:
    """What the recipe picks pseudo-labels by, n x d of unit length: backbone features, or embeddings (``z_only``)."""
    features, embeddings = encode_without_trace(encoder, images)
    return normalise(embeddings if mls.mls.dictionaries == "z_only" else features)
