"""Encoders: a torchvision ResNet or a vision transformer with an MLP projector, and its momentum copy."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pretrain.distributed import local_copy, world_size
from pretrain.recipes.network import NetworkRecipe, ProjectorRecipe
from pretrain.recipes.recipe import Recipe
from transfer.networks.network import AnyArchitecture, build_network
from transfer.networks.resnet import Architecture
from transfer.networks.vit_architecture import VitArchitecture

Network = TypeVar("Network", bound=nn.Module)


class Projector(nn.Sequential):
    """The MLP ``f`` from features g to embeddings z, not normalised.

    ``batch_norm``: ``none`` is MoCo-v2's Linear-ReLU-Linear; ``hidden`` is BYOL's Linear-BN-ReLU-Linear; ``all`` is
    Linear-BN-ReLU-Linear-BN, the last BN without scale and shift (as in MoCo-v3 and SimSiam).
    """

    def __init__(self, feature_dim: int, recipe: ProjectorRecipe) -> None:
        hidden = recipe.hidden_dim or feature_dim
        if recipe.batch_norm == "none":
            layers: list[nn.Module] = [nn.Linear(feature_dim, hidden)]
        else:
            layers = [nn.Linear(feature_dim, hidden, bias=False), nn.BatchNorm1d(hidden)]
        layers.append(nn.ReLU(inplace=True))
        if recipe.batch_norm == "all":
            layers += [
                nn.Linear(hidden, recipe.output_dim, bias=False),
                nn.BatchNorm1d(recipe.output_dim, affine=False),
            ]
        else:
            layers.append(nn.Linear(hidden, recipe.output_dim))
        super().__init__(*layers)


class Predictor(nn.Sequential):
    """BYOL's MLP ``q`` from an embedding to another of the same width: Linear-BN-ReLU-Linear, no last BN (ORL)."""

    def __init__(self, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__(
            nn.Linear(embedding_dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, embedding_dim),
        )


class Encoder(nn.Module):
    """Backbone and projector: images to (g, z), eq. (4) and (5) of MLS."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        super().__init__()
        architecture = architecture_of(recipe)
        self.backbone = build_network(architecture)
        if recipe.family == "vit" and recipe.vit.freeze_patches:
            self.backbone.patch_embed.requires_grad_(False)
        self.projector = Projector(architecture.feature_dim, recipe.projector)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images, B x 3 x S x S, to features B x d_g and embeddings B x d_z (neither of unit length)."""
        features = self.backbone(images)
        return features, self.projector(features)


def architecture_of(recipe: NetworkRecipe) -> AnyArchitecture:
    """The backbone that a recipe asks for."""
    if recipe.family == "vit":
        vit = recipe.vit
        return VitArchitecture(
            width=vit.width, depth=vit.depth, heads=vit.heads, patch=vit.patch, image_size=vit.image_size
        )
    return Architecture(depth=recipe.depth, stem_width=recipe.stem_width)


def momentum_copy(module: Network) -> Network:
    """A copy that no gradient reaches; it follows by :func:`update_momentum_copy`."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def update_momentum_copy(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """``theta_k <- m theta_k + (1 - m) theta_q`` for the parameters, in place.

    As in MoCo, buffers are left alone: the running statistics of the key encoder are those of the keys it has seen.
    """
    targets = [parameter.data for parameter in follower.parameters()]
    sources = [parameter.data for parameter in leader.parameters()]
    torch._foreach_mul_(targets, momentum)
    torch._foreach_add_(targets, sources, alpha=1 - momentum)


def cosine_momentum(initial: float, step: int, total_steps: int) -> float:
    """``m = 1 - (1 - m0) (cos(pi k / K) + 1) / 2``: from m0 at step 0 to 1 at step K (BYOL, "Implementation details").

    Args:
        initial: m0, in [0, 1].
        step: k, 0-based, over the whole run; beyond K the momentum stays 1.
        total_steps: K.
    """
    share = min(1.0, step / max(1, total_steps))
    return 1 - (1 - initial) * (math.cos(math.pi * share) + 1) / 2


def encode_in_groups(encoder: nn.Module, images: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Encode ``groups`` equal parts of the batch one after the other, so that each has its own batch statistics."""
    if groups == 1:
        return encoder(images)  # type: ignore[no-any-return]
    parts = [encoder(part) for part in images.chunk(groups)]
    return torch.cat([features for features, _ in parts]), torch.cat([embeddings for _, embeddings in parts])


def groups_here(recipe: Recipe) -> int:
    """How many of the ``network.bn_groups`` parts of a global batch this process has."""
    return max(1, recipe.network.bn_groups // world_size())


@contextmanager
def unchanged_running_statistics(module: nn.Module) -> Iterator[None]:
    """Within it, BN in training mode uses batch statistics but does not move its running ones."""
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    counts = [None if layer.num_batches_tracked is None else layer.num_batches_tracked.clone() for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum, count in zip(layers, momenta, counts, strict=True):
            layer.momentum = momentum
            if count is not None and layer.num_batches_tracked is not None:
                layer.num_batches_tracked.copy_(count)


@torch.no_grad()
def encode_without_trace(encoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features and embeddings of network input with batch statistics, as in training; the encoder stays as it is."""
    copied = local_copy(encoder).train()
    with unchanged_running_statistics(copied):
        features, embeddings = copied(images)
    return features, embeddings


@torch.no_grad()
def estimate_running_statistics(module: nn.Module, batches: Iterator[Tensor]) -> int:
    """Set BN's running statistics to their plain average over ``batches`` (normalised images, N x 3 x H x W).

    A module without BN has none to estimate; no batch is read for it.

    Returns:
        The number of images seen.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        return 0
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for a cumulative average
    module.train()
    images_seen = 0
    for images in batches:
        module(images)
        images_seen += len(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return images_seen
