"""The part of a recipe about vision transformers: their keys, and what of the other keys must fit them."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.recipes.checks import require
from scenebench.errors import UserError


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
