"""Saliency-guided contrastive learning: a re-implementation from the abstract of Chen et al., arXiv 2302.11461.

A base method learns from two global views. Beside them, K pairs of local crops are drawn where the model's own saliency
map is high, and their contrastive losses are weighed by their saliency scores:
``L = L_global + lambda mean_n 1/K sum_k w_nk l_nk``. Base, formulas and schedule are this suite's; the abstract names
none. Any gain must be read against the controls (``source`` uniform, random, shuffled; ``crops: random``).

Bases and their crop branches are in :mod:`pretrain.methods.saliency.branch`, the sources of maps in
:mod:`pretrain.methods.saliency.sources`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pretrain import saliency
from pretrain.data.images import image_aspects
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch, LocalBoxSampler
from pretrain.distributed import gather
from pretrain.methods.base import Method
from pretrain.methods.byol import ByolRecipe
from pretrain.methods.moco import MocoRecipe
from pretrain.methods.saliency.boxes import draw_pairs
from pretrain.methods.saliency.branch import BASES, PairsOfCrops
from pretrain.methods.saliency.history import SaliencyHistory
from pretrain.methods.saliency.keys import SaliencyRecipe
from pretrain.methods.saliency.sources import SOURCES, MapRequest, model_source
from pretrain.recipes.method_registry import register
from pretrain.recipes.recipe import LocalCrops, Recipe
from scenebench.errors import UserError
from scenebench.evaluation_mode import evaluation_mode
from transfer.networks.network import Backbone


@register("saliency")
class Saliency(Method):
    """A base on the global views, and a branch of weighted local crops."""

    sections: ClassVar = {"saliency": SaliencyRecipe, "moco": MocoRecipe, "byol": ByolRecipe}

    @classmethod
    def sections_used(cls, recipe: Recipe) -> tuple[str, ...]:
        """Its own and the base's."""
        return "saliency", recipe.section(SaliencyRecipe).base

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """What the base checks, and a source of maps that there is something to make them of."""
        local, family = recipe.section(SaliencyRecipe), recipe.network.family
        BASES[local.base].method.check(recipe)
        if local.source == "mask" and not recipe.data.annotations:
            raise UserError(
                "saliency.source: mask needs the objects of the images; set data.annotations=INSTANCES.json (COCO)"
            )
        if local.source == "attention" and family == "resnet":
            raise UserError(
                "saliency.source: attention is a vision transformer's; use activation, or network.family=vit"
            )
        if local.source in ("activation", "contracam") and family == "vit":
            raise UserError(
                f"saliency.source: {local.source} needs the rectified feature map of a ResNet; a vision transformer's "
                "is of either sign: use saliency.source=attention"
            )

    @classmethod
    def reads_labels(cls, recipe: Recipe) -> bool:
        """By the oracle alone."""
        return recipe.section(SaliencyRecipe).source == "mask"

    @classmethod
    def image_sizes(cls, recipe: Recipe) -> dict[str, int]:
        """Also of the local crops, and of the images that maps are made of."""
        local = recipe.section(SaliencyRecipe)
        own = {"saliency.crop_size": local.crop_size, "saliency.map_input_size": local.map_input_size}
        return super().image_sizes(recipe) | own

    @classmethod
    def local_crops(cls, recipe: Recipe) -> LocalCrops:
        """``saliency.pairs`` of ``saliency.crop_size``."""
        local = recipe.section(SaliencyRecipe)
        return LocalCrops(local.pairs, local.crop_size)

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__(recipe, images)
        self.local = local = recipe.section(SaliencyRecipe)
        base, crops = BASES[local.base]
        self.base = base(recipe, images)
        self.branch = self.base.branch
        self.crops = crops(recipe, self.backbone.architecture.feature_dim)
        self.maps = SaliencyCache(len(images), local.map_input_size, self.backbone.architecture.stride)
        self.history = SaliencyHistory(len(images), self.maps.size)
        self._aspects = image_aspects(images)

    @property
    def backbone(self) -> Backbone:
        """The base's."""
        return self.base.backbone

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """``L_global + lambda L_local``."""
        recipe = self.local
        self.base.is_logged = self.is_logged
        global_loss, log = self.base.training_step(batch)
        losses = self.local_losses(batch)
        weights, scores = self.weights(batch)
        local_loss = (weights.detach() * losses).mean()
        log |= {
            "loss_local": local_loss.detach(),
            "pair_score": scores.mean(),
            "largest_weight": weights.max(),
            "map_entropy": saliency.map_entropies(saliency.to_float(self.maps.of(batch.on_host))).mean(),
        }
        return global_loss + recipe.loss_weight * local_loss, log

    def local_losses(self, batch: Batch) -> Tensor:
        """The loss of each pair of anchor and partner by the base's branch, B x K."""
        assert batch.local_views is not None
        assert batch.local_boxes is not None
        assert batch.local_photometric is not None
        images, pairs = batch.local_views.shape[:2]
        anchors, partners = self.both_inputs(batch.local_views.flatten(0, 1), batch.local_photometric.flatten(0, 1))
        crops = PairsOfCrops(
            anchors=anchors,
            partners=partners,
            image_ids=batch.indices[:, None].expand(-1, pairs).flatten(),
            partner_boxes=batch.local_boxes[:, :, 1].flatten(0, 1),
        )
        return self.crops.losses(self.base, crops).reshape(images, pairs)

    def weights(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss weights and pair scores, each B x K, without gradient."""
        assert batch.local_boxes is not None
        recipe = self.local
        maps = saliency.to_float(self.maps.of(batch.on_host)).to(batch.local_boxes.device, non_blocking=True)
        scores = saliency.pair_scores(maps, batch.local_boxes)
        # Only a mean over the batch needs the scores of the other processes.
        everybody = gather(scores) if recipe.normalise == "batch" else scores
        return saliency.loss_weights(scores, recipe.beta, recipe.normalise, recipe.epsilon, everybody), scores

    def after_step(self) -> None:
        """As the base; the crop branch follows in the same way."""
        momentum = self.base.step_momentum  # before the base moves on to the next step
        self.base.after_step()
        self.crops.after_step(momentum)

    def on_epoch_start(self, epoch: int) -> None:
        """Refresh the maps where the schedule says so, once; before training, keep what the figures show."""
        if epoch in refresh_epochs(self.recipe) and self.maps.refreshed_at != epoch:
            self.maps.refresh(self.compute_maps(epoch), epoch)
            self.history.add(epoch, self.maps.of(torch.tensor(self.history.indices)))
        elif epoch == 0 and not self.history.epochs:
            watched = [self.images[index] for index in self.history.indices]
            self.history.add(0, self.maps_of(watched, np.random.default_rng([self.recipe.seed, 0])))

    def compute_maps(self, epoch: int) -> Tensor:
        """The maps of all images by ``saliency.source``, uint8 N x h x w."""
        return self.maps_of(self.images, np.random.default_rng([self.recipe.seed, epoch]))

    def maps_of(self, images: ImageFiles, rng: np.random.Generator) -> Tensor:
        """The maps that ``saliency.source`` gives these images now, uint8 n x h x w; 1 where one cannot be decoded."""
        return self._maps_by(self.local.source, images, rng)

    def model_maps_of(self, images: ImageFiles) -> Tensor:
        """What the network itself says of any images now, also where the crops go by a control; uint8 n x h x w.

        By ``saliency.source`` where that asks the network, else by what such a network has by itself.
        """
        source = model_source(self.local.source, self.base.follower.backbone)
        return self._maps_by(source, images, np.random.default_rng(0))

    def _maps_by(self, source: str, images: ImageFiles, rng: np.random.Generator) -> Tensor:
        with evaluation_mode(self.base.follower), torch.no_grad():
            return SOURCES[source](MapRequest(self.base, images, self.maps.size, rng))

    def local_box_sampler(self) -> LocalBoxSampler:
        """Draws K pairs in image ``index`` from the map it has now."""
        recipe = self.local
        values = self.maps.values.numpy()  # shares memory with the cache
        aspects = self._aspects
        uniform = np.ones(self.maps.size)

        def sample(index: int, rng: np.random.Generator) -> np.ndarray:
            saliency_map = uniform if recipe.crops == "random" else values[index]
            return draw_pairs(saliency_map, float(aspects[index]), recipe, rng)

        return sample


class SaliencyCache(torch.nn.Module):
    """One small map an image, 8 bits a cell: N * h * w bytes (5.8 MB for COCO at 7 x 7). Always on the CPU.

    Part of the state dict. Until the first refresh every map is 1 (the warm-up).

    Attributes:
        values: uint8, N x h x w; the same memory for ever, since the loader reads it.
        refreshed_at: the epoch of the last refresh, or -1.
    """

    def __init__(self, images: int, input_size: int, stride: int = 32) -> None:
        super().__init__()
        cells = -(-input_size // stride)  # rounded up, as a ResNet's halvings do
        self.size = (cells, cells)
        self.values = torch.full((images, cells, cells), 255, dtype=torch.uint8)
        self.refreshed_at = -1

    def of(self, indices: Tensor) -> Tensor:
        """The maps of some images, uint8 B x h x w.

        Args:
            indices: on the CPU.
        """
        return self.values[indices]

    def refresh(self, maps: Tensor, epoch: int) -> None:
        """Take new maps, in place."""
        self.values.copy_(maps)
        self.refreshed_at = epoch

    def get_extra_state(self) -> dict[str, object]:
        """For the state dict; not a buffer, so that it stays on the CPU."""
        return {"values": self.values.clone(), "refreshed_at": self.refreshed_at}

    def set_extra_state(self, state: dict[str, object]) -> None:
        """Take the cache from a state dict, in place."""
        self.refresh(state["values"], int(state["refreshed_at"]))  # type: ignore[arg-type, call-overload]


def refresh_epochs(recipe: Recipe) -> list[int]:
    """Epochs at whose start the maps are refreshed: after the warm-up, then at equal intervals."""
    epochs, local = recipe.schedule.epochs, recipe.section(SaliencyRecipe)
    first = round(local.warmup_share * epochs)
    return list(range(first, epochs, max(1, round(local.refresh_share * epochs))))
