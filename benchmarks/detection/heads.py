"""The RoI head that Detectron2 lacks: C4 with one norm more, as MoCo and its followers fine-tune."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detectron2.config import CfgNode
    from torch import nn

EXTRA_NORM = "Res5ROIHeadsExtraNorm"


def register_heads() -> None:
    """Make :data:`EXTRA_NORM` known to Detectron2; may be called any number of times.

    Its box and mask branches see the last stage through a norm of its own, ``roi_heads.res5.norm``, of the backbone's
    kind (``MODEL.RESNETS.NORM``). No checkpoint holds that norm: it starts as the identity.
    """
    from detectron2.layers import get_norm
    from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, Res5ROIHeads

    if EXTRA_NORM in ROI_HEADS_REGISTRY:
        return

    class Res5ROIHeadsExtraNorm(Res5ROIHeads):  # type: ignore[misc]
        """Detectron2's C4 head with a norm after res5."""

        @classmethod
        def _build_res5_block(cls, cfg: CfgNode) -> tuple[nn.Module, int]:
            blocks, channels = super()._build_res5_block(cfg)
            blocks.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, channels))
            return blocks, channels

    ROI_HEADS_REGISTRY.register(Res5ROIHeadsExtraNorm)
