"""Whole images, resized to a square: for saliency maps and for BN statistics, where no crop is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from pretrain.data.images import UndecodableImage, decode_image
from pretrain.data.sources import ImageFile, ImageFiles
from pretrain.data.views import resize
from pretrain.recipes.data import DataRecipe


def whole_image_batches(
    images: ImageFiles, size: int, batch_size: int, threads: int = 0
) -> Iterator[tuple[list[int], Tensor]]:
    """Indices into ``images`` and their pixels, uint8 n x 3 x size x size with n <= ``batch_size``, in order.

    Images that cannot be decoded are left out (the training data names them).

    Args:
        threads: read ahead by one batch with so many (decoding and resizing leave Python's lock free); 0: read when
            asked.
    """
    starts = range(0, len(images), batch_size)
    if threads == 0:
        for start in starts:
            yield from _batch(start, [_whole(file, size) for file in images[start : start + batch_size]])
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: tuple[int, list[Future[Tensor | None]]] | None = None
        for start in starts:
            reading = [pool.submit(_whole, file, size) for file in images[start : start + batch_size]]
            if ahead is not None:
                yield from _batch(ahead[0], [future.result() for future in ahead[1]])
            ahead = start, reading
        if ahead is not None:
            yield from _batch(ahead[0], [future.result() for future in ahead[1]])


def loading_threads(data: DataRecipe) -> int:
    """As many as the recipe has loader workers, but no more than there are cores."""
    return min(data.workers, len(os.sched_getaffinity(0)))


def _batch(start: int, pixels: list[Tensor | None]) -> Iterator[tuple[list[int], Tensor]]:
    decoded = [(start + place, image) for place, image in enumerate(pixels) if image is not None]
    if decoded:
        yield [index for index, _ in decoded], torch.stack([image for _, image in decoded])


def _whole(file: ImageFile, size: int) -> Tensor | None:
    try:
        return resize(decode_image(file), size)
    except UndecodableImage:
        return None
