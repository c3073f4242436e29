"""The branch of local crops of the saliency-guided method, one class for each base.

The branch shares the base's two backbones and has heads of its own. Its BN layers are its own too; the backbones
normalise local crops by their batch statistics but keep the running statistics of the global views, since the backbone
is used on whole images.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pretrain.dictionary import PairedDictionary
from pretrain.losses import byol_loss, info_nce, normalise
from pretrain.methods.byol import Byol, ByolRecipe
from pretrain.methods.moco import Keys, Moco, MocoRecipe
from pretrain.methods.two_encoders import TwoEncoders
from pretrain.networks import (
    Predictor,
    Projector,
    momentum_copy,
    unchanged_running_statistics,
    update_momentum_copy,
)
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError


class PairsOfCrops(NamedTuple):
    """The pairs of a batch as rows; with K pairs an image, row ``n * K + k`` is pair k of image n."""

    anchors: Tensor  # network input, M x 3 x s x s
    partners: Tensor  # network input, M x 3 x s x s
    image_ids: Tensor  # int64, M
    partner_boxes: Tensor  # M x 4, xyxy shares of the whole image


class CropBranch(nn.Module):
    """Heads for local crops, and how the embeddings of anchor and partner are compared."""

    def __init__(self, recipe: Recipe, feature_dim: int) -> None:
        super().__init__()
        self.projector = Projector(feature_dim, recipe.network.projector)
        self.follower_projector = momentum_copy(self.projector)

    def losses(self, base: TwoEncoders, crops: PairsOfCrops) -> Tensor:
        """The loss of each pair, M. ``base`` lends its backbones (as a submodule they would be saved twice)."""
        raise TypeError(f"{type(self).__name__} does not say how crops are compared")

    def after_step(self, momentum: float) -> None:
        """The projector's copy follows, by the momentum of the base's own."""
        update_momentum_copy(self.follower_projector, self.projector, momentum)

    def embeddings(self, base: TwoEncoders, images: Tensor) -> Tensor:
        """z of network input, M x d_z, by the learning encoder; the gradient's way."""
        backbone = base.leader.backbone
        with unchanged_running_statistics(backbone):
            return self.projector(backbone(images))  # type: ignore[no-any-return]

    @torch.no_grad()
    def follower_embeddings(self, base: TwoEncoders, images: Tensor) -> Tensor:
        """The same by the momentum copies, without gradient."""
        backbone = base.follower.backbone
        with unchanged_running_statistics(backbone):
            return self.follower_projector(backbone(images))  # type: ignore[no-any-return]


class ContrastedCrops(CropBranch):
    """Beside MoCo-v2: InfoNCE of each anchor (query) against its partner (key).

    Negatives must lie in the branch's own space, so they come from its own queue of partner keys, as long as MoCo's.
    """

    def __init__(self, recipe: Recipe, feature_dim: int) -> None:
        moco = recipe.section(MocoRecipe)
        queue_size, keys_a_step = moco.queue_size, recipe.about.local_crops(recipe).pairs * recipe.schedule.batch_size
        if queue_size % keys_a_step != 0:
            raise UserError(
                f"moco.queue_size: {queue_size} is not a multiple of a step's {keys_a_step} local keys "
                "(saliency.pairs x schedule.batch_size)"
            )
        super().__init__(recipe, feature_dim)
        self.dictionary = PairedDictionary(queue_size, recipe.network.projector.output_dim)
        self.temperature = moco.temperature
        self._keys: Keys | None = None

    def losses(self, base: TwoEncoders, crops: PairsOfCrops) -> Tensor:
        """InfoNCE of each pair, M."""
        queries = self.embeddings(base, crops.anchors)
        keys = self.follower_embeddings(base, crops.partners)
        self._keys = Keys(keys, keys, crops.image_ids, crops.partner_boxes)
        return info_nce(normalise(queries), normalise(keys), self.dictionary.projections, self.temperature)

    def after_step(self, momentum: float) -> None:
        """Also enqueue the keys of the step."""
        super().after_step(momentum)
        if self._keys is not None:
            self.dictionary.enqueue(*self._keys)
            self._keys = None


class PredictedCrops(CropBranch):
    """Beside BYOL: the anchor predicts its partner's target, and the other way round."""

    def __init__(self, recipe: Recipe, feature_dim: int) -> None:
        super().__init__(recipe, feature_dim)
        self.predictor = Predictor(recipe.network.projector.output_dim, recipe.section(ByolRecipe).predictor_hidden_dim)

    def losses(self, base: TwoEncoders, crops: PairsOfCrops) -> Tensor:
        """``2 (1 - cos)``, summed over the two directions as for BYOL's global views; M."""
        anchor_targets = self.follower_embeddings(base, crops.anchors)
        partner_targets = self.follower_embeddings(base, crops.partners)
        from_anchors = self.predictor(self.embeddings(base, crops.anchors))
        from_partners = self.predictor(self.embeddings(base, crops.partners))
        return byol_loss(from_anchors, partner_targets) + byol_loss(from_partners, anchor_targets)


class Base(NamedTuple):
    """A method for the global views, and the branch of crops that goes with it."""

    method: type[TwoEncoders]
    branch: type[CropBranch]


BASES: dict[str, Base] = {
    "moco": Base(Moco, ContrastedCrops),
    "byol": Base(Byol, PredictedCrops),
}
