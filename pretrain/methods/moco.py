"""MoCo-v2: InfoNCE between a query and the key of a momentum encoder, negatives from a queue.

One direction: view 1 through the query encoder, view 2 through the key encoder.

Batch normalisation. Where queries and keys share their batch statistics, the network can tell the positive by them.
MoCo's remedy, shuffle-BN, gives every GPU its own statistics and shuffles the keys between the GPUs. Here
``network.bn_groups = G`` does the same at any number of devices: G equal parts of the batch have their own
statistics, and the keys are shuffled before they are parted. ``G = 8`` at batch 256 is MoCo on 8 GPUs. ``G = 1`` (the
demo) normalises over the whole batch without the remedy; that is what SyncBN does, as in BYOL and in ORL's MoCo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from pretrain.data.loading import uncached_dataset
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.dictionary import PairedDictionary
from pretrain.distributed import gather, own_rows
from pretrain.health import participation_ratio, top_one
from pretrain.losses import info_nce, normalise
from pretrain.methods.two_encoders import TwoEncoders
from pretrain.networks import (
    Encoder,
    encode_in_groups,
    groups_here,
    momentum_copy,
    unchanged_running_statistics,
    update_momentum_copy,
)
from pretrain.recipes.checks import require, require_momentum, require_multiple
from pretrain.recipes.method_registry import register
from pretrain.recipes.recipe import Recipe
from transfer.networks.network import Backbone


@dataclass
class MocoRecipe:
    """InfoNCE against a queue. Read by ``moco``, and by ``saliency`` on the base ``moco``."""

    queue_size: int = 65536  # MOCO, ORL
    temperature: float = 0.2  # MOCO
    momentum: float = 0.999  # of the key encoder; MOCO

    def __post_init__(self) -> None:
        require(self.queue_size >= 1, "moco.queue_size", self.queue_size, "at least 1")
        require(self.temperature > 0, "moco.temperature", self.temperature, "positive")
        require_momentum("moco.momentum", self.momentum)


class Keys(NamedTuple):
    """What one batch writes into the dictionary; rows not normalised."""

    features: Tensor  # g2, B x d_g
    projections: Tensor  # z2, B x d_z
    image_ids: Tensor  # int64, B
    boxes: Tensor  # B x 4


class MomentumContrast(TwoEncoders):
    """The base structure that MoCo-v2 and MLS share: two encoders and a dictionary.

    The dictionary takes the keys of a batch in :meth:`after_step`, so that every product in the step sees it as it was
    before (and a step that fails leaves it alone).

    Attributes:
        encoder_type: what both encoders are.
    """

    encoder_type: type[Encoder] = Encoder
    one_pass = True

    def __init__(
        self,
        recipe: Recipe,
        images: ImageFiles,
        dictionary_size: int,
        temperature: float,
        momentum: float,
        keep_features: bool,
    ) -> None:
        super().__init__(recipe, images)
        self.temperature = temperature
        self.momentum = momentum
        self.query_encoder = self.encoder_type(recipe.network)
        self.key_encoder = momentum_copy(self.query_encoder)
        feature_dim = self.backbone.architecture.feature_dim if keep_features else 0
        self.dictionary = PairedDictionary(dictionary_size, recipe.network.projector.output_dim, feature_dim)
        self._keys: Keys | None = None

    @property
    def backbone(self) -> Backbone:
        """The query encoder's, as MoCo releases it."""
        return self.query_encoder.backbone

    @property
    def leader(self) -> Encoder:
        """The query encoder."""
        return self.query_encoder

    @property
    def follower(self) -> Encoder:
        """The key encoder."""
        return self.key_encoder

    @property
    def step_momentum(self) -> float:
        """Constant."""
        return self.momentum

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor, Keys]:
        """g1 and z1 of the first views (with gradient), and the keys of the second views (without)."""
        first, second = self.both_inputs(batch.global_views, batch.global_photometric)
        features, embeddings = encode_in_groups(self.query_encoder, first, groups_here(self.recipe))
        key_features, key_embeddings = self.encode_keys(second)
        keys = Keys(key_features, key_embeddings, batch.indices, batch.global_boxes[:, 1])
        return features, embeddings, keys

    @torch.no_grad()
    def encode_keys(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """g2 and z2 by the key encoder, with shuffle-BN where ``network.bn_groups`` is more than 1."""
        groups = groups_here(self.recipe)
        if self.recipe.network.bn_groups == 1:
            return encode_in_groups(self.key_encoder, images, groups)
        # Drawn on the CPU: the same on every device and in every process, and part of the checkpointed generator.
        images = gather(images)
        order = torch.randperm(len(images)).to(images.device, non_blocking=True)
        shuffled = self.laid_out(own_rows(images[order]))
        features, embeddings = encode_in_groups(self.key_encoder, shuffled, groups)
        back = torch.argsort(order)
        return own_rows(gather(features)[back]), own_rows(gather(embeddings)[back])

    @torch.no_grad()
    def fill_with_keys(self) -> None:
        """Enqueue as many keys as there are slots: second views by the key encoder as it is, running statistics kept.

        The views are those of an epoch after the last, so that training sees none of them.
        """
        dataset = uncached_dataset(self.recipe, self.images)
        for step in range(self.dictionary.size // dataset.batch_size):
            batch = dataset.load_batch(self.recipe.schedule.epochs, step % dataset.steps_per_epoch)
            views = self.network_input(batch.global_views[:, 1].to(self.device), batch.global_photometric[:, 1])
            with unchanged_running_statistics(self.key_encoder):
                features, embeddings = self.encode_keys(views)
            boxes = batch.global_boxes[:, 1].to(self.device)
            self.dictionary.enqueue(features, embeddings, batch.indices.to(self.device), boxes)

    def after_step(self) -> None:
        """Move the key encoder, then enqueue the keys of the step."""
        update_momentum_copy(self.key_encoder, self.query_encoder, self.momentum)
        if self._keys is not None:
            self.dictionary.enqueue(*self._keys)
            self._keys = None

    def contrast(self, embeddings: Tensor, keys: Keys) -> Tensor:
        """The InfoNCE loss of each image, B."""
        return info_nce(
            normalise(embeddings), normalise(keys.projections), self.dictionary.projections, self.temperature
        )

    def health(self, embeddings: Tensor, keys: Keys) -> dict[str, Tensor]:
        """Where the step is logged: top-1 of InfoNCE, and the directions that the keys in each dictionary spread in.

        Args:
            embeddings, keys: as of :meth:`contrast`.
        """
        if not self.is_logged:
            return {}
        now = self.dictionary
        log = {"infonce_top1": top_one(normalise(embeddings), normalise(keys.projections), now.projections)}
        written = now.written()
        for name, vectors in (("z", now.projections), ("g", now.features)):
            if int(written.sum()) > 1 and vectors.shape[1]:
                log[f"participation_{name}"] = participation_ratio(vectors[written])
        return log


@register("moco")
class Moco(MomentumContrast):
    """MoCo-v2."""

    sections: ClassVar = {"moco": MocoRecipe}

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """The queue holds whole batches."""
        require_multiple("moco.queue_size", recipe.section(MocoRecipe).queue_size, recipe.schedule.batch_size)

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        moco = recipe.section(MocoRecipe)
        super().__init__(recipe, images, moco.queue_size, moco.temperature, moco.momentum, keep_features=False)

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """InfoNCE."""
        _, embeddings, keys = self.encode(batch)
        self._keys = keys
        loss = self.contrast(embeddings, keys).mean()
        return loss, {"loss_infonce": loss.detach()} | self.health(embeddings, keys)
