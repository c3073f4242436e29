"""The RoI head that Detectron2 lacks: C4 with one more norm after res5, as MoCo and its followers fine-tune.

Importing this module registers ``Res5ROIHeadsExtraNorm``, the name that their training scripts give it, unless one of
them has done so. No checkpoint holds the extra norm (``roi_heads.res5.norm``): it starts as the identity.
"""

from __future__ import annotations

from typing import Any

from detectron2.layers import get_norm
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, Res5ROIHeads
from torch import nn

NAME = "Res5ROIHeadsExtraNorm"

if NAME not in ROI_HEADS_REGISTRY:

    @ROI_HEADS_REGISTRY.register()
    class Res5ROIHeadsExtraNorm(Res5ROIHeads):  # type: ignore[misc]
        """Detectron2's C4 head with a norm of the backbone's kind (``MODEL.RESNETS.NORM``) after res5."""

        @classmethod
        def _build_res5_block(cls, cfg: Any) -> tuple[nn.Module, int]:
            blocks, channels = super()._build_res5_block(cfg)
            blocks.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, channels))
            return blocks, channels
