"""Whole images, resized to a square: for saliency maps and for BN statistics, where no crop is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pretrain.images import UndecodableImage, decode_image
from pretrain.views import resize

_ORIENTATION = 0x0112  # EXIF; 5 to 8 lie on their side


def whole_image_batches(images: list[Path], size: int, batch_size: int) -> Iterator[tuple[list[int], Tensor]]:
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


def image_aspects(images: list[Path]) -> np.ndarray:
    """Width / height of each image turned upright, float32 N, from the headers alone (about 0.05 ms an image).

    1 where the header cannot be read.
    """
    aspects = np.ones(len(images), dtype=np.float32)
    for index, path in enumerate(images):
        try:
            with Image.open(path) as image:
                aspect = image.width / image.height
                on_its_side = image.getexif().get(_ORIENTATION, 1) >= 5
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
            continue
        aspects[index] = 1 / aspect if on_its_side else aspect
    return aspects
