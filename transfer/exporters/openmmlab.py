"""What MMSegmentation and MMDetection have in common: how weights, preprocessing and exported files are written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenebench.errors import TransferError
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.exporters.staging import staged_folder
from transfer.networks.network import require_resnet
from transfer.proof import TransferReport

PREFIX = "backbone."
CHECKPOINT_FOLDER = "{{ fileDirname }}"
"""mmengine replaces it by the folder of the configuration file."""

# What a toolbox raises on a configuration that does not build, or on weights that do not fit it.
BUILD_ERRORS = (AssertionError, LookupError, RuntimeError, TypeError, ValueError, OSError)


def resnet_config(info: BackboneInfo, toolbox: str, norm: str, checkpoint: str | None) -> dict[str, Any]:
    """The keys of the toolboxes' ``ResNet`` that say which network it is and that all of it is trained."""
    architecture = require_resnet(info.architecture, toolbox)
    return {
        "type": "ResNet",
        "depth": architecture.depth,
        "in_channels": 3,
        "stem_channels": architecture.stem_width,
        "base_channels": architecture.stem_width,
        "style": style(info, toolbox),
        "norm_cfg": {"type": norm, "requires_grad": True},
        "norm_eval": False,
        "frozen_stages": -1,
        "pretrained": None,
        "init_cfg": pretrained(checkpoint),
    }


def style(info: BackboneInfo, toolbox: str) -> str:
    """``caffe`` where a bottleneck's 1x1 convolution carries the stride, else ``pytorch``."""
    return "caffe" if require_resnet(info.architecture, toolbox).stride_in == "1x1" else "pytorch"


def pretrained(checkpoint: str | None) -> dict[str, Any] | None:
    """The ``init_cfg`` that loads a ``.pth`` whose tensors have the prefix ``backbone.``."""
    return None if checkpoint is None else {"type": "Pretrained", "checkpoint": checkpoint, "prefix": PREFIX}


def normalisation(info: BackboneInfo) -> dict[str, Any]:
    """A data preprocessor's keys: the weights' own mean and std on the 0-255 scale and their channel order."""
    mean, std = info.preprocessing.on_255_scale()
    return {
        "mean": list(mean),
        "std": list(std),
        "bgr_to_rgb": info.preprocessing.channel_order == "RGB",  # the toolboxes read images as BGR
    }


def reference_image() -> Tensor:
    """The proof's image as the toolboxes read one: uint8 (3, height, width), BGR."""
    return torch.from_numpy(proof.reference_image()[:, :, ::-1].transpose(2, 0, 1).copy())


def keep_loaded_weights(part: nn.Module) -> None:
    """Remove every ``init_cfg``: the runner calls ``init_weights()`` when training starts and would draw anew."""
    for module in part.modules():
        if getattr(module, "init_cfg", None):
            setattr(module, "init_cfg", None)  # noqa: B010 (nn.Module declares no such attribute)


def refused(toolbox: str, error: Exception) -> TransferError:
    """What to raise where a configuration does not build or initialise; its reason on one line."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return TransferError(f"{toolbox} cannot build or initialise this configuration: {reason}")


def write_export(
    path: Path | str,
    out: Path | str,
    toolbox: str,
    config_name: str,
    render: Callable[[BackboneInfo, str], str],
    prove: Callable[[Path, Path], TransferReport],
    notes: Sequence[str] = (),
) -> TransferReport:
    """Write ``<name>_<toolbox>.pth``, a configuration and ``<toolbox>_report.json`` into ``out``, proven before.

    Args:
        render: the configuration's text, from the backbone's description and the checkpoint's place in it.
        prove: builds, loads and compares what lies in a folder with the backbone file.

    Raises:
        TransferError: the files, loaded by the stock toolbox, are not the backbone file. Nothing is written.
    """
    path = Path(path)
    info, tensors = load_backbone(path)
    weights, report_name = f"{path.stem}_{toolbox}.pth", f"{toolbox}_report.json"
    with staged_folder(out) as staging:
        torch.save({"state_dict": {PREFIX + name: tensor for name, tensor in tensors.items()}}, staging / weights)
        del tensors
        (staging / config_name).write_text(render(info, f"{CHECKPOINT_FOLDER}/{weights}"), encoding="utf-8")
        proven = prove(staging, path)
        report = dataclasses.replace(
            proven,
            files={"weights": weights, "config": config_name, "report": report_name},
            notes=[*proven.notes, *notes],
        )
        report.write(staging / report_name)
    return report


def read_model_config(file: Path, **options: Any) -> Any:
    """The ``model`` of a configuration file. It is a Python file and is run by mmengine: only for trusted folders.

    Raises:
        TransferError: it cannot be read, or has no model.
    """
    from mmengine.config import Config

    try:
        return Config.fromfile(str(file), **options).model
    except (AttributeError, OSError, SyntaxError, ValueError) as error:
        raise TransferError(f"{file}: not a model configuration: {error}") from error
