"""What MoCo and BYOL have in common: an encoder that learns and a momentum copy that follows it."""

from __future__ import annotations

from pretrain.methods.base import Method
from pretrain.networks import Encoder
from pretrain.recipes.recipe import Recipe


class TwoEncoders(Method):
    """A method with a leader and a follower; what a branch beside it (local crops, saliency maps) needs to know."""

    @property
    def leader(self) -> Encoder:
        """The encoder that the optimiser moves: MoCo's query encoder, BYOL's online encoder."""
        raise TypeError(f"{type(self).__name__} does not say which encoder learns")

    @property
    def follower(self) -> Encoder:
        """Its momentum copy: MoCo's key encoder, BYOL's target encoder."""
        raise TypeError(f"{type(self).__name__} does not say which encoder follows")

    @property
    def step_momentum(self) -> float:
        """The momentum of the update that ends the step which is under way."""
        raise TypeError(f"{type(self).__name__} does not say how its second encoder follows")


def total_steps(recipe: Recipe, images: int) -> int:
    """Optimiser steps of a whole run over a folder of ``images``: whole batches only, as in ``PretrainDataset``."""
    return recipe.schedule.epochs * recipe.steps_per_epoch(images)
