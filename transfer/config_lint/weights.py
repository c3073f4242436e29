"""What is known of the weights that a configuration will load: from our own files exactly, else from their name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenebench.errors import UserError

Triple = tuple[float, float, float]

_IMAGENET: tuple[Triple, Triple] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_CAFFE: tuple[Triple, Triple] = ((103.53, 116.28, 123.675), (1.0, 1.0, 1.0))
_STOCK_OPENMMLAB = (
    "open-mmlab://",
    "openmmlab://",
    "https://download.openmmlab.com/",
    "http://download.openmmlab.com/",
    "https://mmassets.onedl.ai/",
)
_SELF_SUPERVISED_URL = re.compile(r"selfsup|moco|byol|simsiam|swav|densecl|simclr", re.IGNORECASE)


@dataclass(frozen=True)
class Weights:
    """What is known of a set of weights. None where nothing is.

    Attributes:
        source: how it is known, for the findings.
        certain: read from a file of ours, or a stock name whose meaning is documented; else inferred from a name.
        self_supervised: their norms' running statistics are not made to be frozen.
        mean, std: on the 0-255 scale, in ``channel_order``.
        stride_in: ``3x3`` (torchvision, "pytorch") or ``1x1`` (MSRA, "caffe").
        stem: ``conv7x7`` or ``deep``.
        prefix: of the tensors' names in the file.
    """

    source: str
    certain: bool
    self_supervised: bool
    channel_order: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    stride_in: str | None = None
    stem: str | None = None
    depth: int | None = None
    stem_width: int | None = None
    prefix: str | None = None


def read_weights(path: Path) -> Weights:
    """The weights of a backbone file or of a folder that ``scenebench export`` wrote.

    Raises:
        UserError: neither.
    """
    if path.is_dir():
        reports = sorted(path.glob("*_report.json"))
        if len(reports) != 1:
            raise UserError(f"{path}: {len(reports)} reports of 'scenebench export' in it, and one is needed")
        return _from_report(reports[0])
    from transfer.backbone_file import read_info
    from transfer.networks.network import require_resnet

    info = read_info(path)
    architecture = require_resnet(info.architecture, "lint --weights")
    mean, std = info.preprocessing.on_255_scale()
    return Weights(
        source=f"backbone file {path.name}",
        certain=True,
        self_supervised=info.method != "supervised",
        channel_order=info.preprocessing.channel_order,
        mean=_triple(mean),
        std=_triple(std),
        stride_in=architecture.stride_in,
        stem=architecture.stem,
        depth=architecture.depth,
        stem_width=architecture.stem_width,
    )


def weights_named(name: str, folder: Path) -> Weights | None:
    """What a configuration's own ``WEIGHTS``, ``checkpoint`` or ``pretrained`` stands for.

    Args:
        name: the value, a path or a URL; not empty.
        folder: of the configuration, to which a relative path may refer.

    Returns:
        None for whole trained models and for stock files of an unknown kind, of which nothing is to be said.
    """
    if name.startswith(("detectron2://", "catalog://")):
        return _detectron2_stock(name)
    if name.startswith("torchvision://"):
        return _torchvision_like(f"{name} (torchvision's ImageNet weights)", certain=True, self_supervised=False)
    if name.startswith(_STOCK_OPENMMLAB) and not _SELF_SUPERVISED_URL.search(name):
        return _openmmlab_stock(name)
    report = _report_beside(name.partition("?")[0], folder)
    if report is not None:
        return _from_report(report)
    return _torchvision_like(
        f"inferred: {name} is no stock ImageNet file, and self-supervised weights are torchvision-style as a rule",
        certain=False,
        self_supervised=True,
    )


def _detectron2_stock(name: str) -> Weights | None:
    if "ImageNetPretrained/MSRA/" in name:
        return Weights(
            f"{name} (MSRA's Caffe weights)", True, False, "BGR", _CAFFE[0], _CAFFE[1], "1x1", "conv7x7"
        )  # fmt: skip
    if "ImageNetPretrained/torchvision/" in name:
        return _torchvision_like(f"{name} (torchvision's weights)", certain=True, self_supervised=False)
    return None


def _openmmlab_stock(name: str) -> Weights | None:
    rest = name.partition("://")[2]
    if "v1c" in rest or "v1d" in rest:
        return Weights(f"{name} (deep-stem weights)", True, False, "RGB", *_IMAGENET, "3x3", "deep")
    if "caffe" in rest:
        return Weights(f"{name} (Caffe weights)", True, False, "BGR", None, None, "1x1", "conv7x7")
    return None


def _torchvision_like(source: str, certain: bool, self_supervised: bool) -> Weights:
    return Weights(source, certain, self_supervised, "RGB", *_IMAGENET, "3x3", "conv7x7")


def _report_beside(name: str, folder: Path) -> Path | None:
    """The report of the export that a weights file belongs to, where both are on this disk."""
    for path in (Path(name), folder / name):
        if path.is_file():
            for report in sorted(path.parent.glob("*_report.json")):
                try:
                    files = json.loads(report.read_text(encoding="utf-8")).get("files", {})
                except (OSError, ValueError, AttributeError):
                    continue
                if isinstance(files, dict) and files.get("weights") == path.name:
                    return report
    return None


def _from_report(report: Path) -> Weights:
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        backbone: dict[str, Any] = content["backbone"]
        architecture, preprocessing = backbone["architecture"], backbone["preprocessing"]
        scale = 255.0 / float(preprocessing["value_range"])
        return Weights(
            source=f"export report {report.name}",
            certain=True,
            self_supervised=backbone["method"] != "supervised",
            channel_order=str(preprocessing["channel_order"]),
            mean=_triple([float(value) * scale for value in preprocessing["mean"]]),
            std=_triple([float(value) * scale for value in preprocessing["std"]]),
            stride_in=str(architecture["stride_in"]),
            stem=str(architecture["stem"]),
            depth=int(architecture["depth"]),
            stem_width=int(architecture["stem_width"]),
            prefix="backbone." if content["target"] in ("mmseg", "mmdet") else None,
        )
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{report}: not a report of 'scenebench export' for a ResNet ({error})") from error


def _triple(values: Any) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third
