"""Files for stock MMSegmentation: a ``.pth``, a complete model configuration that loads it, a report."""

from __future__ import annotations

import dataclasses
import pprint
from pathlib import Path
from typing import Any

import torch

from scenebench.errors import TransferError
from transfer import to_mmseg
from transfer.backbone_file import BackboneInfo, load_backbone
from transfer.network import require_resnet
from transfer.proof import TransferReport
from transfer.staging import staged_folder
from transfer.toolbox_noise import quiet_mmseg

CONFIG_NAME = "mmseg_fcn.py"
REPORT_NAME = "mmseg_report.json"
_CHECKPOINT_FOLDER = "{{ fileDirname }}"  # mmengine replaces it by the folder of the configuration file
_EXAMPLE_CLASSES = 21  # PASCAL VOC's 20 and background


def export_files(path: Path | str, out: Path | str, output_stride: int = 8) -> TransferReport:
    """Write ``<name>_mmseg.pth``, ``mmseg_fcn.py`` and ``mmseg_report.json`` into ``out``.

    All are proven through the stock ``init_cfg`` before any of them appears.

    Raises:
        TransferError: the files, loaded by stock MMSegmentation, are not the backbone file. Nothing is written.
    """
    path = Path(path)
    info, tensors = load_backbone(path)
    weights = f"{path.stem}_mmseg.pth"
    state_dict = {to_mmseg.PREFIX + name: tensor for name, tensor in tensors.items()}
    with staged_folder(out) as staging:
        torch.save({"state_dict": state_dict}, staging / weights)
        del tensors, state_dict
        config = export_config(info, f"{_CHECKPOINT_FOLDER}/{weights}", output_stride)
        (staging / CONFIG_NAME).write_text(_render(config, info), encoding="utf-8")
        report = dataclasses.replace(
            prove_export(staging, path),
            files={"weights": weights, "config": CONFIG_NAME, "report": REPORT_NAME},
        )
        report.write(staging / REPORT_NAME)
    return report


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """Build the model from the folder's configuration, let ``init_weights`` load the ``.pth``, and prove it.

    The configuration is a Python file and is run by mmengine: only for folders that one trusts.

    Args:
        folder: what :func:`export_files` wrote, perhaps moved since.
        path: the backbone file that the folder is meant to carry.

    Raises:
        TransferError: it carries something else.
    """
    quiet_mmseg()
    from mmengine.config import Config

    try:
        config = Config.fromfile(str(Path(folder) / CONFIG_NAME))
        model = config.model
    except (AttributeError, OSError, SyntaxError, ValueError) as error:
        raise TransferError(f"{Path(folder) / CONFIG_NAME}: not a model configuration: {error}") from error
    return to_mmseg.check_pretrained(model, path)


def export_config(info: BackboneInfo, checkpoint: str, output_stride: int = 8) -> dict[str, Any]:
    """The ``model`` of a fully convolutional network (FCN) with auxiliary head on these weights."""
    channels = require_resnet(info.architecture, "MMSegmentation").stage_channels
    norm_cfg = {"type": "SyncBN", "requires_grad": True}
    head: dict[str, Any] = {
        "type": "FCNHead",
        "dropout_ratio": 0.1,
        "num_classes": _EXAMPLE_CLASSES,
        "norm_cfg": norm_cfg,
        "align_corners": False,
    }
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": False}
    return {
        "type": "EncoderDecoder",
        "pretrained": None,
        "data_preprocessor": to_mmseg.preprocessor_config(info, size=(512, 512)),
        "backbone": to_mmseg.backbone_config(info, output_stride, norm="SyncBN", checkpoint=checkpoint),
        "decode_head": head
        | {"in_channels": channels[3], "in_index": 3, "channels": 512, "num_convs": 2, "concat_input": True}
        | {"loss_decode": loss | {"loss_weight": 1.0}},
        "auxiliary_head": head
        | {"in_channels": channels[2], "in_index": 2, "channels": 256, "num_convs": 1, "concat_input": False}
        | {"loss_decode": loss | {"loss_weight": 0.4}},
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }


def _render(config: dict[str, Any], info: BackboneInfo) -> str:
    body = pprint.pformat(config, sort_dicts=False, width=110)
    return (
        f"# FCN for {info.architecture.name} weights (method {info.method}, branch {info.branch}).\n"
        "# The backbone and data_preprocessor are written from the backbone file; set num_classes, the heads and the\n"
        "# crop size to your data. Base other configurations on this file with _base_.\n"
        'default_scope = "mmseg"\n'
        f"model = {body}\n"
    )
