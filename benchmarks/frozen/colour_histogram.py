"""The colours of an image or a box: what can be had of its pixels without a network."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 8


def colour_histogram(pixels: Tensor, bins: int = BINS) -> Tensor:
    """Square roots of the joint RGB histogram (bins per channel), so that cosine similarity is Bhattacharyya's.

    Args:
        pixels: uint8, 3 x H x W.

    Returns:
        float32, bins^3, unit length.
    """
    red, green, blue = (pixels.long() * bins // 256).flatten(1)
    counts = torch.bincount((red * bins + green) * bins + blue, minlength=bins**3)
    return (counts / counts.sum()).sqrt().float()
