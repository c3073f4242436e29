"""Saliency: maps over images, now and over training, and boxes drawn at random beside boxes drawn by saliency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pretrain import saliency
from pretrain.data.images import image_aspects
from pretrain.data.whole_images import whole_image_batches
from pretrain.figures import thumbnails
from pretrain.figures.thumbnails import in_epochs, outline, show, show_under_map
from pretrain.methods.saliency.boxes import draw_pairs
from pretrain.methods.saliency.history import some_images

if TYPE_CHECKING:
    from pretrain.methods.saliency.method import Saliency

PAIR_COLOURS = ("#00c2ff", "#ff9f1c", "#7fff5a", "#ff5ad1")
MOST_MAPS = 8  # of an image over training


def draw_saliency_overlays(method: Saliency, path: Path, epochs: float, count: int = 12) -> Path:
    """Images, and the same under the map that ``saliency.source`` gives them now, after ``epochs`` of training."""
    maps = current_maps(method, some_images(len(method.images), count))
    columns = min(6, max(1, len(maps)))
    rows = -(-len(maps) // columns)
    figure = Figure(figsize=(1.5 * columns, 3.05 * rows + 0.35), layout="constrained")
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (index, saliency_map) in enumerate(maps.items()):
        row, column = 2 * (place // columns), place % columns
        show(axes[row, column], method.images[index])
        show_under_map(axes[row + 1, column], method.images[index], saliency_map)
    figure.suptitle(f"{_what_maps(method)}, after {in_epochs(epochs)}", fontsize=10)
    return thumbnails.save(figure, path)


def draw_saliency_over_training(method: Saliency, path: Path, epochs: float) -> Path:
    """A few images (rows), and their maps before training, at each refresh, and now, after ``epochs`` of training.

    Of more than :data:`MOST_MAPS` kept maps some are left out, at equal distances; never the first or the last.
    """
    history = method.history
    now = current_maps(method, history.indices)
    places = np.unique(np.linspace(0, max(0, len(history.epochs) - 1), MOST_MAPS - 1).round().astype(int))
    shown = [int(place) for place in places if place < len(history.epochs)]
    titles = [in_epochs(history.epochs[place]) if history.epochs[place] else "untrained" for place in shown]
    figure = Figure(figsize=(1.3 * (2 + len(shown)), 1.22 * max(1, len(now)) + 0.6), layout="constrained")
    axes = figure.subplots(max(1, len(now)), 2 + len(shown), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (index, map_now) in enumerate(now.items()):
        kept = saliency.to_float(history.maps[shown, history.indices.index(index)]).numpy()
        show(axes[row, 0], method.images[index], "image" if row == 0 else "")
        for axis, title, saliency_map in zip(
            axes[row, 1:], [*titles, in_epochs(epochs)], [*kept, map_now], strict=True
        ):
            show_under_map(axis, method.images[index], saliency_map, title if row == 0 else "")
    figure.suptitle(f"{_what_maps(method)}, over training", fontsize=10)
    return thumbnails.save(figure, path)


def draw_sampled_boxes(method: Saliency, path: Path, epochs: float, count: int = 6) -> Path:
    """Anchors (solid) and partners (dashed): drawn at random above, by saliency below, with the pairs' scores.

    The scores of both rows are by the map that the image has after ``epochs`` of training.
    """
    recipe = method.local
    maps = current_maps(method, some_images(len(method.images), count))
    figure = Figure(figsize=(1.6 * max(1, len(maps)), 3.9), layout="constrained")
    axes = figure.subplots(2, max(1, len(maps)), squeeze=False)
    for column, (index, saliency_map) in enumerate(maps.items()):
        aspect = float(image_aspects([method.images[index]])[0])
        for row, (name, drawn_from) in enumerate((("random", np.ones_like(saliency_map)), ("saliency", saliency_map))):
            axis = axes[row, column]
            boxes = draw_pairs(drawn_from, aspect, recipe, np.random.default_rng([method.recipe.seed, index]))
            scores = saliency.pair_scores(torch.from_numpy(saliency_map)[None], torch.from_numpy(boxes)[None])[0]
            show(axis, method.images[index])
            _write_scores(axis, scores.tolist())
            axis.set(xticks=[], yticks=[], ylabel=name if column == 0 else "")
            axis.spines[:].set_visible(False)
            for pair, (anchor, partner) in enumerate(boxes):
                colour = PAIR_COLOURS[pair % len(PAIR_COLOURS)]
                outline(axis, anchor, colour, 2.0)
                outline(axis, partner, colour, 1.4, dashed=True)
    figure.suptitle(
        f"Crops: anchors (solid), partners (dashed), the pairs' saliency scores; after {in_epochs(epochs)}", fontsize=10
    )
    return thumbnails.save(figure, path)


def current_maps(method: Saliency, indices: Sequence[int]) -> dict[int, np.ndarray]:
    """float32 maps h x w, by the method's source, of the images that can be decoded."""
    files = [method.images[index] for index in indices]
    rng = np.random.default_rng([method.recipe.seed, method.recipe.schedule.epochs])
    maps = saliency.to_float(method.maps_of(files, rng)).numpy()
    decodable = [place for places, _ in whole_image_batches(files, 32, len(files)) for place in places]
    return {indices[place]: maps[place] for place in decodable}


def _write_scores(axis: Axes, scores: Sequence[float]) -> None:
    """Above the image, each on the colour of its pair's boxes."""
    for pair, score in enumerate(scores):
        axis.text(
            (pair + 0.5) / len(scores), 1.03, f"{score:.2f}", transform=axis.transAxes, ha="center", va="bottom",
            fontsize=8, bbox={"facecolor": PAIR_COLOURS[pair % len(PAIR_COLOURS)], "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip


def _what_maps(method: Saliency) -> str:
    height, width = method.maps.size
    return f"Saliency by {method.local.source} (bright: salient; {height} x {width} cells, smoothed)"


def draw_all(method: Saliency, folder: Path, epochs: float) -> list[Path]:
    """Maps over images, now and over training, and boxes drawn at random beside boxes drawn by saliency."""
    return [
        draw_saliency_overlays(method, folder / "saliency_maps.png", epochs),
        draw_saliency_over_training(method, folder / "saliency_over_training.png", epochs),
        draw_sampled_boxes(method, folder / "sampled_boxes.png", epochs),
    ]
