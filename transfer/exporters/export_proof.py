"""The exporters' own proof of a folder that they wrote, whichever toolbox it is for, and whether that is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scenebench.errors import TransferError
from transfer.backbone_file import read_info
from transfer.exporters import timm as to_timm
from transfer.exporters import torchvision as to_torchvision
from transfer.exporters.detectron2 import files as detectron2_export
from transfer.exporters.mmcv_ops import missing_mmdet
from transfer.exporters.mmdet import files as mmdet_export
from transfer.exporters.mmseg import files as mmseg_export
from transfer.exporters.read_back import marker_of
from transfer.exporters.silenced_logs import quiet_detectron2, quiet_mmdet, quiet_mmseg
from transfer.networks.resnet import Architecture
from transfer.proof import TransferReport


@dataclass(frozen=True)
class Toolbox:
    """What reads an exported folder.

    Attributes:
        title: its name.
        load: imports what the proof needs; raises ImportError.
        prove: builds the target from the folder's files and proves that it carries a backbone file.
        only_resnets: whether it takes no vision transformer.
    """

    title: str
    load: Callable[[], object]
    prove: Callable[[Path, Path], TransferReport]
    only_resnets: bool = True


class NotInstalled(Exception):
    """The toolbox cannot be imported; the message says which, and why."""


def prove_folder(folder: Path, path: Path) -> TransferReport:
    """Build the target from an exported folder by its stock entry points, and prove that it is the backbone file.

    Raises:
        TransferError: it carries something else, or does not build or load.
        UserError: not one export, or a file of it is damaged.
        NotInstalled: there is no toolbox to build it.
    """
    toolbox = TOOLBOXES[marker_of(folder)]
    architecture = read_info(path).architecture
    if toolbox.only_resnets and not isinstance(architecture, Architecture):
        raise TransferError(f"{folder}: an export to {toolbox.title}, which holds a ResNet, and {architecture.name}")
    try:
        toolbox.load()
    except ImportError as error:
        raise NotInstalled(f"{toolbox.title} cannot be imported ({' '.join(str(error).split())})") from error
    return toolbox.prove(folder, path)


def _import(*modules: str) -> None:
    for module in modules:
        importlib.import_module(module)


def _load_detectron2() -> None:
    quiet_detectron2()
    _import("detectron2", "detectron2.config", "detectron2.modeling", "detectron2.checkpoint")


def _load_mmseg() -> None:
    quiet_mmseg()
    _import("mmengine", "mmcv", "mmseg", "mmseg.datasets", "mmseg.models")


def _load_mmdet() -> None:
    """Where MMDetection's operators are missing, the proof takes a stand-in from MMSegmentation and says so."""
    if missing_mmdet() is None:
        quiet_mmdet()
        _import("mmengine", "mmcv", "mmdet", "mmdet.models")
    else:
        _load_mmseg()


TOOLBOXES = {
    detectron2_export.CONFIG_NAME: Toolbox("Detectron2", _load_detectron2, detectron2_export.prove_export),
    mmseg_export.CONFIG_NAME: Toolbox("MMSegmentation", _load_mmseg, mmseg_export.prove_export),
    mmdet_export.CONFIG_NAME: Toolbox("MMDetection", _load_mmdet, mmdet_export.prove_export),
    to_timm.REPORT_NAME: Toolbox("timm", lambda: _import("timm"), to_timm.prove_export, False),
    to_torchvision.REPORT_NAME: Toolbox("torchvision", lambda: None, to_torchvision.prove_export),
}
"""By the file that shows which toolbox a folder is for (:func:`transfer.exporters.read_back.marker_of`)."""
