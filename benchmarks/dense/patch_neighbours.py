"""Dense nearest neighbours: a bounded memory of labelled patches, and the votes of the nearest of them.

After Hummingbird (Balažević et al., NeurIPS 2023), with three differences that are stated in the protocol: predictions
are named classes and are scored as such, pixels labelled 255 are left out of the memory too, and neighbours are exact.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CHUNK = 1024


def rare_patches(histograms: Tensor, quota: int, generator: torch.Generator) -> Tensor:
    """At most ``quota`` patches of one image, those with classes that are rare in it more often; ascending.

    A patch's score is the sum, over the classes in it, of how many patches of the image hold the class, times a number
    drawn uniformly from 0 to 1; the lowest are kept. Patches of ignored pixels alone are never kept.

    Args:
        histograms: patches x classes, pixels of each class.
    """
    holds = histograms > 0
    weights = (holds * holds.sum(dim=0)).sum(dim=1).double()
    scores = weights * torch.rand(len(weights), generator=generator, dtype=torch.float64)
    known = torch.nonzero(weights > 0).flatten()
    return known[scores[known].argsort(stable=True)[:quota]].sort().values


def any_patches(histograms: Tensor, quota: int, generator: torch.Generator) -> Tensor:
    """At most ``quota`` patches of one image at random, none of ignored pixels alone; ascending."""
    order = torch.randperm(len(histograms), generator=generator)
    return order[histograms[order].sum(dim=1) > 0][:quota].sort().values


def neighbours_vote(memory: Tensor, labels: Tensor, queries: Tensor, k: int, temperature: float) -> Tensor:
    """Labels of the ``k`` patches of the memory nearest by cosine, weighted by softmax(cosine / temperature).

    Args:
        memory: N x C. labels: N x classes, shares. queries: M x C.

    Returns:
        float32, M x classes; of labels whose rows sum to 1, rows sum to 1.
    """
    bank = functional.normalize(memory.float(), dim=1)
    votes = []
    for chunk in queries.split(_CHUNK):
        nearest = (functional.normalize(chunk.float(), dim=1) @ bank.T).topk(k, dim=1)
        weights = torch.softmax(nearest.values / temperature, dim=1)
        votes.append(torch.einsum("mk,mkc->mc", weights, labels[nearest.indices].float()))
    return torch.cat(votes)
