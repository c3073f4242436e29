"""What MMSegmentation and MMDetection have in common: how weights, preprocessing and exported files are written."""

from __future__ import annotations

import dataclasses
import pprint
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenebench.errors import TransferError, UserError
from transfer import proof
from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.exporters.exported_names import weights_name
from transfer.exporters.plain_config import require_known_types, require_plain, substituted
from transfer.exporters.staging import export_folder
from transfer.networks.network import require_resnet
from transfer.proof import TransferReport

PREFIX = "backbone."
_FOLDER = "{{ fileDirname }}"
"""mmengine replaces it by the folder of the configuration file."""


class _RawText(str):
    """Text whose ``repr`` is raw and within three quotation marks.

    mmengine puts the folder's name into the text letter by letter; so written it stays one text whatever the name is,
    but for what :func:`require_folder` refuses.
    """

    def __repr__(self) -> str:
        return f'r"""{self!s}"""'


def path_from_config(name: str) -> str:
    """The path of the file ``name`` beside a configuration, as :func:`render_config` writes it there."""
    return _RawText(f"{_FOLDER}/{name}")


def render_config(model: dict[str, Any]) -> str:
    """A model's dicts as Python text."""
    return pprint.pformat(model, sort_dicts=False, width=110)


def require_folder(folder: Path, toolbox: str) -> None:
    """Stop where mmengine could not find a file beside a configuration in ``folder``.

    Raises:
        UserError: naming the folder.
    """
    name = str(folder.absolute())
    read_back = substituted(repr(path_from_config("x")), folder / "x.py") == f'r"""{name}/x"""'
    printable = not any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in name)
    if not read_back or not printable or '"""' in name or "{{" in name:
        raise UserError(
            f"{folder}: {toolbox} cannot read a configuration's own folder where its name has backslashes, braces, "
            "three quotation marks or control characters; choose another folder"
        )


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


def refuse_downloads(model: nn.Module, toolbox: str) -> None:
    """Stop where a module's ``init_cfg`` would fetch weights.

    Raises:
        TransferError: naming the module and where its weights are.
    """
    for name, module in model.named_modules():
        given = getattr(module, "init_cfg", None)
        for source in given if isinstance(given, list | tuple) else [given]:
            checkpoint = source.get("checkpoint") if isinstance(source, dict) else None
            if isinstance(checkpoint, str) and "://" in checkpoint:
                raise TransferError(
                    f"{toolbox} would initialise {name or 'the model'} by {checkpoint}: other weights, which are not "
                    "fetched to compare them"
                )


def write_export(
    path: Path | str,
    out: Path | str,
    toolbox: str,
    config_name: str,
    render: Callable[[BackboneInfo, str], str],
    prove: Callable[[Path, Path], TransferReport],
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> TransferReport:
    """Write ``<name>_<toolbox>.pth``, a configuration and ``<toolbox>_report.json`` into ``out``, proven before.

    Args:
        render: the configuration's text, from the backbone's description and the checkpoint's place in it.
        prove: builds, loads and compares what lies in a folder with the backbone file.
        overwrite: replace files in ``out`` that somebody changed; see :func:`transfer.exporters.staging.export_folder`.

    Raises:
        TransferError: the files, loaded by the stock toolbox, are not the backbone file. Nothing is written.
        UserError: a file in ``out`` would be lost, or the toolbox cannot read such a folder. Nothing is written.
    """
    require_folder(Path(out), toolbox)
    path = Path(path)
    info, tensors = load_backbone(path)
    weights, report_name = weights_name(path, f"_{toolbox}.pth"), f"{toolbox}_report.json"
    with export_folder(out, [path], overwrite) as staging:
        torch.save({"state_dict": {PREFIX + name: tensor for name, tensor in tensors.items()}}, staging / weights)
        del tensors
        (staging / config_name).write_text(render(info, path_from_config(weights)), encoding="utf-8")
        proven = prove(staging, path)
        report = dataclasses.replace(
            proven,
            files={"weights": weights, "config": config_name, "report": report_name},
            notes=[*proven.notes, *notes],
        )
        report.write(staging / report_name)
    return report


def prove_folder(
    folder: Path | str, path: Path | str, config_name: str, check: Callable[[Any, Path | str], TransferReport]
) -> TransferReport:
    """Build the model from an exported folder's configuration, let ``init_weights`` load the ``.pth``, and prove it.

    The configuration is Python and is run by mmengine, but only if it assigns plain values and nothing else.

    Args:
        folder: what an export wrote, perhaps moved since.
        path: the backbone file that the folder is meant to carry.
        check: builds the model, and compares what it holds with that file.

    Raises:
        TransferError: it carries something else.
        UserError: the configuration is not Python, or does more than assign plain values.
    """
    return check(read_model_config(Path(folder) / config_name), path)


def read_model_config(file: Path) -> Any:
    """The ``model`` of a configuration file, read as the toolboxes read it: mmengine runs it as a program.

    It is run only if it assigns plain values and nothing else. Its ``custom_imports`` are not followed.

    Raises:
        UserError: it is not Python, or does more than assign plain values; nothing was run.
        TransferError: mmengine cannot read it, or it has no model.
    """
    require_plain(file)
    from mmengine.config import Config

    with proof.refusing(f"{file}: not a model configuration"):
        config = Config.fromfile(str(file.absolute()), import_custom_modules=False)
        model = config.model
        if "data_preprocessor" in config:  # the runner hands it on
            model.setdefault("data_preprocessor", config.data_preprocessor)
    require_known_types(model, file)
    return model
