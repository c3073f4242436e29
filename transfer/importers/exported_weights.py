"""A weights file that ``scenebench export`` wrote: the report beside it says the preprocessing and the stride style."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.importers.detectron2 import from_detectron2
from transfer.importers.family import ONLY, Family
from transfer.importers.names import is_backbone_name, without_classifier

_OPENMMLAB = "backbone."


def _from_export(name: str) -> str | None:
    if is_backbone_name(name):
        return name
    if is_backbone_name(name.removeprefix(_OPENMMLAB)):
        return name.removeprefix(_OPENMMLAB)
    return from_detectron2(name) or without_classifier(name)


FAMILY = Family(
    name="export",
    title="the weights of a 'scenebench export'",
    rule="the target's names, with the *_report.json of the export beside the file",
    branches=ONLY,
    why="the report says which branch it is",
    left_out="nothing: it holds nothing else",
    preprocessing=None,
    preprocessing_why="the report says it",
    source="transfer/proof.py",
    beside=None,
    rename=_from_export,
    may_be_bare=False,
)


def family_of_export(path: Path) -> Family | None:
    """:data:`FAMILY` with what the report beside ``path`` says, or None where no report names this file.

    Raises:
        UserError: such a report lacks or mistypes a field.
    """
    for report_path in sorted(path.parent.glob("*_report.json")):
        report = _read(report_path)
        files = report.get("files") if isinstance(report, dict) else None
        if isinstance(files, dict) and files.get("weights") == path.name:
            return _described(report_path, report)
    return None


def _described(report_path: Path, report: dict[str, Any]) -> Family:
    try:
        backbone = report["backbone"]
        stated = backbone["preprocessing"]
        preprocessing = Preprocessing(
            mean=_triple(stated["mean"]),
            std=_triple(stated["std"]),
            value_range=float(stated["value_range"]),
            channel_order=str(stated["channel_order"]),
        )
        return dataclasses.replace(
            FAMILY,
            preprocessing=preprocessing,
            method=str(backbone["method"]),
            branches=(dataclasses.replace(ONLY[0], name=str(backbone["branch"])),),
            stride_in=str(backbone["architecture"].get("stride_in", "3x3")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{report_path}: lacks or mistypes a field that an export writes ({error})") from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not a report of ours, whose name it happens to bear


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
