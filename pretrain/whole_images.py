"""Whole images, resized to a square: for saliency maps and for BN statistics, where no crop is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pretrain.images import UndecodableImage, decode_image
from pretrain.sources import ImageFiles
from pretrain.views import resize


def whole_image_batches(images: ImageFiles, size: int, batch_size: int) -> Iterator[tuple[list[int], Tensor]]:
    """Indices into ``images`` and their pixels, uint8 n x 3 x size x size with n <= ``batch_size``, in order.

    Images that cannot be decoded are left out (the training data names them).
    """
    for start in range(0, len(images), batch_size):
        indices, pixels = [], []
        for index in range(start, min(start + batch_size, len(images))):
            try:
                pixels.append(resize(decode_image(images[index]), size))
            except UndecodableImage:
                continue
            indices.append(index)
        if indices:
            yield indices, torch.stack(pixels)
