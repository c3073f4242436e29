"""The dense part of DenseCL as pure functions of tensors (Wang et al., CVPR 2021, section 3).

Shapes: B images, N = S x S cells of a feature map in row-major order, C channels, d dimensions, D slots of a queue.
As in :mod:`pretrain.losses`, everything is in float32 whatever autocast says, and float64 stays float64.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.losses import full_precision, info_nce


@full_precision
def unit_cells(cells: Tensor) -> Tensor:
    """Every cell's vector at unit length, B x N x d; a zero vector stays zero."""
    return F.normalize(cells, dim=2)


@torch.no_grad()
@full_precision
def match_cells(query_map: Tensor, key_map: Tensor) -> Tensor:
    """The key cell of each query cell: ``c_i = argmax_j cos(F_q,i, F_k,j)``, eq. (3), over backbone features.

    Args:
        query_map, key_map: B x C x S x S of the same images, not normalised.

    Returns:
        int64, B x N, in 0..N-1. Never carries a gradient.
    """
    query = F.normalize(query_map.flatten(2), dim=1)
    key = F.normalize(key_map.flatten(2), dim=1)
    return (query.transpose(1, 2) @ key).argmax(dim=2)


@full_precision
def dense_info_nce(queries: Tensor, keys: Tensor, matches: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """The dense contrastive loss, eq. (2): InfoNCE of each query cell against its matched key cell.

    The negatives of every cell are the slots of one queue. The logits take ``4 B N D`` bytes: 3.3 GB for 256 images of
    7 x 7 cells and 65536 slots.

    Args:
        queries: unit vectors, B x N x d; the gradient's way.
        keys: unit vectors, B x N x d.
        matches: int64, B x N, from :func:`match_cells`.
        queue: unit rows, D x d: globally pooled dense embeddings of other images.
        temperature: tau, positive.

    Returns:
        The mean over the cells of each image, B (the batch loss is its mean).
    """
    positives = keys.gather(1, matches.unsqueeze(2).expand_as(keys))
    losses = info_nce(queries.flatten(0, 1), positives.flatten(0, 1), queue, temperature)
    return losses.unflatten(0, matches.shape).mean(dim=1)
