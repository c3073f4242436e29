"""Numbers that tell how a contrastive run goes, for its log: pure functions of tensors.

They cost a part of a step, so they are asked for only where a line is logged. Shapes: B images, D slots, d dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pretrain.distributed import sum_over_processes
from pretrain.losses import full_precision


@torch.no_grad()
@full_precision
def top_one(query: Tensor, key: Tensor, queue: Tensor) -> Tensor:
    """The share of images whose own key is nearer than every slot of the queue: top-1 accuracy of InfoNCE.

    Args:
        query, key: unit rows, B x d.
        queue: unit rows, D x d.
    """
    return ((query * key).sum(dim=1) > (query @ queue.T).amax(dim=1)).to(query.dtype).mean()


@torch.no_grad()
@full_precision
def participation_ratio(vectors: Tensor) -> Tensor:
    """In how many directions vectors spread: ``(sum l)^2 / sum l^2`` over the eigenvalues l of their covariance C.

    It is ``tr(C)^2 / |C|_F^2``, so no eigenvalue is computed. Between 1 (all on a line) and the smaller of d and n - 1
    (equally in all directions); 0 where all vectors are the same.

    Args:
        vectors: n x d, not centred.
    """
    centred = vectors - vectors.mean(dim=0)
    total = centred.norm()
    # Of length 1 as a whole, so that the trace is 1; and of the two products that share their eigenvalues the smaller.
    centred = centred / total.clamp(min=torch.finfo(centred.dtype).tiny)
    product = centred.T @ centred if len(centred) > centred.shape[1] else centred @ centred.T
    return torch.where(total > 0, 1 / product.square().sum(), total)


def gradient_norm(loss: Tensor, embeddings: Tensor) -> Tensor | None:
    """The length of the gradient of a loss at the embeddings of the images of all processes; None where it has none.

    Args:
        loss: a mean over the images of this process, of a graph that is kept.
        embeddings: within that graph, B x d; nothing before it is passed through.
    """
    (gradient,) = torch.autograd.grad(loss, embeddings, retain_graph=True, allow_unused=True)
    return None if gradient is None else sum_over_processes(gradient.square().sum()).sqrt()
