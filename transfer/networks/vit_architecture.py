"""Which vision transformer weights belong to. Apart from :mod:`transfer.networks.vit`, which takes timm to import."""

from __future__ import annotations

from dataclasses import dataclass

from scenebench.errors import UserError, require_choice

_SIZES = {(192, 12, 3): "tiny", (384, 12, 6): "small", (768, 12, 12): "base", (1024, 24, 16): "large"}


@dataclass(frozen=True)
class VitArchitecture:
    """What must be known to build a vision transformer (Dosovitskiy et al., ICLR 2021). The default is ViT-S/16 at 224.

    Attributes:
        family: ``vit``.
        width: channels of a token.
        depth: blocks.
        heads: of each block's attention; divides ``width``.
        patch: side of a patch in pixels.
        image_size: side in pixels of the images that the stored position embeddings are for. Images of other sizes are
            taken too: the embeddings are interpolated.
    """

    family: str = "vit"
    width: int = 384
    depth: int = 12
    heads: int = 6
    patch: int = 16
    image_size: int = 224

    def __post_init__(self) -> None:
        require_choice("architecture.family", self.family, ["vit"])
        for name in ("width", "depth", "heads", "patch", "image_size"):
            if getattr(self, name) < 1:
                raise UserError(f"architecture.{name}: {getattr(self, name)} is not a positive number")
        if self.width % self.heads:
            raise UserError(f"architecture.heads: {self.heads} heads do not divide a width of {self.width}")
        if self.image_size % self.patch:
            raise UserError(
                f"architecture.image_size: {self.image_size} does not divide into patches of {self.patch} pixels"
            )

    @property
    def name(self) -> str:
        """timm's name where it has one, ``vit_small_patch16_224``; else ``vit_w64d2h4_patch8_64``."""
        size = _SIZES.get((self.width, self.depth, self.heads), f"w{self.width}d{self.depth}h{self.heads}")
        return f"vit_{size}_patch{self.patch}_{self.image_size}"

    @property
    def feature_dim(self) -> int:
        """Channels of the pooled feature: the class token's."""
        return self.width

    @property
    def stride(self) -> int:
        """Pixels of the image to a cell of the feature map, along a side."""
        return self.patch

    @property
    def stages(self) -> tuple[str, ...]:
        """Where features are compared: ``embedding``, ``block1`` .. ``block<depth>``, ``norm``."""
        return ("embedding", *(f"block{number}" for number in range(1, self.depth + 1)), "norm")

    def stage_of(self, tensor: str) -> str:
        """The stage (:attr:`stages`) of a tensor under timm's name."""
        head, _, rest = tensor.partition(".")
        if head == "blocks":
            return f"block{int(rest.split('.', 1)[0]) + 1}"
        return "norm" if head == "norm" else "embedding"
