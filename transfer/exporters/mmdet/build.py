"""Backbone file into MMDetection: configuration, loading with proof, and files for stock MMDetection.

The stock configurations carry ImageNet weights, freeze the first stage and keep every norm in evaluation mode; with
self-supervised weights all of the backbone is trained, norms included. MMDetection is imported inside the functions
only, and needs mmcv's compiled operators; without them the files are still written and proven, see
:mod:`transfer.exporters.mmdet.standin`.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from scenebench.errors import TransferError, require_choice
from scenebench.evaluation_mode import evaluation_mode
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_resnet
from transfer.exporters import openmmlab
from transfer.exporters.mmcv_ops import missing_mmdet
from transfer.exporters.silenced_logs import only_errors, quiet_mmdet, without_lines
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.network import require_resnet
from transfer.networks.resnet import STAGES, ResNet
from transfer.proof import TransferReport

NECKS = ("fpn", "c4")
EXTRA_NORM_MODULE = "transfer.mmdet_extra_norm"
_SHARED_HEAD = "roi_head.shared_head."


def backbone_config(
    info: BackboneInfo, neck: str = "fpn", norm: str = "BN", checkpoint: str | None = None
) -> dict[str, Any]:
    """MMDetection's backbone of these weights: four stages for ``fpn``, three for ``c4``.

    Args:
        norm: ``BN`` or ``SyncBN``.
        checkpoint: a ``.pth`` whose tensors have the prefix ``backbone.``, for ``init_cfg``; None where
            :func:`load_and_prove` will load.

    Raises:
        UserError: an unknown neck or norm, or not a ResNet.
    """
    require_choice("neck", neck, NECKS)
    require_choice("norm", norm, ["BN", "SyncBN"])
    stages = 4 if neck == "fpn" else 3
    return openmmlab.resnet_config(info, "MMDetection", norm, checkpoint) | {
        "num_stages": stages,
        "strides": (1, 2, 2, 2)[:stages],
        "dilations": (1, 1, 1, 1)[:stages],
        "out_indices": (0, 1, 2, 3) if neck == "fpn" else (2,),
    }


def shared_head_config(info: BackboneInfo, norm: str = "BN", checkpoint: str | None = None) -> dict[str, Any]:
    """The C4 detector's res5 in the RoI head. Its ``init_cfg`` loads layer4, which the backbone's does not bring."""
    require_choice("norm", norm, ["BN", "SyncBN"])
    architecture = require_resnet(info.architecture, "MMDetection")
    return {
        "type": "ResLayerExtraNorm",
        "depth": architecture.depth,
        "base_channels": architecture.stem_width,
        "style": openmmlab.style(info, "MMDetection"),
        "norm_cfg": {"type": norm, "requires_grad": True},
        "init_cfg": openmmlab.pretrained(checkpoint),
    }


def preprocessor_config(info: BackboneInfo) -> dict[str, Any]:
    """MMDetection's data preprocessor: the weights' own mean and std on the 0-255 scale and their channel order."""
    padding = {"pad_mask": True, "pad_size_divisor": 32}
    return {"type": "DetDataPreprocessor"} | openmmlab.normalisation(info) | padding


def load_and_prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Load a backbone file into a built detector and prove it.

    The ``init_cfg`` of the loaded modules are then removed: the runner calls ``init_weights()`` when training starts,
    which would draw them anew.

    Args:
        model: :func:`build_detector` of :func:`transfer.exporters.mmdet.models.detector_config`, on any device; its
            mode is kept.
        path: the backbone file.

    Raises:
        TransferError: anything short of a full, equal transfer. The backbone's tensors are then unusable.
    """
    info, network = load_resnet(path, "MMDetection")
    source = network.state_dict()
    where = f"{Path(path).name} into MMDetection"
    names = backbone_names(model)
    proof.check_names(source, _by_torchvision_name(model, names), where)
    proof.poison(_by_torchvision_name(model, names))
    model.load_state_dict({theirs: source[ours] for theirs, ours in names.items()}, strict=False)
    report = _prove(model, path, info, network, where)
    for part in (_backbone_of(model), _shared_head_of(model)):
        if part is not None:
            openmmlab.keep_loaded_weights(part)
    return report


def prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Prove that a detector, loaded by whatever means, carries exactly the backbone file ``path``.

    Raises:
        TransferError: it does not.
    """
    info, network = load_resnet(path, "MMDetection")
    where = f"{Path(path).name} in MMDetection"
    proof.check_names(network.state_dict(), _by_torchvision_name(model, backbone_names(model)), where)
    return _prove(model, path, info, network, where)


def check_pretrained(model_config: Any, path: Path | str) -> TransferReport:
    """Build a model configuration, let the toolbox load its weights (``init_weights``), and prove the result.

    Where MMDetection cannot be imported the stand-in is built, and the report's notes say so.

    Args:
        model_config: the ``model`` of an MMDetection configuration, a mapping.
        path: the backbone file that its ``init_cfg`` are meant to bring.

    Raises:
        TransferError: the configuration does not build, or brings other weights, another network or preprocessing.
    """
    from transfer.exporters.mmdet import standin as mmdet_standin

    notes = [] if missing_mmdet() is None else [mmdet_standin.NOTE]
    build = mmdet_standin.build_standin if notes else build_detector
    with _quiet_loading():
        try:
            model: Any = build(model_config)
            proof.poison(_by_torchvision_name(model, backbone_names(model)))
            openmmlab.refuse_downloads(model, "MMDetection")
            model.init_weights()
        except proof.TOOLBOX_ERRORS as error:
            raise openmmlab.refused("MMDetection", error) from error
    return dataclasses.replace(prove(model, path), notes=notes)


def build_detector(model_config: Mapping[str, Any]) -> Any:
    """An MMDetection model from its configuration, not yet loaded. Needs mmcv's operators."""
    quiet_mmdet()
    import importlib

    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    importlib.import_module(EXTRA_NORM_MODULE)
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build(ConfigDict(model_config))


def backbone_names(model: nn.Module) -> dict[str, str]:
    """The model's backbone tensors: its own full name to torchvision's.

    C4 splits the network into ``backbone`` and ``roi_head.shared_head.layer4``; the extra norm beside the latter is the
    head's.

    Raises:
        TransferError: no ResNet where it should be.
    """
    names = {openmmlab.PREFIX + name: name for name in _backbone_of(model).state_dict()}
    shared = _shared_head_of(model)
    if shared is not None:
        names |= {f"{_SHARED_HEAD}{name}": name for name in shared.state_dict() if name.startswith("layer4.")}
    return names


def _prove(model: nn.Module, path: Path | str, info: BackboneInfo, network: ResNet, where: str) -> TransferReport:
    source = network.state_dict()
    tensors = proof.check_values(source, _by_torchvision_name(model, backbone_names(model)), where)
    with proof.refusing(f"{where}: its features cannot be computed"):
        theirs = _target_features(model)
    ours = proof.source_features(network, info, theirs["stem"].device)
    features = proof.check_features(ours, theirs, where)
    return proof.make_report("mmdet", path, info, source, tensors, features)


def _target_features(model: Any) -> dict[str, Tensor]:
    """Stage features of the reference image, BGR as the toolbox reads it, through the model's own preprocessor."""
    backbone, shared = model.backbone, _shared_head_of(model)
    stages = {"stem": backbone.maxpool} | {
        stage: getattr(backbone, stage) for stage in STAGES[1:] if hasattr(backbone, stage)
    }
    with evaluation_mode(model), proof.exact_arithmetic(), captured_outputs(stages) as features:
        backbone(model.data_preprocessor({"inputs": [openmmlab.reference_image()]})["inputs"])
        if shared is not None:
            features["layer4"] = shared.layer4(features["layer3"].clone())
    return features


def _by_torchvision_name(model: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    tensors = model.state_dict()
    return {ours: tensors[theirs] for theirs, ours in names.items()}


def _backbone_of(model: nn.Module) -> Any:
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, nn.Module) or not all(hasattr(backbone, name) for name in ("maxpool", "layer3")):
        raise TransferError(f"{type(model).__name__} has no ResNet at 'backbone'")
    return backbone


def _shared_head_of(model: nn.Module) -> Any | None:
    return getattr(getattr(model, "roi_head", None), "shared_head", None)


def _quiet_loading() -> Any:
    """What the stock loader would only warn of becomes an error in the proof."""
    import contextlib

    from mmengine.logging import MMLogger

    logger: logging.Logger = MMLogger.get_current_instance()
    stack = contextlib.ExitStack()
    stack.enter_context(only_errors(logger))
    stack.enter_context(without_lines("Loads checkpoint by local backend"))
    return stack
