"""Backbone file into timm: the folder layout of a model hub (``config.json`` beside ``model.safetensors``), proven.

timm's ResNets bear torchvision's tensor names, and the suite's vision transformers are timm's own. Stock timm takes the
folder as ``timm.create_model("local-dir:FOLDER", pretrained=True)``, or the weights alone as ``checkpoint_path=``.
timm is imported inside the functions only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from scenebench.errors import TransferError
from scenebench.evaluation_mode import evaluation_mode
from scenebench.files import write_text
from transfer import proof
from transfer.backbone_file import BackboneInfo, Preprocessing, load_backbone, load_network
from transfer.exporters.staging import export_folder
from transfer.json_file import read_json
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.network import AnyArchitecture
from transfer.networks.resnet import Architecture
from transfer.networks.vit_architecture import VitArchitecture
from transfer.proof import TransferReport

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"  # the first name that timm looks for in a folder
REPORT_NAME = "timm_report.json"

_IMAGE_SIZE = 224  # of the images that a ResNet's config.json proposes; a ResNet takes any
_CROP_SHARE = 0.875
_INTERPOLATION = "bilinear"
_RESNET_PREFIX = "resnet"


def export(path: Path | str, out: Path | str, overwrite: bool = False) -> TransferReport:
    """Write ``model.safetensors``, ``config.json`` and ``timm_report.json`` into ``out``.

    Args:
        overwrite: replace files in ``out`` that somebody changed; see :func:`transfer.exporters.staging.export_folder`.

    Raises:
        UserError: a file in ``out`` would be lost. Nothing is written.
        TransferError: timm has no such network, or what stock timm loads is not the backbone file. Nothing is written.
    """
    path = Path(path)
    info, tensors = load_backbone(path)
    config = hub_config(info)
    with export_folder(out, [path], overwrite) as staging:
        (staging / WEIGHTS_NAME).touch()  # with the user's umask; safetensors alone would make it unreadable to others
        mode = (staging / WEIGHTS_NAME).stat().st_mode
        safetensors.torch.save_file(tensors, staging / WEIGHTS_NAME, metadata={"format": "pt"})
        (staging / WEIGHTS_NAME).chmod(mode)
        write_text(staging / CONFIG_NAME, json.dumps(config, indent=1) + "\n")
        del tensors
        report = dataclasses.replace(
            prove_export(staging, path),
            files={"weights": WEIGHTS_NAME, "config": CONFIG_NAME, "report": REPORT_NAME},
            notes=[f"load it with timm.create_model({f'local-dir:{out}'!r}, pretrained=True)"],
        )
        report.write(staging / REPORT_NAME)
    return report


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """Let stock timm build and load the folder, and prove the result.

    Raises:
        TransferError: timm cannot load it, or it carries something else than the backbone file ``path``.
        UserError: ``config.json`` is not JSON.
    """
    import timm

    folder = Path(folder)
    read_json(folder / CONFIG_NAME)
    if not (folder / WEIGHTS_NAME).is_file():  # timm would look for others
        raise TransferError(f"{folder}: no {WEIGHTS_NAME} in it")
    # timm loads strictly, so a name that is missing or left over is an error of its own.
    with proof.refusing(f"{Path(path).name} exported to timm: timm cannot load it"):
        model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return prove(model, path)


def prove(model: nn.Module, path: Path | str) -> TransferReport:
    """Prove that a timm model, loaded by whatever means, carries exactly the backbone file ``path``.

    Its preprocessing is the one that timm derives from the model (``pretrained_cfg``), so a wrong mean or standard
    deviation there is found too.

    Raises:
        TransferError: it does not.
    """
    info, network = load_network(path)
    source, target = network.state_dict(), _without_classifier(model)
    where = f"{Path(path).name} in timm"
    proof.check_names(source, target, where)
    tensors = proof.check_values(source, target, where, info.architecture)
    ours = proof.source_features(network, info, next(model.parameters()).device)
    with proof.refusing(f"{where}: its features cannot be computed"):
        theirs = _target_features(model, info.architecture)
    features = proof.check_features(ours, theirs, where)
    return proof.make_report("timm", path, info, source, tensors, features)


def hub_config(info: BackboneInfo) -> dict[str, Any]:
    """The ``config.json`` of these weights: timm's architecture, its arguments, and the preprocessing.

    timm scales pixels to 0..1 before it normalises, so mean and standard deviation are written on that scale.

    Raises:
        TransferError: timm has no such network, or its RGB-only preprocessing cannot feed these weights.
    """
    name, model_args = timm_name(info.architecture), _model_args(info.architecture)
    preprocessing = info.preprocessing
    if preprocessing.channel_order != "RGB":
        raise TransferError(
            f"these weights take {preprocessing.channel_order} images, and timm's preprocessing has RGB only; export "
            "to detectron2, mmseg or torchvision, which can say the order"
        )
    size = info.architecture.image_size if isinstance(info.architecture, VitArchitecture) else _IMAGE_SIZE
    config: dict[str, Any] = {"architecture": name, "num_classes": 0, "num_features": info.architecture.feature_dim}
    if model_args:
        config["model_args"] = model_args
    config["pretrained_cfg"] = {
        "tag": "scenebench",
        "custom_load": False,
        "input_size": [3, size, size],
        "fixed_input_size": False,
        "interpolation": _INTERPOLATION,
        "crop_pct": _CROP_SHARE,
        "crop_mode": "center",
        "mean": [value / preprocessing.value_range for value in preprocessing.mean],
        "std": [value / preprocessing.value_range for value in preprocessing.std],
        "num_classes": 0,
        "pool_size": None,
        "first_conv": "patch_embed.proj" if isinstance(info.architecture, VitArchitecture) else "conv1",
        "classifier": "head" if isinstance(info.architecture, VitArchitecture) else "fc",
        "description": f"{info.method}, branch {info.branch}",
    }
    return config


def timm_name(architecture: AnyArchitecture) -> str:
    """timm's name of a network: ``resnet50``, ``vit_small_patch16_224`` (the image size is an argument, not a name).

    Raises:
        TransferError: timm has no network of this width, stride style, or size of transformer.
    """
    import timm

    if isinstance(architecture, Architecture):
        plain = architecture.stem_width == 64 and architecture.stride_in == "3x3" and architecture.stem == "conv7x7"
        name = f"{_RESNET_PREFIX}{architecture.depth}" if plain else ""
    else:
        name = dataclasses.replace(architecture, image_size=architecture.patch * (224 // architecture.patch)).name
    if not name or not timm.is_model(name):
        style = f" with the stride in the {architecture.stride_in}" if isinstance(architecture, Architecture) else ""
        raise TransferError(
            f"timm has no {architecture.name}{style}: its plain ResNets have 64 channels after the stem and the stride "
            "in the 3x3, its vision transformers the named sizes; export to detectron2 or mmseg, or use the backbone "
            "file itself"
        )
    return name


def read_export(folder: Path) -> tuple[BackboneInfo, dict[str, Tensor]]:
    """The way back: architecture and preprocessing from ``config.json``, tensors from ``model.safetensors``.

    Raises:
        UserError: an architecture that is not one of the suite's.
        KeyError, TypeError, ValueError: a key that an export writes is missing or mistyped.
    """
    config = read_json(folder / CONFIG_NAME)
    stated = config["pretrained_cfg"]
    mean, std = (tuple(float(value) for value in stated[key]) for key in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError("mean and std are not of three channels")
    tensors = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    architecture = _read_architecture(str(config["architecture"]), config.get("model_args", {}), tensors)
    return BackboneInfo(architecture, Preprocessing(mean=mean, std=std)), tensors


def _read_architecture(name: str, model_args: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AnyArchitecture:
    if name.startswith(_RESNET_PREFIX):
        return Architecture(depth=int(name.removeprefix(_RESNET_PREFIX)))
    # What a name like vit_small_patch16_224 stands for is read off the model that timm builds from it.
    import timm

    with torch.device("meta"):
        model: Any = timm.create_model(name, pretrained=False, num_classes=0, **model_args)
    return VitArchitecture(
        width=int(model.embed_dim),
        depth=len(model.blocks),
        heads=int(model.blocks[0].attn.num_heads),
        patch=int(model.patch_embed.patch_size[0]),
        image_size=int(model.patch_embed.img_size[0]),
    )


def _model_args(architecture: AnyArchitecture) -> dict[str, Any]:
    if isinstance(architecture, Architecture):
        return {}
    return {"img_size": architecture.image_size, "dynamic_img_size": True}


def _without_classifier(model: nn.Module) -> dict[str, Tensor]:
    tensors = model.state_dict()
    return {name: tensor for name, tensor in tensors.items() if name.split(".", 1)[0] not in ("fc", "head")}


def _target_features(model: Any, architecture: AnyArchitecture) -> dict[str, Tensor]:
    """Stage features of the reference image, through the evaluation transform that timm derives from the model."""
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    stride = architecture.stride
    pixels = proof.reference_image()
    pixels = pixels[: pixels.shape[0] // stride * stride, : pixels.shape[1] // stride * stride]
    stated = resolve_model_data_config(model) | {"input_size": (3, *pixels.shape[:2]), "crop_pct": 1.0}
    image = create_transform(**stated, is_training=False)(Image.fromarray(pixels))
    if isinstance(architecture, Architecture):
        stages = {"stem": model.maxpool} | {stage: getattr(model, stage) for stage in architecture.stages[1:]}
    else:
        stages = {"embedding": model.norm_pre, "norm": model.norm}
        stages |= {f"block{number}": block for number, block in enumerate(model.blocks, start=1)}
    with evaluation_mode(model), proof.exact_arithmetic(), captured_outputs(stages) as features:
        model.forward_features(image.unsqueeze(0).to(next(model.parameters()).device))
    return features
