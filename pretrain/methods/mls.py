"""MLS, "Multi-Label Self-Supervised Learning with Scene Images" (Zhu, Fu, Wu, ICCV 2023).

MoCo-v2 with a second loss: the k slots of Q_g nearest to g1 are the image's pseudo-labels (eq. 7), and binary
cross-entropy classifies z1 into the slots of Q_z (eq. 8 and 9). ``L = L_nce + lambda L_ml`` (eq. 10). The gradient
flows only through z1 (figure 2): labels and dictionaries are constants.

Not stated in the paper and chosen here: both products use the dictionaries as they were before the batch is enqueued
(``mls.order``), z1 has unit length (so are the scores in figure 3), the InfoNCE negatives are Q_z, and slots that
hold another crop of the same image (possible only where an epoch is not much longer than the dictionary) are neither
positive nor negative (``mls.own_view = out``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pretrain import losses
from pretrain.data.annotations import labels_of_all
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.dictionary import PairedDictionary
from pretrain.distributed import mean_over_processes
from pretrain.health import gradient_norm
from pretrain.methods.moco import Keys, MomentumContrast
from pretrain.pseudo_labels import labels_of_slots, oracle_labels, random_labels, rarity
from pretrain.recipes.checks import require, require_momentum, require_multiple
from pretrain.recipes.method_registry import register
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError, require_choice

REDUCIBLE = ("bce", "bce_positives")
"""Values of ``mls.loss`` that ``mls.reduction`` has a say in."""


@dataclass
class MlsRecipe:
    """Multi-label self-supervision: eq. (4)-(10) of MLS and its ablations. d_z is ``network.projector.output_dim``."""

    k: int = 20  # pseudo-positives an image; MLS, table 8
    dictionary_size: int = 4096  # D of both dictionaries; MLS, figure 5a
    loss_weight: float = 0.5  # lambda; MLS, eq. (10) and figure 5b
    temperature: float = 0.2  # of InfoNCE and BCE alike; MLS
    momentum: float = 0.995  # of the key encoder; MLS
    # Table 6. infonce: the baseline; the others add a term: knn_softmax (eq. 2), bce_positives, bce (eq. 9).
    loss: str = "bce"
    # Of bce and bce_positives over images and slots. mean: over all, eq. (9) as printed. sum: over D, mean over images;
    # balanced: positives and negatives averaged apart, then the mean of both. The last two are ours.
    reduction: str = "mean"
    # Which slots are positive. topk: the k nearest, eq. (7). Controls, ours: random: any k; oracle: the k that have
    # most categories in common by data.annotations, weighed by rarity (slots with none are never positive).
    labels: str = "topk"
    # Table 7. paired: labels from Q_g, logits against Q_z; g_only, z_only: both from the one dictionary.
    dictionaries: str = "paired"
    # before: both products, then enqueue. after: enqueue, then both products. slot_shifted: logits before and labels
    # after the enqueue, as the authors' code seems to do. The paper does not say; "before" is the consistent one.
    order: str = "before"
    own_view: str = "out"  # in: the image's own second view counts among its pseudo-positives; not stated in MLS
    queue_init: str = "random"  # unit Gaussian vectors (as figure 3a shows); keys: of images, before the first step
    warmup_epochs: int = 0  # epochs of InfoNCE alone; MLS trains jointly from the start

    def __post_init__(self) -> None:
        require(self.dictionary_size >= 1, "mls.dictionary_size", self.dictionary_size, "at least 1")
        require(self.k >= 1, "mls.k", self.k, "at least 1")
        if self.k > self.dictionary_size:
            raise UserError(f"mls.k: {self.k} is more than mls.dictionary_size = {self.dictionary_size}; lower mls.k")
        require(self.loss_weight >= 0, "mls.loss_weight", self.loss_weight, "0 or more")
        require(self.temperature > 0, "mls.temperature", self.temperature, "positive")
        require_momentum("mls.momentum", self.momentum)
        require_choice("mls.loss", self.loss, ["infonce", "knn_softmax", "bce_positives", "bce"])
        require_choice("mls.reduction", self.reduction, losses.REDUCTIONS)
        require_choice("mls.labels", self.labels, ["topk", "random", "oracle"])
        if self.reduction != "mean" and self.loss not in REDUCIBLE:
            raise UserError(
                f"mls.reduction: {self.reduction} is not defined for mls.loss={self.loss}; set mls.reduction=mean, or "
                f"mls.loss={' or '.join(REDUCIBLE)}"
            )
        if self.labels != "topk" and self.loss == "infonce":
            raise UserError(
                f"mls.labels: {self.labels} has no effect with mls.loss=infonce, which has no positives but the own "
                "key; set mls.labels=topk, or another mls.loss"
            )
        require_choice("mls.dictionaries", self.dictionaries, ["paired", "g_only", "z_only"])
        require_choice("mls.order", self.order, ["before", "after", "slot_shifted"])
        require_choice("mls.own_view", self.own_view, ["out", "in"])
        require_choice("mls.queue_init", self.queue_init, ["random", "keys"])
        require(self.warmup_epochs >= 0, "mls.warmup_epochs", self.warmup_epochs, "0 or more")


@register("mls")
class Mls(MomentumContrast):
    """MLS and its ablations.

    Attributes:
        image_labels, rarity: bool, images x categories, and the categories' weights, of the oracle labels (none
            without); read anew at every start, so not part of the state dict.
    """

    sections: ClassVar = {"mls": MlsRecipe}
    image_labels: Tensor
    rarity: Tensor

    @classmethod
    def reads_labels(cls, recipe: Recipe) -> bool:
        """By the oracle alone."""
        return recipe.section(MlsRecipe).labels == "oracle"

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """The dictionaries hold whole batches."""
        size = recipe.section(MlsRecipe).dictionary_size
        require_multiple("mls.dictionary_size", size, recipe.schedule.batch_size)

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        mls = recipe.section(MlsRecipe)
        super().__init__(recipe, images, mls.dictionary_size, mls.temperature, mls.momentum, keep_features=True)
        self.mls = mls
        self.epoch = 0
        labels = torch.zeros(len(images), 0, dtype=torch.bool)
        if mls.labels == "oracle":
            labels = labels_of_all(recipe.data.annotations, images, "mls.labels=oracle").bool()
        self.register_buffer("image_labels", labels, persistent=False)
        self.register_buffer("rarity", rarity(labels), persistent=False)

    def on_epoch_start(self, epoch: int) -> None:
        """Note the epoch, for ``mls.warmup_epochs``; fill unused dictionaries where the recipe says so."""
        self.epoch = epoch
        if self.mls.queue_init == "keys" and self.dictionary.is_unused():
            self.fill_with_keys()

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. (10)."""
        mls = self.mls
        features, embeddings, keys = self.encode(batch)
        self._keys = keys
        contrastive = self.contrast(embeddings, keys).mean()
        log = {"loss_infonce": contrastive.detach()} | self.health(embeddings, keys)
        if mls.loss == "infonce" or self.epoch < mls.warmup_epochs:
            return contrastive, log
        scores, labels, excluded = self.scores_and_labels(features, embeddings, keys)
        multi_label = self.multi_label_loss(scores, labels, excluded)
        log["loss_multi_label"] = multi_label.detach()
        if self.is_logged:
            if mls.loss in REDUCIBLE:
                log["bce_over_ln2"] = self.over_nothing_known(multi_label.detach(), labels, excluded)
            log |= self.gradient_shares(embeddings, contrastive, multi_label, (scores, labels, excluded))
        return contrastive + mls.loss_weight * multi_label, log

    def multi_label_loss(self, scores: Tensor, labels: Tensor, excluded: Tensor | None, loss: str = "") -> Tensor:
        """What table 6 adds to InfoNCE: ``mls.loss``, or another ``loss``, in the recipe's reduction."""
        match loss or self.mls.loss:
            case "bce":
                return losses.multi_label_bce(scores, labels, self.temperature, excluded, self.mls.reduction)
            case "bce_positives":
                return losses.multi_label_bce_positives(scores, labels, self.temperature, excluded, self.mls.reduction)
            case _:
                return losses.knn_softmax(scores, labels, self.temperature, excluded)

    def over_nothing_known(self, multi_label: Tensor, labels: Tensor, excluded: Tensor | None) -> Tensor:
        """The second loss, a scalar, over what it is where every score is 0 (of bce, as mean or balanced: ln 2)."""
        unknown = torch.zeros(labels.shape, dtype=multi_label.dtype, device=labels.device)
        at_zero = mean_over_processes(self.multi_label_loss(unknown, labels, excluded))
        return mean_over_processes(multi_label) / at_zero.clamp(min=torch.finfo(at_zero.dtype).tiny)

    def gradient_shares(
        self,
        embeddings: Tensor,
        contrastive: Tensor,
        multi_label: Tensor,
        products: tuple[Tensor, Tensor, Tensor | None],
    ) -> dict[str, Tensor]:
        """How long lambda times the gradient of the second loss at z1 is beside that of InfoNCE; of its positives too.

        Nothing where the second loss does not reach z1 (``mls.dictionaries = g_only``).

        Args:
            products: of :meth:`scores_and_labels`.
        """
        seconds = {"gradient_share": multi_label}
        if self.mls.loss in REDUCIBLE:
            seconds["gradient_share_positives"] = self.multi_label_loss(*products, loss="bce_positives")
        first = gradient_norm(contrastive, embeddings)
        norms = {name: gradient_norm(second, embeddings) for name, second in seconds.items()}
        if first is None:
            return {}
        return {name: self.mls.loss_weight * norm / first for name, norm in norms.items() if norm is not None}

    def scores_and_labels(
        self, features: Tensor, embeddings: Tensor, keys: Keys
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """p (with gradient), y and the excluded slots, each B x D, for the recipe's dictionaries and order.

        ``slot_shifted`` reproduces what the order of the released code of the paper's reference [36] amounts to: logits
        of the old keys, labels after the enqueue, so that B of the D columns compare two different images.
        """
        mls = self.mls
        now = self.dictionary
        later = now if mls.order == "before" else now.after_enqueue(*keys)
        for_scores = later if mls.order == "after" else now
        for_labels = now if mls.order == "before" else later
        query_g, query_z = losses.normalise(features), losses.normalise(embeddings)
        if mls.dictionaries == "g_only":
            scores = losses.similarities(query_g, for_scores.features)
        else:
            scores = losses.similarities(query_z, for_scores.projections)
        excluded = self._own_slots(keys.image_ids, for_scores, for_labels) if mls.own_view == "out" else None
        return scores, self._labels(query_g, query_z, keys.image_ids, for_labels, excluded), excluded

    def _labels(
        self,
        query_g: Tensor,
        query_z: Tensor,
        image_ids: Tensor,
        slots: PairedDictionary,
        excluded: Tensor | None,
    ) -> Tensor:
        mls = self.mls
        if mls.labels == "random":
            return random_labels(len(query_z), slots.size, mls.k, excluded)
        if mls.labels == "oracle":
            held = labels_of_slots(self.image_labels, slots.image_ids)
            return oracle_labels(self.image_labels[image_ids], held, self.rarity, slots.ages(), mls.k, excluded)
        if mls.dictionaries == "z_only":
            return losses.top_k_labels(losses.similarities(query_z.detach(), slots.projections), mls.k, excluded)
        return losses.top_k_labels(losses.similarities(query_g.detach(), slots.features), mls.k, excluded)

    @staticmethod
    def _own_slots(image_ids: Tensor, for_scores: PairedDictionary, for_labels: PairedDictionary) -> Tensor:
        own = for_labels.holds_image(image_ids)
        return own if for_scores is for_labels else own | for_scores.holds_image(image_ids)
