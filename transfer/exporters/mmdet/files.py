"""Files for stock MMDetection: a ``.pth`` with the prefix ``backbone.``, a configuration that loads it, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transfer.backbone_file import BackboneInfo
from transfer.exporters import openmmlab
from transfer.exporters.exported_names import described
from transfer.exporters.mmdet import build as to_mmdet
from transfer.exporters.mmdet.build import EXTRA_NORM_MODULE
from transfer.exporters.mmdet.models import detector_config
from transfer.exporters.silenced_logs import quiet_mmdet
from transfer.proof import TransferReport

CONFIG_NAME = "mmdet_rcnn.py"


def export(
    path: Path | str, out: Path | str, neck: str = "fpn", masks: bool = True, overwrite: bool = False
) -> TransferReport:
    """Write ``<name>_mmdet.pth``, ``mmdet_rcnn.py`` and ``mmdet_report.json`` into ``out``.

    All are proven through the stock ``init_cfg`` before any of them appears.

    Args:
        neck: ``fpn`` or ``c4``.
        masks: Mask R-CNN, or Faster R-CNN.

    Raises:
        UserError: a file in ``out`` would be lost, or mmengine cannot read such a folder. Nothing is written.
        TransferError: the files, loaded by stock MMDetection, are not the backbone file. Nothing is written.
    """
    return openmmlab.write_export(
        path,
        out,
        "mmdet",
        CONFIG_NAME,
        lambda info, checkpoint: _render(
            detector_config(info, neck, masks, norm="SyncBN", checkpoint=checkpoint), info, neck
        ),
        prove_export,
        _notes(neck),
        overwrite,
    )


def prove_export(folder: Path | str, path: Path | str) -> TransferReport:
    """As :func:`transfer.exporters.openmmlab.prove_folder`, by MMDetection itself."""
    quiet_mmdet()
    return openmmlab.prove_folder(folder, path, CONFIG_NAME, to_mmdet.check_pretrained)


def _notes(neck: str) -> list[str]:
    if neck == "fpn":
        return []
    return [f"stock MMDetection has no ResLayerExtraNorm: the configuration imports {EXTRA_NORM_MODULE}"]


def _render(config: dict[str, Any], info: BackboneInfo, neck: str) -> str:
    body = openmmlab.render_config(config)
    imports = f'custom_imports = {{"imports": ["{EXTRA_NORM_MODULE}"], "allow_failed_imports": False}}\n'
    return (
        f"# {config['type']} for {described(info)}.\n"
        "# Every backbone, shared_head and data_preprocessor key is written from the backbone file; set num_classes,\n"
        "# the heads and the anchors to your data. Base other configurations on this file with _base_.\n"
        'default_scope = "mmdet"\n' + (imports if neck == "c4" else "") + f"model = {body}\n"
    )
