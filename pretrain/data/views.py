"""Views of an image: which boxes to cut, and the cutting.

All crops of an image are cut from one decoded copy, resized and flipped here, on the host; what changes colours happens
later, for whole batches on the device (:mod:`pretrain.data.augment`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pretrain.data.augment import PARAMETERS, draw_parameters
from pretrain.data.images import resize
from pretrain.recipes.data import ViewsRecipe

# (index of the image, generator of the sample) -> K x 2 x 4 boxes of anchors and partners, xyxy as shares of the image
LocalBoxSampler = Callable[[int, np.random.Generator], np.ndarray]
PixelBox = tuple[int, int, int, int]  # left, top, right, bottom; the last two are outside


@dataclass
class Batch:
    """What the loader yields. Crops are physically channels-last; boxes are those really cut, before the flip.

    Memory: ``B * (8 + 2 * v(S) + 2 * K * v(s))`` bytes with ``v(S) = 3 * S * S + 16 + 4 * P``: 77 MB for 256 images
    with S = 224 and no local crops, 105 MB with K = 2 of s = 96.
    """

    indices: Tensor  # int64 (B,), into the list of images
    global_views: Tensor  # uint8 (B, 2, 3, S, S)
    global_boxes: Tensor  # float32 (B, 2, 4), xyxy in the whole image, 0..1
    global_photometric: Tensor  # float32 (B, 2, P), see pretrain.data.augment
    local_views: Tensor | None = None  # uint8 (B, K, 2, 3, s, s): anchor and partner
    local_boxes: Tensor | None = None  # float32 (B, K, 2, 4)
    local_photometric: Tensor | None = None  # float32 (B, K, 2, P)
    host_indices: Tensor | None = None  # ``indices`` on the host, where those are on a device; see :attr:`on_host`
    undecodable: dict[int, str] = field(default_factory=dict)  # images known to be broken, and why
    copied: torch.cuda.Event | None = None  # has happened when a GPU no longer reads this batch's memory

    @property
    def on_host(self) -> Tensor:
        """``indices`` where the host can read them without a wait for the device."""
        return self.indices if self.host_indices is None else self.host_indices

    @classmethod
    def empty(
        cls,
        size: int,
        crop_size: int,
        pairs: int,
        local_size: int,
        allocate: Callable[..., Tensor] = torch.empty,
    ) -> Batch:
        """Room for ``size`` samples, with ``pairs`` local pairs each (0: none).

        Args:
            allocate: ``(*shape, dtype=torch.float32)`` to an uninitialised tensor.
        """

        def crops(*leading: int, side: int) -> Tensor:
            return allocate(*leading, side, side, 3, dtype=torch.uint8).movedim(-1, -3)

        local = (size, pairs, 2)
        return cls(
            indices=allocate(size, dtype=torch.int64),
            global_views=crops(size, 2, side=crop_size),
            global_boxes=allocate(size, 2, 4),
            global_photometric=allocate(size, 2, PARAMETERS),
            local_views=crops(*local, side=local_size) if pairs else None,
            local_boxes=allocate(*local, 4) if pairs else None,
            local_photometric=allocate(*local, PARAMETERS) if pairs else None,
        )


class ViewMaker:
    """Draws and cuts the views of one image into a row of a batch.

    The order of draws is fixed: all of the global views, then the local ones. So a method with local crops sees the
    same global views as one without.
    """

    def __init__(self, views: ViewsRecipe, local_boxes: LocalBoxSampler | None = None) -> None:
        self.views = views
        self.local_boxes = local_boxes

    def fill(self, batch: Batch, row: int, image: Tensor, index: int, rng: np.random.Generator) -> None:
        """Write everything about one sample into row ``row``.

        Args:
            image: uint8, 3 x H x W.
            index: of the image, handed to the sampler of local boxes.
        """
        height, width = image.shape[-2:]
        batch.indices[row] = index
        for view in range(2):
            box = random_resized_crop(rng, width, height, self.views.scale, self.views.ratio)
            self._cut_one(
                image, box, view, rng,
                batch.global_views[row, view], batch.global_boxes[row, view], batch.global_photometric[row, view],
            )  # fmt: skip
        if self.local_boxes is None or batch.local_views is None:
            return
        assert batch.local_boxes is not None
        assert batch.local_photometric is not None
        shares = self.local_boxes(index, rng)
        for pair in range(shares.shape[0]):
            for view in range(2):
                box = to_pixels(shares[pair, view], width, height)
                self._cut_one(
                    image, box, view, rng,
                    batch.local_views[row, pair, view], batch.local_boxes[row, pair, view],
                    batch.local_photometric[row, pair, view],
                )  # fmt: skip

    def _cut_one(
        self, image: Tensor, box: PixelBox, view: int, rng: np.random.Generator,
        crop: Tensor, shares: Tensor, photometric: Tensor,
    ) -> None:  # fmt: skip
        height, width = image.shape[-2:]
        flip = rng.random() < self.views.flip_p
        crop.copy_(cut(image, box, crop.shape[-1], flip))
        shares.copy_(torch.tensor([box[0] / width, box[1] / height, box[2] / width, box[3] / height]))
        photometric.copy_(torch.from_numpy(draw_parameters(rng, self.views, view)))


def random_resized_crop(
    rng: np.random.Generator, width: int, height: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> PixelBox:
    """A box as torchvision's ``RandomResizedCrop`` draws it.

    Its area is a uniform share of the image from ``scale``, its width / height log-uniform from ``ratio``. After ten
    draws that do not fit it is the largest central box of an allowed ratio.
    """
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area_draw, ratio_draw = rng.random(2)
        area = height * width * (scale[0] + (scale[1] - scale[0]) * area_draw)
        aspect = math.exp(log_low + (log_high - log_low) * ratio_draw)
        box_width, box_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < box_width <= width and 0 < box_height <= height:
            left_draw, top_draw = rng.random(2)
            left, top = int(left_draw * (width - box_width + 1)), int(top_draw * (height - box_height + 1))
            return left, top, left + box_width, top + box_height
    box_width, box_height = width, height
    if width / height < ratio[0]:
        box_height = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        box_width = max(1, round(height * ratio[1]))
    left, top = (width - box_width) // 2, (height - box_height) // 2
    return left, top, left + box_width, top + box_height


def to_pixels(shares: np.ndarray, width: int, height: int) -> PixelBox:
    """The box of whole pixels nearest to ``shares`` (xyxy, 0..1), inside the image and of at least one pixel."""
    left = min(max(round(float(shares[0]) * width), 0), width - 1)
    top = min(max(round(float(shares[1]) * height), 0), height - 1)
    right = min(max(round(float(shares[2]) * width), left + 1), width)
    bottom = min(max(round(float(shares[3]) * height), top + 1), height)
    return left, top, right, bottom


def cut(image: Tensor, box: PixelBox, size: int, flip: bool = False) -> Tensor:
    """Cut ``box`` out of a uint8 image 3 x H x W, resize it to ``size`` x ``size`` (bilinear, antialiased), flip it."""
    left, top, right, bottom = box
    crop = resize(image[:, top:bottom, left:right], size)
    return crop.flip(-1) if flip else crop
