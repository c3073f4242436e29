"""Figures 3 and 4 of MLS: scores of one image against both dictionaries, and crops with their neighbours in Q_g."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from pretrain import losses
from pretrain.data.loading import uncached_dataset
from pretrain.data.views import Batch
from pretrain.dictionary import NO_IMAGE
from pretrain.figures import thumbnails
from pretrain.figures.thumbnails import in_epochs, outline, show
from pretrain.methods.base import build_method
from pretrain.networks import encode_without_trace

if TYPE_CHECKING:
    from pretrain.methods.mls import Mls

QUERY, NEIGHBOUR = "#e6194b", "#ffd92f"
BACKBONE_BLUE, MLP_BLUE = "#1f3b73", "#7fb3e6"


def draw_pseudo_positives(method: Mls, path: Path, epochs: float, queries: int = 6, neighbours: int = 4) -> Path:
    """Figure 4: crops (red) and the crops nearest to them in Q_g (yellow), the query's own image excluded.

    Args:
        epochs: that the method has been trained for.
    """
    batch = one_batch(method)
    features, _ = query_outputs(method, batch)
    dictionary = method.dictionary
    scores = losses.similarities(losses.normalise(features), dictionary.features)
    unusable = dictionary.holds_image(batch.indices.to(scores.device)) | (dictionary.image_ids == NO_IMAGE)
    scores = scores.masked_fill(unusable, -torch.inf)
    found = scores.topk(min(neighbours, dictionary.size), dim=1)

    queries = min(queries, len(batch.indices))
    rows, groups = -(-queries // 2), 2
    figure = Figure(figsize=(0.98 * groups * (neighbours + 1.25), 1.16 * rows + 0.35), layout="constrained")
    # A narrow empty column between the groups.
    widths = ([1.0] * (neighbours + 1) + [0.25]) * groups
    axes = figure.subplots(rows, len(widths) - 1, squeeze=False, width_ratios=widths[:-1])
    for axis in axes.flat:
        axis.set_axis_off()
    for query in range(queries):
        row, first = query // groups, (query % groups) * (neighbours + 2)
        show(axes[row, first], method.images[int(batch.indices[query])], "query")
        outline(axes[row, first], batch.global_boxes[query, 0], QUERY, 3.0)
        for rank, (score, slot) in enumerate(
            zip(found.values[query].tolist(), found.indices[query].tolist(), strict=True)
        ):
            if score == -torch.inf:
                continue
            axis = axes[row, first + 1 + rank]
            show(axis, method.images[int(dictionary.image_ids[slot])], f"{score:.2f}")
            outline(axis, dictionary.boxes[slot].cpu(), NEIGHBOUR, 1.6)
    figure.suptitle(
        f"Crops (red), and the nearest crops of other images in $Q_g$ (yellow) with the cosine; {_when(epochs)}",
        fontsize=10,
    )
    return thumbnails.save(figure, path)


def draw_score_histograms(method: Mls, path: Path, epochs: float) -> Path:
    """Figure 3: scores of one image against all slots, by backbone features (left) and embeddings (right).

    The state before training is that of a method freshly built from the recipe's seed, its dictionaries as the first
    step finds them.

    Args:
        epochs: that the method has been trained for.
    """
    with torch.random.fork_rng(devices=[]):
        untrained = cast("Mls", build_method(method.recipe, method.images)).to(method.device, method.dtype)
        untrained.on_epoch_start(0)
    batch = one_batch(method)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for row, (when, state) in enumerate((("before training", untrained), (_when(epochs), method))):
        features, embeddings = query_outputs(state, batch)
        dictionary = state.dictionary
        own = dictionary.holds_image(batch.indices[:1].to(method.device))[0].cpu().numpy()
        for column, (vectors, slots, name, colour) in enumerate(
            (
                (features, dictionary.features, "$g_1 \\cdot Q_g$", BACKBONE_BLUE),
                (embeddings, dictionary.projections, "$z_1 \\cdot Q_z$", MLP_BLUE),
            )
        ):
            scores = losses.similarities(losses.normalise(vectors[:1]), slots)[0].cpu().numpy()
            axis = axes[row, column]
            axis.hist(scores, bins=min(100, max(10, len(scores) // 20)), density=True, color=colour)
            if column == (1 if method.mls.dictionaries == "z_only" else 0):
                _mark_top_k(axis, scores, own, method)
            axis.set_title(f"{when}: {name}", fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8, labelbottom=True)
        axes[row, 0].set_ylabel("density", fontsize=8)
    figure.suptitle(
        f"Scores (cosines) of one image against the {method.dictionary.size} slots of each dictionary", fontsize=10
    )
    return thumbnails.save(figure, path)


def _mark_top_k(axis: Axes, scores: np.ndarray, own: np.ndarray, method: Mls) -> None:
    """The least score of a positive; slots of the own image count only where they are labels in training."""
    mls = method.mls
    if mls.labels != "topk":
        return  # positives are not the nearest
    eligible = scores[~own] if mls.own_view == "out" else scores
    if len(eligible) < mls.k:
        return
    axis.axvline(np.sort(eligible)[-mls.k], color=QUERY, linewidth=1, label=f"top {mls.k}")
    axis.legend(frameon=False, fontsize=8)


def one_batch(method: Mls) -> Batch:
    """A batch as the first of the epoch after the last one would be."""
    return uncached_dataset(method.recipe, method.images).load_batch(method.recipe.schedule.epochs, 0)


def query_outputs(method: Mls, batch: Batch) -> tuple[Tensor, Tensor]:
    """g1 and z1 as in training (batch statistics, augmentation), leaving no trace in the method."""
    views = method.network_input(batch.global_views[:, 0].to(method.device), batch.global_photometric[:, 0])
    return encode_without_trace(method.query_encoder, views)


def _when(epochs: float) -> str:
    return f"after {in_epochs(epochs)}" if epochs else "before training"


def draw_all(method: Mls, folder: Path, epochs: float) -> list[Path]:
    """Figures 3 and 4 of the paper, from the dictionaries as they are now."""
    return [
        draw_score_histograms(method, folder / "score_histograms.png", epochs),
        draw_pseudo_positives(method, folder / "pseudo_positives.png", epochs),
    ]
