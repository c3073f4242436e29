"""The multi-label supervised upper bound: what the backbone learns where somebody has named the categories.

A linear classifier on the pooled feature of the first view, binary cross-entropy, a plain mean over categories and
images. Ours; no paper here defines it. The second view is cut like everybody's and left alone, so that the images seen
in a step are the same as in the other methods.
"""

from __future__ import annotations

from torch import Tensor, nn

from pretrain.data.annotations import labels_of_all
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.losses import multi_label_bce
from pretrain.methods.base import Method
from pretrain.networks import architecture_of, encode_in_groups
from pretrain.recipes.method_registry import register
from pretrain.recipes.network import NetworkRecipe
from pretrain.recipes.recipe import Recipe
from transfer.networks.network import Backbone, build_network


class Classifier(nn.Module):
    """Backbone and a linear layer."""

    def __init__(self, recipe: NetworkRecipe, categories: int) -> None:
        super().__init__()
        architecture = architecture_of(recipe)
        self.backbone = build_network(architecture)
        self.linear = nn.Linear(architecture.feature_dim, categories)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images, B x 3 x S x S, to features B x d_g and logits B x categories."""
        features = self.backbone(images)
        return features, self.linear(features)


@register("supervised")
class Supervised(Method):
    """Every image must be listed in ``data.annotations``; one that is listed without an object holds no category.

    Images without labels are refused rather than left out of the mean: a step would then have fewer images than the
    recipe says, and the bound less data than the methods it is compared with.

    Attributes:
        labels: uint8 0/1, images x categories; N * C bytes (9.5 MB for COCO). Read anew at every start, so not part of
            the state dict.
    """

    branch = "only"
    labels: Tensor

    @classmethod
    def reads_labels(cls, recipe: Recipe) -> bool:
        """Always."""
        return True

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__(recipe, images)
        labels = labels_of_all(recipe.data.annotations, images, "method=supervised")
        self.network = Classifier(recipe.network, labels.shape[1])
        self.register_buffer("labels", labels, persistent=False)

    @property
    def backbone(self) -> Backbone:
        """The only network there is."""
        return self.network.backbone

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy."""
        views = self.network_input(batch.global_views[:, 0], batch.global_photometric[:, 0])
        _, logits = encode_in_groups(self.network, views, self.recipe.network.bn_groups)
        labels = self.labels[batch.indices].bool()
        loss = multi_label_bce(logits, labels, temperature=1.0)
        return loss, {"loss_bce": loss.detach()}
