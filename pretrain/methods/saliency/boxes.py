"""Where the saliency-guided method crops: anchors on salient cells, and a jittered partner for each.

Plain numpy, since it runs once for each image in the loader's processes; about 0.15 ms for two pairs.

Why not one box around the salient region: on maps with several objects the box at a usual threshold covers the whole
image. Why a jittered copy as the positive: two independent draws overlap too little to show the same thing.
"""

from __future__ import annotations

import math

import numpy as np

from pretrain.methods.saliency.keys import SaliencyRecipe


def cell_probabilities(saliency: np.ndarray, gamma: float) -> np.ndarray:
    """``P(i) = S_i^gamma / sum_j S_j^gamma`` over the cells of a map.

    Args:
        saliency: h x w, not negative. A map that is zero everywhere or not finite counts as uniform.

    Returns:
        float64, h * w, sums to 1.
    """
    powers = np.asarray(saliency, dtype=np.float64).ravel() ** gamma
    total = powers.sum()
    if not math.isfinite(total) or total <= 0:
        return np.full(powers.size, 1 / powers.size)
    probabilities: np.ndarray = powers / total
    return probabilities


def draw_pairs(saliency: np.ndarray, aspect: float, recipe: SaliencyRecipe, rng: np.random.Generator) -> np.ndarray:
    """K pairs of boxes (anchor, partner) for one image.

    The number of random values drawn does not depend on the outcome.

    Args:
        saliency: h x w, not negative; a uniform map gives random anchors.
        aspect: width / height of the image in pixels. Areas, sides and ratios of boxes are meant in pixels.

    Returns:
        float64, K x 2 x 4, xyxy shares of the image, inside it. A partner has IoU above ``partner_min_iou`` with its
        anchor, or is the anchor.
    """
    anchors = _draw_anchors(cell_probabilities(saliency, recipe.gamma), saliency.shape, aspect, recipe, rng)
    return np.stack([anchors, _draw_partners(anchors, aspect, recipe, rng)], axis=1)


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes ... x 4 (xyxy), broadcast."""
    corner = np.maximum(first[..., :2], second[..., :2])
    opposite = np.minimum(first[..., 2:], second[..., 2:])
    sides = np.maximum(opposite - corner, 0)
    intersection = sides[..., 0] * sides[..., 1]
    union: np.ndarray = intersection / (_area(first) + _area(second) - intersection)
    return union


def _draw_anchors(
    probabilities: np.ndarray,
    map_shape: tuple[int, ...],
    aspect: float,
    recipe: SaliencyRecipe,
    rng: np.random.Generator,
) -> np.ndarray:
    """K x 4. Each anchor is the first of ``anchor_tries`` that overlaps no earlier one too much, else the last."""
    count, tries = recipe.pairs, recipe.anchor_tries
    draws = rng.random((5, count, tries))
    cells = np.searchsorted(np.cumsum(probabilities)[:-1], draws[0], side="right")
    rows, columns = np.divmod(cells, map_shape[1])
    centre_x = (columns + draws[1]) / map_shape[1]
    centre_y = (rows + draws[2]) / map_shape[0]
    area = recipe.area[0] + draws[3] * (recipe.area[1] - recipe.area[0])
    widths, heights = _sides(area, _log_uniform(recipe.ratio, draws[4]), aspect)
    # A side is at least min_side of the image's shorter side (in pixels) and at most the image's.
    widths = np.clip(widths, recipe.min_side * min(1.0, 1 / aspect), 1.0)
    heights = np.clip(heights, recipe.min_side * min(1.0, aspect), 1.0)
    # Clipped into the image by moving, so that an anchor near the border is as large as any other.
    left = np.clip(centre_x - widths / 2, 0.0, 1.0 - widths)
    top = np.clip(centre_y - heights / 2, 0.0, 1.0 - heights)
    candidates = np.stack([left, top, np.minimum(left + widths, 1.0), np.minimum(top + heights, 1.0)], axis=-1)
    chosen = candidates[:, 0].copy()
    for k in range(1, count):
        overlaps = box_iou(candidates[k][:, None], chosen[None, :k]).max(axis=1)
        apart = overlaps <= recipe.anchor_max_iou
        chosen[k] = candidates[k][np.argmax(apart) if apart.any() else -1]
    return chosen


def _draw_partners(anchors: np.ndarray, aspect: float, recipe: SaliencyRecipe, rng: np.random.Generator) -> np.ndarray:
    """K x 4. Each is the first of ``partner_tries`` jittered copies that fits, else the anchor itself."""
    draws = rng.random((4, len(anchors), recipe.partner_tries))
    sides = anchors[:, 2:] - anchors[:, :2]
    # The share of the image's area is the same in pixels and in shares of the sides.
    factor = recipe.partner_area[0] + draws[0] * (recipe.partner_area[1] - recipe.partner_area[0])
    widths, heights = _sides(_area(anchors)[:, None] * factor, _log_uniform(recipe.partner_ratio, draws[1]), aspect)
    shift_x = (draws[2] - 0.5) * (2 * recipe.partner_shift) * sides[:, :1]
    shift_y = (draws[3] - 0.5) * (2 * recipe.partner_shift) * sides[:, 1:]
    left = (anchors[:, :1] + anchors[:, 2:3]) / 2 + shift_x - widths / 2
    top = (anchors[:, 1:2] + anchors[:, 3:]) / 2 + shift_y - heights / 2
    right, bottom = left + widths, top + heights
    candidates = np.stack([left, top, right, bottom], axis=-1)
    inside = (left >= 0) & (top >= 0) & (right <= 1) & (bottom <= 1)
    fits = inside & (box_iou(candidates, anchors[:, None]) > recipe.partner_min_iou)
    first = candidates[np.arange(len(anchors)), fits.argmax(axis=1)]
    return np.where(fits.any(axis=1)[:, None], first, anchors)


def _sides(area: np.ndarray, ratio: np.ndarray, aspect: float) -> tuple[np.ndarray, np.ndarray]:
    """Width and height as shares of the image's, of boxes with a share of its area and a ratio in pixels."""
    return np.sqrt(area * ratio / aspect), np.sqrt(area * aspect / ratio)


def _log_uniform(bounds: tuple[float, float], uniform: np.ndarray) -> np.ndarray:
    low, high = math.log(bounds[0]), math.log(bounds[1])
    values: np.ndarray = np.exp(low + uniform * (high - low))
    return values


def _area(boxes: np.ndarray) -> np.ndarray:
    area: np.ndarray = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return area
