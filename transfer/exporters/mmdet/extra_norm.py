"""Registers ``ResLayerExtraNorm`` with MMDetection; a C4 configuration names this module in ``custom_imports``."""

from __future__ import annotations

from mmdet.models.backbones import ResNet
from mmdet.models.layers import ResLayer
from mmdet.registry import MODELS

from transfer.exporters.mmdet.res5 import res5_class

ResLayerExtraNorm = res5_class(ResNet, ResLayer)
MODELS.register_module(module=ResLayerExtraNorm, force=True)
