"""BYOL, "Bootstrap Your Own Latent" (Grill et al., NeurIPS 2020), with the values of ORL's COCO recipe.

The online encoder and a predictor predict, from one view, what a target encoder makes of the other; the target is a
momentum average of the online encoder and receives no gradient. Both views go both ways and the two losses are summed,
``L = 2 (1 - cos(q(z1), z'2)) + 2 (1 - cos(q(z2), z'1))``. There are no negatives and no dictionary.

Batch normalisation. Each view is a batch of its own, in either encoder. The target normalises by batch statistics too,
as MoCo's key encoder does, and its running statistics are those of the views it has seen (momentum averages the
parameters only). There is nothing to shuffle, so ``network.bn_groups`` must be 1: the whole batch, as with SyncBN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.distributed import gather
from pretrain.health import participation_ratio
from pretrain.losses import byol_loss, normalise
from pretrain.methods.two_encoders import TwoEncoders, total_steps
from pretrain.networks import Encoder, Predictor, cosine_momentum, momentum_copy, update_momentum_copy
from pretrain.recipes.checks import require, require_momentum
from pretrain.recipes.method_registry import register
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError, require_choice
from transfer.networks.network import Backbone


@dataclass
class ByolRecipe:
    """A predictor maps the online encoder's embedding to that of a momentum ("target") encoder; no negatives."""

    predictor_hidden_dim: int = 4096  # ORL
    momentum: float = 0.99  # of the target encoder at the start; ORL
    momentum_schedule: str = "cosine"  # to 1 at the last step; ORL. constant: as it starts

    def __post_init__(self) -> None:
        require(self.predictor_hidden_dim >= 1, "byol.predictor_hidden_dim", self.predictor_hidden_dim, "at least 1")
        require_momentum("byol.momentum", self.momentum)
        require_choice("byol.momentum_schedule", self.momentum_schedule, ["cosine", "constant"])


@register("byol")
class Byol(TwoEncoders):
    """BYOL.

    Attributes:
        step: optimiser steps taken so far, for the momentum's schedule; part of the state dict.
        total_steps: of the whole run.
    """

    branch = "online"
    sections: ClassVar = {"byol": ByolRecipe}

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__(recipe, images)
        if recipe.network.bn_groups != 1:
            raise UserError(
                f"network.bn_groups: {recipe.network.bn_groups} is for the shuffle-BN of MoCo; BYOL normalises over "
                "the whole batch; set network.bn_groups=1"
            )
        self.byol = recipe.section(ByolRecipe)
        self.online_encoder = Encoder(recipe.network)
        self.predictor = Predictor(recipe.network.projector.output_dim, self.byol.predictor_hidden_dim)
        self.target_encoder = momentum_copy(self.online_encoder)
        self.step = 0
        self.total_steps = total_steps(recipe, len(images))

    @property
    def backbone(self) -> Backbone:
        """The online encoder's."""
        return self.online_encoder.backbone

    @property
    def leader(self) -> Encoder:
        """The online encoder."""
        return self.online_encoder

    @property
    def follower(self) -> Encoder:
        """The target encoder."""
        return self.target_encoder

    @property
    def step_momentum(self) -> float:
        """Of the update at the end of step number ``step`` (0-based)."""
        byol = self.byol
        if byol.momentum_schedule == "constant":
            return byol.momentum
        return cosine_momentum(byol.momentum, self.step, self.total_steps)

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The symmetrised loss.

        ``embedding_std`` in the log is the spread of the target's unit embeddings over the images, root mean square
        over dimensions: near ``1 / sqrt(d_z)`` in health, 0 after a collapse. ``participation_z``, where the step is
        logged: in how many directions they spread, at most one less than the batch has images.
        """
        first, second = self.both_inputs(batch.global_views, batch.global_photometric)
        first_target, second_target = self.targets(first), self.targets(second)
        losses = byol_loss(self.predictions(first), second_target) + byol_loss(self.predictions(second), first_target)
        loss = losses.mean()
        spread = normalise(first_target).var(dim=0, correction=0).mean().sqrt()
        log = {"loss_byol": loss.detach(), "embedding_std": spread}
        if self.is_logged:
            log["participation_z"] = participation_ratio(gather(normalise(first_target)))
        return loss, log

    def predictions(self, images: Tensor) -> Tensor:
        """``q(z)`` of network input, B x d_z, by the online encoder and the predictor."""
        _, embeddings = self.online_encoder(images)
        return self.predictor(embeddings)  # type: ignore[no-any-return]

    @torch.no_grad()
    def targets(self, images: Tensor) -> Tensor:
        """``z'`` of network input, B x d_z, by the target encoder."""
        _, embeddings = self.target_encoder(images)
        return embeddings  # type: ignore[no-any-return]

    def after_step(self) -> None:
        """The target follows; the schedule moves on."""
        update_momentum_copy(self.target_encoder, self.online_encoder, self.step_momentum)
        self.step += 1

    def get_extra_state(self) -> int:
        """The step, for the state dict."""
        return self.step

    def set_extra_state(self, state: int) -> None:
        """Take the step from a state dict."""
        self.step = int(state)
