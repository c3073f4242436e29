"""LOST: where the object of an image is, by which patches are like few others (Simeoni et al., BMVC 2021).

The variant for ResNets: the last stage's map, centred, since features after a ReLU have no negative similarity and all
patches would be alike.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional


class GridBox(NamedTuple):
    """A box in cells of the grid, half-open: ``top`` and ``bottom`` are rows, ``left`` and ``right`` columns."""

    left: int
    top: int
    right: int
    bottom: int


def centred(feature_map: Tensor, centre: str) -> Tensor:
    """The tokens of a map (C x h x w), row by row: float64, h w x C.

    Args:
        centre: ``map``: mean 0 and variance 1 over the whole map, as LOST has it. Where channels differ more among each
            other than over the image, all patches stay alike. ``channel``: mean 0 of each channel.
    """
    if centre == "map":
        return functional.layer_norm(feature_map.double(), list(feature_map.shape)).flatten(1).T
    tokens = feature_map.double().flatten(1).T
    return tokens - tokens.mean(dim=0)


def lost_box(tokens: Tensor, rows: int, columns: int, expand: int) -> GridBox:
    """The box of the object.

    Two patches are alike if their raw dot product is positive. The seed is the patch that is like the fewest others (of
    equals the first); of the ``expand`` patches that are like the fewest, those alike to the seed stand for the object,
    and a patch belongs to it if the sum of its dot products with them is positive. The box is around the component
    (sides touching, not corners) that holds the seed.

    Args:
        tokens: rows x columns tokens, N x C.
    """
    products = tokens @ tokens.T
    others = products.clone()
    others.fill_diagonal_(0)
    order = (others > 0).sum(dim=1).argsort(stable=True)
    seed, candidates = int(order[0]), order[:expand]
    similar = candidates[products[seed, candidates] > 0]
    belongs = products[similar].sum(dim=0) > 0
    belongs[seed] = True  # also where its token is zero and it is like nothing
    components, _ = ndimage.label(belongs.reshape(rows, columns).numpy())
    own = torch.from_numpy(components == components.flat[seed]).nonzero()
    (top, left), (bottom, right) = own.min(dim=0).values.tolist(), own.max(dim=0).values.tolist()
    return GridBox(left, top, right + 1, bottom + 1)
