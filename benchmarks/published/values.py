"""Published values: numbers that papers and released code print, as data; never typed in code, nor mixed with ours."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenebench.errors import UserError, require_choice

PUBLISHED = Path(__file__).parent
NOTES_FILE = "notes.csv"
CONTEXT_FILE = "context.csv"
ORIGINS = ("own", "copied", "reproduced", "unknown")
COLUMNS = ["table", "task", "protocol", "method", "pretrain_data", "pretrain_epochs", "metric", "value"]
COLUMNS += ["source", "origin", "origin_basis"]
COMPARED_METHODS = {"moco": "MoCo-v2", "byol": "BYOL", "densecl": "DenseCL", "mls": "MLS"}
"""Our labels, and what the published tables call these methods: all that both have."""
_NOTE_COLUMNS = ["table", "task", "method", "metric", "note"]


@dataclass(frozen=True)
class PublishedValue:
    """One number of one paper.

    Attributes:
        table: where it stands (``table1``, ``figure5a``, ...); ``source`` says of what.
        pretrain_data: "" where there is none or it is unknown; ``pretrain_epochs``: None where it is unknown.
        origin: ``own`` (of the source's own method), ``copied`` (from an earlier paper), ``reproduced`` (an earlier
            method, run by the source's authors) or ``unknown``; ``origin_basis``: stated, or inferred from what.
        notes: what is odd about it.
    """

    table: str
    task: str
    protocol: str
    method: str
    pretrain_data: str
    pretrain_epochs: int | None
    metric: str
    value: float
    source: str
    origin: str
    origin_basis: str
    notes: tuple[str, ...] = ()


def read_published(folder: Path = PUBLISHED) -> list[PublishedValue]:
    """All values of the CSV files in ``folder``, each with the notes that concern it.

    Raises:
        UserError: a file is malformed, or a note concerns no value.
    """
    notes = _read(folder / NOTES_FILE, _NOTE_COLUMNS)
    used = [False] * len(notes)
    values = []
    # The papers' own tables first, values from elsewhere (context.csv) last.
    paths = [path for path in folder.glob("*.csv") if path.name != NOTES_FILE]
    for path in sorted(paths, key=lambda path: (path.name == CONTEXT_FILE, path.name)):
        for number, line in enumerate(_read(path, COLUMNS), start=2):
            concerned = [i for i, note in enumerate(notes) if _concerns(note, line)]
            for index in concerned:
                used[index] = True
            values.append(_value(line, tuple(notes[i]["note"] for i in concerned), f"{path}:{number}"))
    for note, was_used in zip(notes, used, strict=True):
        if not was_used:
            raise UserError(
                f"{folder / NOTES_FILE}: the note '{note['note'][:60]}...' concerns no value; mend its keys"
            )
    return values


def _read(path: Path, columns: list[str]) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=2):
        if list(line) != columns or None in line.values():
            raise UserError(f"{path}:{number}: expected the columns {', '.join(columns)}")
    return lines


def _concerns(note: dict[str, str], line: dict[str, str]) -> bool:
    return all(note[key] in ("", line[key]) for key in ("table", "task", "method", "metric"))


def _value(line: dict[str, str], notes: tuple[str, ...], where: str) -> PublishedValue:
    require_choice(f"{where}: origin", line["origin"], ORIGINS)
    try:
        value = float(line["value"])
        epochs = int(line["pretrain_epochs"]) if line["pretrain_epochs"] else None
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    if not math.isfinite(value):
        raise UserError(f"{where}: value {value} is no number")
    return PublishedValue(**{**line, "value": value, "pretrain_epochs": epochs, "notes": notes})  # type: ignore[arg-type]


def published_orders(values: Sequence[PublishedValue]) -> dict[tuple[str, str, str, int | None], dict[str, float]]:
    """Every published column that has all of :data:`COMPARED_METHODS`, pretrained on COCO for equally many epochs.

    Returns:
        (table, protocol, metric, epochs) -> our label -> value.
    """
    names = {published: ours for ours, published in COMPARED_METHODS.items()}
    columns: dict[tuple[str, str, str, int | None], dict[str, float]] = {}
    for value in values:
        if value.method in names and value.pretrain_data == "COCO":
            key = (value.table, value.protocol, value.metric, value.pretrain_epochs)
            columns.setdefault(key, {})[names[value.method]] = value.value
    return {key: column for key, column in columns.items() if column.keys() == COMPARED_METHODS.keys()}
