"""The RoI head's res5 of the C4 detector with MoCo's extra norm, on any toolbox's ResNet of OpenMMLab's layout.

Stock MMDetection has the stage without that norm (``ResLayer``), and at the standard width only.
"""

from __future__ import annotations

from typing import Any


def res5_class(resnet: Any, res_layer: Any) -> type:
    """The class ``ResLayerExtraNorm``.

    Args:
        resnet: the toolbox's ``ResNet``, for its blocks by depth.
        res_layer: the toolbox's layer of blocks.
    """
    from mmcv.cnn import build_norm_layer
    from mmengine.model import BaseModule

    class ResLayerExtraNorm(BaseModule):
        """``layer4`` and one more norm, ``norm``, which no pretrained weights have."""

        def __init__(
            self,
            depth: int,
            base_channels: int = 64,
            style: str = "pytorch",
            norm_cfg: dict[str, Any] | None = None,
            init_cfg: dict[str, Any] | None = None,
        ) -> None:
            super().__init__(init_cfg)
            norm_cfg = norm_cfg or {"type": "BN", "requires_grad": True}
            block, blocks = resnet.arch_settings[depth]
            channels = base_channels * 8
            self.layer4 = res_layer(
                block, channels // 2 * block.expansion, channels, blocks[3], stride=2, style=style, norm_cfg=norm_cfg
            )
            self.norm = build_norm_layer(norm_cfg, channels * block.expansion)[1]

        def forward(self, features: Any) -> Any:
            """RoI features N x C x 14 x 14 to N x 2C x 7 x 7."""
            return self.norm(self.layer4(features))

    return ResLayerExtraNorm
