"""Files for stock MMSegmentation: a ``.pth``, a complete model configuration that loads it, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transfer.backbone_file import BackboneInfo
from transfer.exporters import openmmlab
from transfer.exporters.exported_names import described
from transfer.exporters.mmseg import build as to_mmseg
from transfer.exporters.silenced_logs import quiet_mmseg
from transfer.networks.network import require_resnet
from transfer.proof import TransferReport

CONFIG_NAME = "mmseg_fcn.py"
_EXAMPLE_CLASSES = 21  # PASCAL VOC's 20 and background


def export(path: Path | str, out: Path | str, output_stride: int = 8, overwrite: bool = False) -> TransferReport:
    """Write ``<name>_mmseg.pth``, ``mmseg_fcn.py`` and ``mmseg_report.json`` into ``out``.

    All are proven through the stock ``init_cfg`` before any of them appears.

    Raises:
        UserError: a file in ``out`` would be lost, or mmengine cannot read such a folder. Nothing is written.
        TransferError: the files, loaded by stock MMSegmentation, are not the backbone file. Nothing is written.
    """
    return openmmlab.write_export(
        path,
        out,
        "mmseg",
        CONFIG_NAME,
        lambda info, checkpoint: _render(export_config(info, checkpoint, output_stride), info),
        prove_export,
        overwrite=overwrite,
    )


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """As :func:`transfer.exporters.openmmlab.prove_folder`, by MMSegmentation itself."""
    quiet_mmseg()
    return openmmlab.prove_folder(folder, path, CONFIG_NAME, to_mmseg.check_pretrained)


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
    body = openmmlab.render_config(config)
    return (
        f"# FCN for {described(info)}.\n"
        "# The backbone and data_preprocessor are written from the backbone file; set num_classes, the heads and the\n"
        "# crop size to your data. Base other configurations on this file with _base_.\n"
        'default_scope = "mmseg"\n'
        f"model = {body}\n"
    )
