"""The part of a recipe about networks: backbone and projector."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.recipes.checks import require
from scenebench.errors import UserError, require_choice


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


@dataclass
class ProjectorRecipe:
    """The MLP ``f`` from the pooled backbone feature g to the embedding z."""

    hidden_dim: int | None = None  # None: as wide as the backbone feature (2048 for a ResNet-50); MOCO
    output_dim: int = 128  # MOCO; MLS states d_z = 256, BYOL 256: set by their recipes
    # MOCO has none. hidden: in the hidden layer (BYOL). all: after the last layer too, there without scale and shift
    # (as MoCo-v3 and SimSiam), which small networks on small data need.
    batch_norm: str = "none"

    def __post_init__(self) -> None:
        if self.hidden_dim is not None:
            require(self.hidden_dim >= 1, "network.projector.hidden_dim", self.hidden_dim, "at least 1, or null")
        require(self.output_dim >= 2, "network.projector.output_dim", self.output_dim, "at least 2")
        require_choice("network.projector.batch_norm", self.batch_norm, ["none", "hidden", "all"])


@dataclass
class NetworkRecipe:
    """Backbone and projector."""

    family: str = "resnet"  # vit: a vision transformer, described by ``vit``
    depth: int = 50  # of a ResNet; MLS
    stem_width: int = 64  # of a ResNet; torchvision's standard network
    vit: VitRecipe = field(default_factory=VitRecipe)
    projector: ProjectorRecipe = field(default_factory=ProjectorRecipe)
    # Batch statistics are over so many equal parts of the batch, the keys shuffled between them: shuffle-BN. 8 at batch
    # 256 is MOCO's 8 GPUs; 1 normalises over the whole batch.
    bn_groups: int = 1

    def __post_init__(self) -> None:
        require_choice("network.family", self.family, ["resnet", "vit"])
        require(self.depth in (18, 34, 50, 101, 152), "network.depth", self.depth, "18, 34, 50, 101 or 152")
        require(self.stem_width >= 1, "network.stem_width", self.stem_width, "a positive number of channels")
        require(self.bn_groups >= 1, "network.bn_groups", self.bn_groups, "at least 1")


def require_patches(key: str, size: int, patch: int) -> None:
    """``size`` pixels must divide into patches."""
    if size % patch:
        nearest = max(patch, round(size / patch) * patch)
        raise UserError(f"{key}: {size} does not divide into patches of network.vit.patch = {patch}; use {nearest}")
