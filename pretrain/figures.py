"""Pictures of what a method has learnt, drawn from its state at the end of a run.

MLS: figure 3 (scores of one image against both dictionaries, before and after training) and figure 4 (a crop and its
nearest neighbours in Q_g) of the paper. Saliency: maps over images, and boxes drawn at random beside boxes drawn by
saliency.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from pretrain import losses, saliency
from pretrain.box_sampling import draw_pairs
from pretrain.data import PretrainDataset
from pretrain.dictionary import NO_IMAGE
from pretrain.images import decode_image
from pretrain.networks import evaluating, unchanged_running_statistics
from pretrain.views import Batch, resize
from pretrain.whole_images import whole_image_batches
from scenebench.files import replacing

if TYPE_CHECKING:
    from pretrain.methods.mls import Mls
    from pretrain.methods.saliency import Saliency

THUMBNAIL = 224  # pixels
QUERY, NEIGHBOUR = "#e6194b", "#ffd92f"
PAIR_COLOURS = ("#00c2ff", "#ff9f1c", "#7fff5a", "#ff5ad1")
BACKBONE_BLUE, MLP_BLUE = "#1f3b73", "#7fb3e6"


def draw_pseudo_positives(method: Mls, path: Path, queries: int = 6, neighbours: int = 4) -> None:
    """Figure 4: crops (red) and the crops nearest to them in Q_g (yellow), the query's own image excluded."""
    batch = _one_batch(method)
    features, _ = _query_outputs(method, batch)
    dictionary = method.dictionary
    scores = losses.similarities(losses.normalise(features), dictionary.features)
    unusable = dictionary.holds_image(batch.indices.to(scores.device)) | (dictionary.image_ids == NO_IMAGE)
    scores = scores.masked_fill(unusable, -torch.inf)
    found = scores.topk(min(neighbours, dictionary.size), dim=1)

    rows, groups = -(-queries // 2), 2
    figure = Figure(figsize=(1.25 * groups * (neighbours + 1.25), 1.42 * rows + 0.35), layout="constrained")
    axes = figure.subplots(rows, groups * (neighbours + 1), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for query in range(min(queries, len(batch.indices))):
        row, first = query // groups, (query % groups) * (neighbours + 1)
        image, box = int(batch.indices[query]), batch.global_boxes[query, 0]
        _show(axes[row, first], decode_image(method.images[image]), "query" if row == 0 else "")
        _outline(axes[row, first], box, QUERY, 3.0)
        for rank, (score, slot) in enumerate(
            zip(found.values[query].tolist(), found.indices[query].tolist(), strict=True)
        ):
            if score == -torch.inf:
                continue
            axis = axes[row, first + 1 + rank]
            _show(axis, decode_image(method.images[int(dictionary.image_ids[slot])]), f"{score:.2f}")
            _outline(axis, dictionary.boxes[slot].cpu(), NEIGHBOUR, 1.6)
    figure.suptitle("Crops (red) and their nearest neighbours in $Q_g$ (yellow) with the cosine", fontsize=10)
    _save(figure, path)


def draw_score_histograms(method: Mls, path: Path) -> None:
    """Figure 3: scores of one image against all slots, by backbone features (left) and embeddings (right).

    The state before training is that of a method freshly built from the recipe's seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(method.recipe.seed)
        untrained = type(method)(method.recipe, method.images).to(method.device)
    batch = _one_batch(method)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col")
    for row, (when, state) in enumerate((("before", untrained), ("after", method))):
        features, embeddings = _query_outputs(state, batch)
        for column, (vectors, slots, name, colour) in enumerate(
            (
                (features, state.dictionary.features, "$g_1 \\cdot Q_g$", BACKBONE_BLUE),
                (embeddings, state.dictionary.projections, "$z_1 \\cdot Q_z$", MLP_BLUE),
            )
        ):
            scores = losses.similarities(losses.normalise(vectors[:1]), slots)[0].cpu().numpy()
            axis = axes[row, column]
            axis.hist(scores, bins=min(100, max(10, len(scores) // 20)), density=True, color=colour)
            if column == 0:
                threshold = np.sort(scores)[-method.recipe.mls.k]
                axis.axvline(threshold, color=QUERY, linewidth=1, label=f"top {method.recipe.mls.k}")
                axis.legend(frameon=False, fontsize=8)
            axis.set_title(f"{when} training: {name}", fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8)
        axes[row, 0].set_ylabel("density", fontsize=8)
    figure.suptitle(f"Scores of one image against {method.dictionary.size} slots", fontsize=10)
    _save(figure, path)


def draw_saliency_overlays(method: Saliency, path: Path, count: int = 12) -> None:
    """Images, and the same under the map that the momentum encoder makes of them now."""
    chosen = _some_images(len(method.images), count)
    maps = _current_maps(method, chosen)
    columns = min(6, max(1, len(maps)))
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(1.5 * columns, 3.05 * rows + 0.35), layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (index, saliency_map) in enumerate(maps.items()):
        image = decode_image(method.images[index])
        row, column = 2 * (place // columns), place % columns
        _show(axes[row, column], image)
        _show(axes[row + 1, column], image)
        axes[row + 1, column].imshow(
            saliency_map, cmap="inferno", vmin=0, vmax=1, alpha=0.6, interpolation="bicubic",
            extent=(0, THUMBNAIL, THUMBNAIL, 0),
        )  # fmt: skip
    figure.suptitle("Saliency maps of the momentum encoder", fontsize=10)
    _save(figure, path)


def draw_sampled_boxes(method: Saliency, path: Path, count: int = 6) -> None:
    """Anchors (solid) and partners (dashed): drawn at random above, by saliency below, with the pairs' scores."""
    recipe = method.recipe.saliency
    maps = _current_maps(method, _some_images(len(method.images), count))
    figure = Figure(figsize=(1.6 * max(1, len(maps)), 3.9), layout="constrained")
    axes = figure.subplots(2, max(1, len(maps)), squeeze=False)
    for column, (index, saliency_map) in enumerate(maps.items()):
        image = decode_image(method.images[index])
        aspect = image.shape[2] / image.shape[1]
        for row, (name, drawn_from) in enumerate((("random", np.ones_like(saliency_map)), ("saliency", saliency_map))):
            axis = axes[row, column]
            boxes = draw_pairs(drawn_from, aspect, recipe, np.random.default_rng([method.recipe.seed, index]))
            scores = saliency.pair_scores(torch.from_numpy(saliency_map)[None], torch.from_numpy(boxes)[None])[0]
            _show(axis, image, ", ".join(f"{score:.2f}" for score in scores.tolist()))
            axis.set(xticks=[], yticks=[], ylabel=name if column == 0 else "")
            axis.spines[:].set_visible(False)
            for pair, (anchor, partner) in enumerate(boxes):
                colour = PAIR_COLOURS[pair % len(PAIR_COLOURS)]
                _outline(axis, anchor, colour, 2.0)
                _outline(axis, partner, colour, 1.4, dashed=True)
    figure.suptitle("Crops: anchors (solid), partners (dashed), saliency scores of the pairs", fontsize=10)
    _save(figure, path)


def _one_batch(method: Mls) -> Batch:
    """A batch as the first of the epoch after the last one would be."""
    data = dataclasses.replace(method.recipe.data, cache="none")
    dataset = PretrainDataset(dataclasses.replace(method.recipe, data=data), method.images)
    return dataset.load_batch(method.recipe.schedule.epochs, 0)


def _query_outputs(method: Mls, batch: Batch) -> tuple[Tensor, Tensor]:
    """g1 and z1 as in training (batch statistics, augmentation), leaving no trace in the method."""
    views = method.network_input(batch.global_views[:, 0].to(method.device), batch.global_photometric[:, 0])
    encoder = copy.deepcopy(method.query_encoder).train()
    with torch.no_grad(), unchanged_running_statistics(encoder):
        features, embeddings = encoder(views)
    return features, embeddings


def _some_images(total: int, count: int) -> list[int]:
    return sorted(np.random.default_rng(0).permutation(total)[:count].tolist())


def _current_maps(method: Saliency, indices: Sequence[int]) -> dict[int, np.ndarray]:
    """float32 maps h x w of the images that can be decoded."""
    backbone, size = method.base.key_encoder.backbone, method.recipe.saliency.map_input_size
    maps: dict[int, np.ndarray] = {}
    with evaluating(backbone):
        for found, pixels in whole_image_batches([method.images[i] for i in indices], size, len(indices)):
            found_maps = method.maps_by(backbone, pixels).cpu().numpy()
            maps |= zip([indices[i] for i in found], found_maps, strict=True)
    return maps


def _show(axis: Axes, image: Tensor, title: str = "") -> None:
    axis.imshow(resize(image, THUMBNAIL).permute(1, 2, 0).numpy())
    if title:
        axis.set_title(title, fontsize=8, pad=2)


def _outline(axis: Axes, box: Tensor | np.ndarray, colour: str, width: float, dashed: bool = False) -> None:
    left, top, right, bottom = (float(side) * THUMBNAIL for side in box)
    style = "--" if dashed else "-"
    rectangle = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width, linestyle=style
    )
    rectangle.set_clip_on(False)
    axis.add_patch(rectangle)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
