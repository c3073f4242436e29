"""The part of a recipe about vision transformers: their keys, and what of the other keys must fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pretrain.recipes.checks import require
from scenebench.errors import UserError

if TYPE_CHECKING:
    from pretrain.recipes.recipe import Recipe

METHODS_FOR_RESNETS = {"densecl": "matches cells of a ResNet's feature map"}


@dataclass
class VitRecipe:
    """The backbone where ``network.family`` is ``vit``. The default is ViT-S/16 (timm's ``vit_small_patch16_224``)."""

    width: int = 384  # channels of a token
    depth: int = 12
    heads: int = 6
    patch: int = 16  # pixels
    image_size: int = 224  # that the position embeddings are for; interpolated for other sizes
    # The patches' projection stays as it was drawn: MoCo-v3 (Chen et al., ICCV 2021) trains more steadily so.
    freeze_patches: bool = False

    def __post_init__(self) -> None:
        for key in ("width", "depth", "heads", "patch", "image_size"):
            require(getattr(self, key) >= 1, f"network.vit.{key}", getattr(self, key), "at least 1")
        require(self.width % self.heads == 0, "network.vit.heads", self.heads, f"a divisor of the width {self.width}")
        require_patches("network.vit.image_size", self.image_size, self.patch)


def require_patches(key: str, size: int, patch: int) -> None:
    """``size`` pixels must divide into patches."""
    if size % patch:
        nearest = max(patch, round(size / patch) * patch)
        raise UserError(f"{key}: {size} does not divide into patches of network.vit.patch = {patch}; use {nearest}")


def check_family(recipe: Recipe) -> None:
    """What belongs to one family of networks must not be given, or asked for, with the other.

    Raises:
        UserError: naming the first key that does not fit.
    """
    if recipe.network.family == "vit":
        _check_vit(recipe)
        return
    if recipe.network.vit != VitRecipe():
        raise UserError("network.vit: has no effect with network.family=resnet; remove it, or set network.family=vit")
    if recipe.method == "saliency" and recipe.saliency.source == "attention":
        raise UserError("saliency.source: attention is a vision transformer's; use activation, or network.family=vit")


def _check_vit(recipe: Recipe) -> None:
    network = recipe.network
    for key, default in (("depth", 50), ("stem_width", 64)):
        if getattr(network, key) != default:
            raise UserError(
                f"network.{key}: {getattr(network, key)} is a ResNet's and has no effect with network.family=vit; "
                f"remove it, or set it to its default {default} (a vision transformer's keys are network.vit.*)"
            )
    if recipe.method in METHODS_FOR_RESNETS:
        reason = METHODS_FOR_RESNETS[recipe.method]
        raise UserError(f"network.family: vit does not go with method {recipe.method}, which {reason}; use resnet")
    if network.bn_groups > 1 and network.projector.batch_norm == "none":
        raise UserError(
            f"network.bn_groups: {network.bn_groups} parts have nothing to act on: neither a vision transformer nor "
            "this projector has batch normalisation; set network.bn_groups=1"
        )
    if recipe.run.channels_last and network.vit.width % 8:
        raise UserError(
            f"network.vit.width: {network.vit.width} is not a multiple of 8, which run.channels_last needs; "
            "change it, or set run.channels_last=false"
        )
    for key, size in _sizes(recipe).items():
        require_patches(key, size, network.vit.patch)
    if recipe.method == "saliency" and recipe.saliency.source in ("activation", "contracam"):
        raise UserError(
            f"saliency.source: {recipe.saliency.source} needs the rectified feature map of a ResNet; a vision "
            "transformer's is of either sign: use saliency.source=attention"
        )


def _sizes(recipe: Recipe) -> dict[str, int]:
    """Every image size that this recipe's network will be given, by key."""
    if recipe.method == "random_init":
        sizes = {"random_init.resolution": recipe.random_init.resolution}
    else:
        sizes = {"views.crop_size": recipe.views.crop_size}
    if recipe.method == "saliency":
        sizes["saliency.crop_size"] = recipe.saliency.crop_size
        sizes["saliency.map_input_size"] = recipe.saliency.map_input_size
    if recipe.probe.every_epochs is not None:
        sizes["probe.resolution"] = recipe.probe.resolution
    return sizes
