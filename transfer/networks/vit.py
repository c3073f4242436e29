"""The vision transformers of the suite: timm's own class and parameter names, so that its checkpoints load as they are.

Without classifier and without dropout of any kind.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor

from scenebench.errors import UserError
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.vit_architecture import VitArchitecture


class VisionTransformer(TimmVisionTransformer):
    """timm's VisionTransformer without the classifier, with feature maps and attention maps at hand.

    Images may be of any size that divides into patches: the position embeddings are interpolated (bicubic, as timm's
    ``dynamic_img_size`` does).
    """

    def __init__(self, architecture: VitArchitecture) -> None:
        super().__init__(
            img_size=architecture.image_size,
            patch_size=architecture.patch,
            embed_dim=architecture.width,
            depth=architecture.depth,
            num_heads=architecture.heads,
            num_classes=0,
            global_pool="token",
            dynamic_img_size=True,
        )
        self.architecture = architecture

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        """The class token after the last norm, N x C. (timm's takes attention masks too, which images do not need.)"""
        features: Tensor = super().forward(self._checked(images))
        return features

    def stage_features(self, images: Tensor) -> dict[str, Tensor]:
        """Tokens by stage name (:attr:`VitArchitecture.stages`).

        Args:
            images: normalised images, N x 3 x H x W; H and W multiples of the patch.

        Returns:
            ``embedding`` (patches and class token with their positions), ``block1`` .. and ``norm``, all
            N x (1 + h w) x C, the class token first.
        """
        modules = {"embedding": self.norm_pre, "norm": self.norm}
        modules |= {f"block{number}": block for number, block in enumerate(self.blocks, start=1)}
        with captured_outputs(modules) as features:
            self.forward_features(self._checked(images))
        return {stage: features[stage] for stage in self.architecture.stages}

    def feature_map(self, images: Tensor) -> Tensor:
        """The patches' tokens after the last norm, N x C x H/patch x W/patch. Of either sign, unlike a ResNet's map."""
        rows, columns = self._grid(images)
        tokens: Tensor = self.forward_features(self._checked(images))
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (rows, columns))

    def attention_map(self, images: Tensor) -> Tensor:
        """How much the class token looks at each patch in the last block, averaged over the heads.

        ``a = mean_heads softmax(q_cls k^T / sqrt(d))`` without the class token's own entry (the map of DINO, Caron et
        al., ICCV 2021). Computed from the block's queries and keys, since fused attention never forms the matrix.

        Args:
            images: normalised images, N x 3 x H x W; H and W multiples of the patch.

        Returns:
            float32, N x H/patch x W/patch, at least 0; the sum over an image is below 1 by what the class token gives
            to itself.
        """
        rows, columns = self._grid(images)
        attention: Any = self.blocks[-1].attn
        with captured_outputs({"qkv": attention.qkv}) as outputs:
            self.forward_features(self._checked(images))
        with torch.autocast(images.device.type, enabled=False):
            parts = outputs["qkv"].float().unflatten(2, (3, attention.num_heads, attention.head_dim))
            queries, keys, _ = parts.permute(2, 0, 3, 1, 4)  # each N x heads x tokens x d
            scores = queries[:, :, :1] @ keys.transpose(2, 3) * attention.head_dim**-0.5
            weights = scores.softmax(dim=3).mean(dim=1)
        return weights[:, 0, 1:].unflatten(1, (rows, columns))

    def _grid(self, images: Tensor) -> tuple[int, int]:
        height, width = images.shape[-2:]
        return height // self.architecture.patch, width // self.architecture.patch

    def _checked(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        patch = self.architecture.patch
        if height % patch or width % patch:
            raise UserError(
                f"{self.architecture.name}: images of {height} x {width} pixels do not divide into its patches of "
                f"{patch}; choose a size that is a multiple of {patch}"
            )
        return images
