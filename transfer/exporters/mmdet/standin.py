"""The part of an MMDetection model that carries the backbone, built without MMDetection.

Where mmcv's operators are missing, MMDetection cannot be imported. Its ``ResNet`` and MMSegmentation's have the same
arguments, modules and tensor names, its preprocessor is mmengine's, and its loader (``init_cfg``) is mmengine's too. So
the backbone, the C4 head's res5 and the preprocessing of a configuration can be built, loaded and proven; what is left
unbuilt is the neck and the heads, which hold no weights of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from scenebench.errors import TransferError
from transfer.exporters.silenced_logs import quiet_mmseg

NOTE = (
    "MMDetection is not installed ('make mmcv-ops'): proven on MMSegmentation's ResNet, of the same layout, behind "
    "mmengine's preprocessor and loader; neck and heads were not built"
)
_PREPROCESSING = ("mean", "std", "bgr_to_rgb", "rgb_to_bgr", "pad_size_divisor", "pad_value")

_ONLY_MMSEG = ("contract_dilation", "multi_grid")  # arguments of MMSegmentation's ResNet that MMDetection's lacks
_STAGES_AS_HEADS = ("ResLayerExtraNorm", "ResLayer")


def build_standin(config: Mapping[str, Any]) -> nn.Module:
    """``data_preprocessor``, ``backbone`` and, for C4, ``roi_head.shared_head`` of a model configuration.

    Raises:
        TransferError: the backbone is not a plain ResNet, the shared head no residual stage, or MMDetection's have no
            such arguments.
    """
    quiet_mmseg()
    from mmengine.config import ConfigDict
    from mmengine.model import BaseModule, ImgDataPreprocessor
    from mmseg.models.backbones import ResNet
    from mmseg.models.utils import ResLayer

    from transfer.exporters.mmdet.res5 import res5_class

    config = ConfigDict(config)
    backbone = dict(config["backbone"])
    _require_type(backbone.pop("type"), ("ResNet",), "backbone", "plain ResNet")
    unknown = [key for key in _ONLY_MMSEG if key in backbone]
    if unknown:
        raise TransferError(f"MMDetection's ResNet has no argument '{unknown[0]}'")
    given = config["data_preprocessor"]
    model: Any = BaseModule()
    model.data_preprocessor = ImgDataPreprocessor(**{key: given[key] for key in _PREPROCESSING if key in given})
    model.backbone = ResNet(**backbone)
    shared = config.get("roi_head", {}).get("shared_head")
    if shared is not None:
        model.roi_head = BaseModule()
        _require_type(shared["type"], _STAGES_AS_HEADS, "shared_head", "residual stage")
        head = {key: value for key, value in shared.items() if key != "type"}
        model.roi_head.shared_head = res5_class(ResNet, ResLayer)(**head)
    return model  # type: ignore[no-any-return]


def _require_type(kind: str, known: tuple[str, ...], part: str, meaning: str) -> None:
    if str(kind).removeprefix("mmdet.") not in known:
        raise TransferError(f"the configuration's {part} is a {kind}, not a {meaning}")
