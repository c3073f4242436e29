"""What a recipe asks of its images, checked before anything is written: enough of them, and not too small."""

from __future__ import annotations

import numpy as np

from pretrain.data.images import image_size
from pretrain.data.sources import ImageFiles
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError

SAMPLE = 64  # images whose headers are read, spread evenly over the list
SMALLEST_CROP = 32  # pixels; what a recipe allows


def check_images(recipe: Recipe, images: ImageFiles) -> None:
    """Raise UserError where ``recipe`` cannot be trained on ``images``."""
    require_enough(recipe, len(images))
    side = typical_side(images)
    if side is None:
        return  # no readable header: the loader says which images are broken
    for key, size in recipe.about.image_sizes(recipe).items():
        if key.endswith(".crop_size"):  # a whole image may be enlarged
            _require_no_larger(key, size, side, recipe)


def require_enough(recipe: Recipe, images: int) -> None:
    """Raise UserError for fewer than two images, or fewer than one batch an epoch."""
    if images < 2:
        raise UserError(f"data.root: {recipe.data.root} holds {images} image; contrast needs at least 2")
    batch = recipe.schedule.batch_size
    if (recipe.data.images_per_epoch or images) < batch:
        raise UserError(
            f"schedule.batch_size: {batch} is more than the {images} images of {recipe.data.root}; "
            f"lower it, or set data.images_per_epoch={8 * batch}"
        )


def typical_side(images: ImageFiles) -> int | None:
    """The median of the longer sides in pixels, over :data:`SAMPLE` images; None where no header can be read."""
    chosen = np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).round().astype(int)
    sizes = [image_size(images[index]) for index in chosen.tolist()]
    sides = [max(size) for size in sizes if size is not None]
    return int(np.median(sides)) if sides else None


def _require_no_larger(key: str, crop: int, side: int, recipe: Recipe) -> None:
    """A crop may be larger than one image, as a random-resized crop enlarges what it cuts.

    But where it is larger than the longer side of most images, every crop is enlarged, the whole image included: no
    detail is won, and the cost grows with the area. That is a recipe meant for other images.
    """
    if crop <= side:
        return
    remedy = f"set {key}={side} or less" if side >= SMALLEST_CROP else f"enlarge them to {SMALLEST_CROP} pixels or more"
    raise UserError(
        f"{key}: {crop} is larger than the images of {recipe.data.root} "
        f"({side} pixels on the longer side, the median); {remedy}"
    )
