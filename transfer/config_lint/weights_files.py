"""The weights that a configuration names, looked up: backbone files, exports and checkpoints on this disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from transfer.config_lint.paths import is_file
from transfer.config_lint.tensor_shapes import Network, network_of, read_shapes
from transfer.config_lint.weights import Triple, Weights
from transfer.config_lint.weights_names import weights_called


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
        norm="BN",
        groups=1,
        group_width=architecture.stem_width,
    )


def weights_named(name: str, folder: Path) -> Weights | None:
    """What a configuration's own ``WEIGHTS``, ``checkpoint`` or ``pretrained`` stands for.

    Where the file is on this disk, its export's report says it, or its tensors' shapes say what network they are of.

    Args:
        name: the value, a path or a URL; not empty.
        folder: of the configuration, to which a relative path may refer.

    Returns:
        None for whole trained models and for stock files of an unknown kind, of which nothing is to be said.
    """
    file = file_named(name, folder)
    report = None if file is None else _report_alongside(file)
    if report is not None and file is not None:
        return dataclasses.replace(_from_report(report), tensors=read_shapes(file))
    called = weights_called(name)
    tensors = None if file is None or called is None else read_shapes(file)
    if called is None or tensors is None:
        return called
    network = network_of(tensors)
    if network == Network():
        return dataclasses.replace(called, tensors=tensors)
    return dataclasses.replace(
        called,
        tensors=tensors,
        shapes_read=True,
        depth=network.depth,
        stem_width=network.stem_width,
        stem=network.stem or called.stem,
        norm=network.norm,
        groups=network.groups,
        group_width=network.group_width,
    )


def file_named(name: str, folder: Path) -> Path | None:
    """The file on this disk that a configuration in ``folder`` names; None where there is none."""
    plain = name.partition("?")[0].removeprefix("file://")
    return next((path for path in (Path(plain), folder / plain) if is_file(path)), None)


def _report_alongside(path: Path) -> Path | None:
    """The report of the export that a weights file belongs to."""
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
            norm="BN",
            groups=1,
            group_width=int(architecture["stem_width"]),
        )
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"{report}: not a report of 'scenebench export' for a ResNet ({error})") from error


def _triple(values: Any) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third
