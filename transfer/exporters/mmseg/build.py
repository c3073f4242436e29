"""Backbone file into MMSegmentation: configuration, loading with proof, and files for stock MMSegmentation.

The stock segmentation configurations carry a deep-stem ``ResNetV1c`` and its ImageNet weights; self-supervised weights
have the plain stem, so the backbone here is ``ResNet``, with ``pretrained=None``. MMSegmentation is imported inside
the functions only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from scenebench.errors import TransferError, require_choice
from scenebench.evaluation_mode import evaluation_mode
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_resnet
from transfer.exporters import openmmlab
from transfer.exporters.silenced_logs import only_errors, quiet_mmseg, without_lines
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.output_stride import OUTPUT_STRIDES, set_output_stride, strides_and_dilations
from transfer.networks.resnet import STAGES, ResNet
from transfer.proof import TransferReport


def backbone_config(
    info: BackboneInfo, output_stride: int = 8, norm: str = "BN", checkpoint: str | None = None
) -> dict[str, Any]:
    """MMSegmentation's backbone of these weights.

    Args:
        output_stride: 32, 16 or 8 pixels.
        norm: ``BN`` or ``SyncBN``.
        checkpoint: a ``.pth`` whose tensors have the prefix ``backbone.``, for ``init_cfg``; None where
            :func:`load_and_prove` will load.

    Raises:
        UserError: an unknown output stride or norm, or not a ResNet.
    """
    require_choice("norm", norm, ["BN", "SyncBN"])
    strides, dilations = strides_and_dilations(output_stride)
    return openmmlab.resnet_config(info, "MMSegmentation", norm, checkpoint) | {
        "num_stages": 4,
        "strides": strides,
        "dilations": dilations,
        "contract_dilation": True,
        "out_indices": (0, 1, 2, 3),
    }


def preprocessor_config(info: BackboneInfo, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """MMSegmentation's data preprocessor: the weights' own mean and std on the 0-255 scale and their channel order.

    Args:
        size: (height, width) to which training crops are padded; None where another key (``size_divisor``) is set.
    """
    config = {"type": "SegDataPreProcessor"} | openmmlab.normalisation(info) | {"pad_val": 0, "seg_pad_val": 255}
    return config if size is None else config | {"size": tuple(size)}


def load_and_prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Load a backbone file into a built segmentor and prove it.

    The backbone's ``init_cfg`` are then removed: the runner calls ``init_weights()`` when training starts, which would
    draw the backbone anew.

    Args:
        model: ``MODELS.build(...)`` of an ``EncoderDecoder``, on any device; its mode is kept.
        path: the backbone file.

    Raises:
        TransferError: anything short of a full, equal transfer. The backbone's tensors are then unusable.
    """
    info, network = load_resnet(path, "MMSegmentation")
    source = network.state_dict()
    where = f"{Path(path).name} into MMSegmentation"
    backbone = _backbone_of(model)
    proof.check_names(source, backbone.state_dict(), where)
    proof.poison(backbone.state_dict())
    backbone.load_state_dict(source, strict=False)
    report = _prove(model, path, info, network, where)
    openmmlab.keep_loaded_weights(backbone)
    return report


def prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Prove that a segmentor, loaded by whatever means, carries exactly the backbone file ``path``.

    Raises:
        TransferError: it does not.
    """
    info, network = load_resnet(path, "MMSegmentation")
    where = f"{Path(path).name} in MMSegmentation"
    proof.check_names(network.state_dict(), _backbone_of(model).state_dict(), where)
    return _prove(model, path, info, network, where)


def check_pretrained(model_config: Any, path: Path | str) -> TransferReport:
    """Build a model configuration, let the toolbox load its weights (``init_weights``), and prove the result.

    Args:
        model_config: the ``model`` of an MMSegmentation configuration, a mapping.
        path: the backbone file that its ``init_cfg`` is meant to bring.

    Raises:
        TransferError: the configuration does not build, or brings other weights, another network or preprocessing.
    """
    quiet_mmseg()
    from mmengine.config import ConfigDict
    from mmengine.logging import MMLogger
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    logger: logging.Logger = MMLogger.get_current_instance()
    # What the stock loader would only warn of becomes an error in the proof.
    with only_errors(logger), without_lines("Loads checkpoint by local backend"):
        try:
            model = MODELS.build(ConfigDict(model_config))
            proof.poison(_backbone_of(model).state_dict())
            openmmlab.refuse_downloads(model, "MMSegmentation")
            model.init_weights()
        except proof.TOOLBOX_ERRORS as error:
            raise openmmlab.refused("MMSegmentation", error) from error
    return prove(model, path)


def _prove(model: nn.Module, path: Path | str, info: BackboneInfo, network: ResNet, where: str) -> TransferReport:
    source = network.state_dict()
    backbone = _backbone_of(model)
    tensors = proof.check_values(source, backbone.state_dict(), where)
    output_stride = _output_stride_of(backbone, where)
    with proof.refusing(f"{where}: its features cannot be computed"):
        theirs = _target_features(model)
    ours = proof.source_features(set_output_stride(network, output_stride), info, theirs["stem"].device)
    features = proof.check_features(ours, theirs, where)
    return proof.make_report("mmseg", path, info, source, tensors, features)


def _target_features(model: Any) -> dict[str, Tensor]:
    """Stage features of the reference image, BGR as the toolbox reads it, through the model's own preprocessor."""
    from mmseg.structures import SegDataSample

    image = openmmlab.reference_image()
    preprocessor, backbone = model.data_preprocessor, model.backbone
    stages = {"stem": backbone.maxpool} | {stage: getattr(backbone, stage) for stage in STAGES[1:]}
    padding, preprocessor.test_cfg = preprocessor.test_cfg, None  # zeros around the image are no part of the question
    try:
        with evaluation_mode(model), proof.exact_arithmetic(), captured_outputs(stages) as features:
            backbone(preprocessor({"inputs": [image], "data_samples": [SegDataSample()]})["inputs"])
    finally:
        preprocessor.test_cfg = padding
    return features


def _output_stride_of(backbone: Any, where: str) -> int:
    found = (tuple(backbone.strides), tuple(backbone.dilations))
    output_stride = 4 * prod(found[0])
    if output_stride not in OUTPUT_STRIDES or found != strides_and_dilations(output_stride):
        raise TransferError(f"{where}: strides {found[0]} with dilations {found[1]} are not output stride 8, 16 or 32")
    return output_stride


def _backbone_of(model: nn.Module) -> Any:
    backbone = getattr(model, "backbone", None)
    needed: Sequence[str] = ("strides", "dilations", "layer4")
    if not isinstance(backbone, nn.Module) or not all(hasattr(backbone, name) for name in needed):
        raise TransferError(f"{type(model).__name__} has no four-stage ResNet at 'backbone'")
    return backbone
