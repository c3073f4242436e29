"""Which records may stand beside a published value: the guard that keeps numbers of other data out of a paper's column.

A record must be of the column's data set, whole, at size ``paper``, evaluated by the column's present protocol; and
its backbone must be what the row says: method, values that the paper states, pretraining data, epochs, architecture.
All functions answer with reasons, so that a table can say why a value stands elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.datasets.registry import Description
from benchmarks.published.layout import (
    Making,
    Methods,
    PaperColumn,
    PaperRow,
)
from benchmarks.records.record import BackbonePart, Record
from scenebench.config import flatten

PAPER_SIZE = "paper"


def why_not_in_column(record: Record, column: PaperColumn, data: Description, current: Mapping[str, str]) -> list[str]:
    """Why a record's value cannot stand in a published column; empty where it can.

    Args:
        data: what the registry says of the column's data set.
        current: protocol id -> hash of the protocol as it is now.
    """
    reasons = []
    found, protocol = record.dataset, record.protocol
    if protocol.id != column.judged_by:
        reasons.append(f"protocol {protocol.id} instead of {column.judged_by}")
    elif protocol.hash != current.get(protocol.id):
        reasons.append(f"protocol {protocol.id} v{protocol.version} ({protocol.hash}) is not the present one")
    if found.name != column.dataset:
        reasons.append(f"data {found.name} instead of {column.dataset}")
    if record.size != PAPER_SIZE:
        reasons.append(f"size {record.size or 'not given'} instead of {PAPER_SIZE}")
    if found.test_split != column.split:
        reasons.append(f"split {found.test_split} instead of {column.split}")
    wanted = data.images.get(column.split)
    if wanted is not None and record.judged.images != wanted:
        reasons.append(f"{record.judged.images} test images instead of {wanted}")
    if data.classes is not None and found.categories != data.classes:
        reasons.append(f"{found.categories} categories instead of {data.classes}")
    named = protocol.resolved.get("data", {})
    if isinstance(named, dict) and named.get("dataset") not in (None, "", column.dataset):
        reasons.append(f"read as {named['dataset']} instead of {column.dataset}")
    return reasons


def why_not_in_row(record: Record, row: PaperRow, label: str, methods: Methods) -> list[str]:
    """Why a backbone is not what a published row is of; empty where it is."""
    backbone = record.backbone
    if backbone.origin == "reference":
        return ["evaluates no backbone"]
    if not is_made_as(backbone, row, methods):
        return [f"method {backbone.method} is not {row.method}"]
    reasons = []
    if not backbone.architecture.startswith(methods.architecture):
        reasons.append(f"architecture {backbone.architecture or 'unknown'} instead of {methods.architecture}")
    if backbone.origin == "own":
        flat = flatten(backbone.recipe)
        making = next(m for m in methods.methods[row.method] if _makes(m, backbone))
        stated = making.stated | making.keys
        reasons += [
            f"{key} {flat.get(key)} instead of {value}"
            for key, value in stated.items()
            if not _same(flat.get(key), value)
        ]
    elif backbone.label.casefold() not in _labels(row, label):
        reasons.append(f"imported weights are called '{backbone.label}', not '{label}'")
    if row.epochs is not None and backbone.method != "random_init":
        is_unknown = backbone.origin == "imported" and backbone.epochs == 0  # their label vouches for them
        if backbone.epochs != row.epochs and not is_unknown:
            reasons.append(f"{backbone.epochs} epochs instead of {row.epochs}")
    return reasons + _why_not_data(backbone, row, methods)


def is_made_as(backbone: BackbonePart, row: PaperRow, methods: Methods) -> bool:
    """Whether a backbone is of the row's method, at whatever size and on whatever data."""
    return any(_makes(making, backbone) for making in methods.methods[row.method])


def is_called(backbone: BackbonePart, row: PaperRow, label: str) -> bool:
    """Whether a suite calls a backbone as the row is called (without regard to case)."""
    return backbone.label.casefold() in _labels(row, label)


def _labels(row: PaperRow, label: str) -> set[str]:
    return {name.casefold() for name in (label, *row.labels)}


def _makes(making: Making, backbone: BackbonePart) -> bool:
    if backbone.method != making.method:
        return False
    flat = flatten(backbone.recipe)
    return backbone.origin != "own" or all(_same(flat.get(key), value) for key, value in making.keys.items())


def _why_not_data(backbone: BackbonePart, row: PaperRow, methods: Methods) -> list[str]:
    """Pretraining data: by name, and for a backbone made here also by the number of images seen."""
    wanted = methods.pretrain_data.get(row.data)
    if wanted is None or backbone.method == "random_init":
        return []
    if backbone.origin == "imported" and not backbone.dataset:
        return []
    name = backbone.dataset.split("/")[0].casefold()
    if name not in wanted.names:
        return [f"pretrained on {backbone.dataset or 'unknown data'} instead of {row.data}"]
    if backbone.origin == "own" and backbone.images_seen and backbone.epochs:
        images = backbone.images_seen / backbone.epochs  # the last, incomplete batch of an epoch may be left out
        if not 0.98 * wanted.images <= images <= 1.02 * wanted.images:
            return [f"pretrained on {images:.0f} images an epoch instead of {wanted.images}"]
    return []


def _same(found: Any, wanted: Any) -> bool:
    """Equal; numbers to twelve digits, and never a number and a flag."""
    numbers = [value for value in (found, wanted) if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == 2:
        return math.isclose(numbers[0], numbers[1], rel_tol=1e-12)
    return type(found) is type(wanted) and bool(found == wanted)
