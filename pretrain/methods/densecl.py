"""DenseCL, "Dense Contrastive Learning for Self-Supervised Visual Pre-Training" (Wang et al., CVPR 2021).

MoCo-v2 with a second head and a second loss. The dense head maps every cell of the backbone's feature map to an
embedding; each query cell is drawn to the one key cell whose *backbone* feature is nearest to its own, and away from a
queue of dense key embeddings, each pooled over its image. ``L = (1 - lambda) L_global + lambda L_dense``, eq. (4).

As in the released code: the dense keys are pooled as they are and normalised afterwards, no cell grid is pooled before
the head (S is 7 at 224 pixels), and both queues have the same length. Departures: the key encoder moves after the step
instead of before it (as everywhere here), and ``network.projector.batch_norm`` holds for both heads (``none`` is
DenseCL).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.dense_losses import dense_info_nce, match_cells, unit_cells
from pretrain.dictionary import PairedDictionary
from pretrain.methods.moco import Keys, MomentumContrast
from pretrain.networks import Encoder, Projector
from pretrain.recipes.checks import require, require_momentum, require_multiple
from pretrain.recipes.method_registry import register
from pretrain.recipes.network import NetworkRecipe
from pretrain.recipes.recipe import Recipe


@dataclass
class DenseClRecipe:
    """MoCo-v2 with a second InfoNCE between matched cells of the feature maps (Wang et al., CVPR 2021)."""

    queue_size: int = 65536  # of both queues; DenseCL's COCO recipe
    temperature: float = 0.2  # DenseCL
    momentum: float = 0.999  # of the key encoder; DenseCL
    loss_weight: float = 0.5  # lambda: (1 - lambda) L_global + lambda L_dense; DenseCL
    warmup_epochs: int = 0  # epochs with lambda = 0; ours: DenseCL has none

    def __post_init__(self) -> None:
        require(self.queue_size >= 1, "densecl.queue_size", self.queue_size, "at least 1")
        require(self.temperature > 0, "densecl.temperature", self.temperature, "positive")
        require_momentum("densecl.momentum", self.momentum)
        require(0 <= self.loss_weight <= 1, "densecl.loss_weight", self.loss_weight, "in [0, 1]")
        require(self.warmup_epochs >= 0, "densecl.warmup_epochs", self.warmup_epochs, "0 or more")


class DenseEncoder(Encoder):
    """Backbone, global projector and dense projector."""

    def __init__(self, recipe: NetworkRecipe) -> None:
        super().__init__(recipe)
        # A 1x1 convolution is one linear map for every cell: the same MLP, over cells instead of images.
        self.dense_projector = Projector(self.backbone.architecture.feature_dim, recipe.projector)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images to feature maps and embeddings.

        Returns:
            The maps, B x C x S x S, and, B x (1 + N) x d, the global embedding followed by those of the N = S x S cells
            in row-major order (none of unit length).
        """
        maps = self.backbone.feature_map(images)
        pooled = maps.mean(dim=(2, 3))
        cells = maps.flatten(2).transpose(1, 2)
        dense = self.dense_projector(cells.flatten(0, 1)).unflatten(0, cells.shape[:2])
        return maps, torch.cat([self.projector(pooled).unsqueeze(1), dense], dim=1)


@register("densecl")
class DenseCl(MomentumContrast):
    """DenseCL. Its memory over MoCo-v2's: a second queue, and the logits of :func:`dense_info_nce`."""

    encoder_type = DenseEncoder
    sections: ClassVar = {"densecl": DenseClRecipe}
    needs_resnet = "matches cells of a ResNet's feature map"

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """The queues hold whole batches."""
        size = recipe.section(DenseClRecipe).queue_size
        require_multiple("densecl.queue_size", size, recipe.schedule.batch_size)

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        dense = recipe.section(DenseClRecipe)
        super().__init__(recipe, images, dense.queue_size, dense.temperature, dense.momentum, keep_features=False)
        self.dense_dictionary = PairedDictionary(dense.queue_size, recipe.network.projector.output_dim)
        self.dense = dense
        self._dense_keys: Keys | None = None
        self.epoch = 0

    def on_epoch_start(self, epoch: int) -> None:
        """Note the epoch, for ``densecl.warmup_epochs``."""
        self.epoch = epoch

    @property
    def loss_weight(self) -> float:
        """lambda now."""
        dense = self.dense
        return 0.0 if self.epoch < dense.warmup_epochs else dense.loss_weight

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. (4). The dense loss is computed in the warm-up too: its queue fills, and the log shows it."""
        maps, embeddings, keys = self.encode(batch)
        key_dense = keys.projections[:, 1:]
        pooled = key_dense.mean(dim=1)
        self._dense_keys = keys._replace(features=pooled, projections=pooled)
        global_keys = keys.projections[:, 0]
        self._keys = keys._replace(features=global_keys, projections=global_keys)
        contrastive = self.contrast(embeddings[:, 0], self._keys).mean()
        dense = dense_info_nce(
            unit_cells(embeddings[:, 1:]),
            unit_cells(key_dense),
            match_cells(maps, keys.features),
            self.dense_dictionary.projections,
            self.temperature,
        ).mean()
        log = {"loss_infonce": contrastive.detach(), "loss_dense": dense.detach()}
        log |= self.health(embeddings[:, 0], self._keys)
        return (1 - self.loss_weight) * contrastive + self.loss_weight * dense, log

    def after_step(self) -> None:
        """As the base; the pooled dense keys enter their own queue."""
        super().after_step()
        if self._dense_keys is not None:
            self.dense_dictionary.enqueue(*self._dense_keys)
            self._dense_keys = None
