"""Collecting what there is to report: the records of a folder, and, after ``scenebench run``, which cells they lack."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.records.record import Record, read_record
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import write_text

EXPECTED_FILE = "expected.json"
RECORD_FILE = "record.json"
FORMAT_VERSION = 1
# What may differ between two runs of one row.
_NOT_OF_A_ROW = (
    ("seed",),
    ("data", "root"),
    ("data", "annotations"),
    ("data", "workers"),
    ("data", "cache"),
    ("probe",),
    ("diagnostics",),
    ("run",),
)


@dataclass(frozen=True)
class ExpectedCell:
    """A cell that a suite plans: row ``label``, column ``protocol`` (id), one seed; ``reason``: why it is empty."""

    label: str
    protocol: str
    task: str
    metrics: list[str]
    seed: int
    is_reference: bool
    record: str
    reason: str


@dataclass(frozen=True)
class Results:
    """Everything the tables, the figure and the leaderboard are made of; nothing else enters them.

    Attributes:
        records: of one suite in its order, else by label, protocol and seed.
        gaps: cells that were planned and have no valid record.
        rows, protocols: labels and protocol ids in the order of the suite; empty where only records are known.
        baseline: label of the row that differences are taken to; "" where there is none.
        repeats: records left out because a later one repeats the same row, protocol, data and seed.
        files: content hash -> the file that a record was read from.
        folder: where they were found.
        row_keys: content hash -> :func:`row_key`, where it is known already.
    """

    title: str
    baseline: str
    rows: list[str]
    protocols: list[str]
    records: list[Record]
    gaps: list[ExpectedCell]
    repeats: int = 0
    files: dict[str, Path] = field(default_factory=dict)
    folder: Path | None = None
    row_keys: dict[str, str] = field(default_factory=dict)


def write_expected(
    out: Path,
    suite: str,
    size: str,
    title: str,
    baseline: str,
    rows: Sequence[str],
    protocols: Sequence[str],
    cells: Sequence[ExpectedCell],
) -> None:
    """Leave beside the records what a suite planned; :func:`collect` reads it."""
    content = {"format_version": FORMAT_VERSION, "suite": suite, "size": size, "title": title, "baseline": baseline}
    content |= {"rows": list(rows), "protocols": list(protocols)}
    content["cells"] = [dataclasses.asdict(cell) for cell in cells]
    write_text(out / EXPECTED_FILE, json.dumps(content, indent=1) + "\n")


def collect(folder: Path | str, read: Callable[[Path], Record] = read_record) -> Results:
    """Read the results below ``folder``.

    After ``scenebench run`` these are the records of its present plan, and a damaged one is a gap; in any other folder
    they are all files named ``record.json`` or lying in a folder named ``records``, and a damaged one is an error.

    Args:
        read: makes a record of a file; it may refuse more than the default does.

    Raises:
        UserError: no such folder, no records in it, or a damaged one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of results")
    if (folder / EXPECTED_FILE).is_file():
        return _collect_expected(folder, read)
    paths = [Path(path) for path in sorted(record_paths(folder))]
    if not paths:
        raise UserError(f"{folder}: holds no records; make some with 'scenebench run' or 'scenebench evaluate'")
    found, files = {}, {}
    for path in paths:
        record = read(path)
        found[record.content_hash], files[record.content_hash] = record, path
    keys = {content_hash: row_key(record) for content_hash, record in found.items()}
    records = _latest(list(found.values()), keys)
    return Results(
        title="Results",
        baseline=_baseline_of(records),
        rows=[],
        protocols=[],
        records=sorted(records, key=lambda r: (r.backbone.label, r.protocol.id, r.seed, r.content_hash)),
        gaps=[],
        repeats=len(found) - len(records),
        files=files,
        folder=folder,
        row_keys=keys,
    )


def record_paths(folder: Path) -> Iterator[str]:
    """What :func:`collect` takes for records where no suite says which they are; no linked folder is entered."""
    top = str(folder)
    for parent, _, names in os.walk(top):  # as strings: of many thousand folders pathlib costs more than all else here
        is_records = parent == top or "/records/" in f"{parent[len(top) :]}/"
        for name in names:
            if name == RECORD_FILE or (is_records and name.endswith(".json")):
                yield f"{parent}/{name}"


def _collect_expected(folder: Path, read: Callable[[Path], Record]) -> Results:
    file = folder / EXPECTED_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise UserError(f"{file}: format {content['format_version']}, this version reads {FORMAT_VERSION}")
        cells = [ExpectedCell(**cell) for cell in content["cells"]]
        texts = {key: str(content[key]) for key in ("title", "baseline")}
        lists = {key: [str(item) for item in content[key]] for key in ("rows", "protocols")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged ({error}); run 'scenebench run' on that folder again") from error
    records, gaps, files = [], [], {}
    for cell in cells:
        path = folder / cell.record
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: '{cell.record}' leads out of the folder")
        if not path.is_file():
            gaps.append(dataclasses.replace(cell, reason=cell.reason or "missing"))
            continue
        try:
            records.append(read(path))
            files[records[-1].content_hash] = path
        except UserError as error:
            reason = f"failed: {str(error).removeprefix(str(folder) + '/')}; remove it and run again"
            gaps.append(dataclasses.replace(cell, reason=reason))
    return Results(
        texts["title"],
        texts["baseline"],
        lists["rows"],
        lists["protocols"],
        records,
        gaps,
        files=files,
        folder=folder,
    )


def row_key(record: Record) -> str:
    """What is equal for all seeds of one row: label, method, and the recipe but for seed, paths and machine.

    Imported weights come without a recipe; what is equal for them is the file.
    """
    backbone = record.backbone
    content = [backbone.label, backbone.method, backbone.origin, row_recipe(record), backbone.dataset_fingerprint]
    return config_hash([*content, backbone.sha256] if backbone.origin == "imported" else content)


def recipe_key(record: Record) -> str:
    """As :func:`row_key`, whatever the row is called: two suites may call one backbone by two names."""
    return row_key(record.model_copy(update={"backbone": record.backbone.model_copy(update={"label": ""})}))


def row_recipe(record: Record) -> dict[str, Any]:
    """The recipe that the backbone was learnt by, without what may differ between two runs of one row."""
    recipe = {key: dict(value) if isinstance(value, dict) else value for key, value in record.backbone.recipe.items()}
    for path in _NOT_OF_A_ROW:
        node = recipe
        for key in path[:-1]:
            node = node.get(key, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node.pop(path[-1], None)
    return recipe


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"mls": {"k": 5}}`` as ``{"mls.k": 5}``, as an override names the key."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _latest(records: list[Record], keys: Mapping[str, str]) -> list[Record]:
    """A run repeated with the same seed is no further seed: of equal runs the latest counts."""
    latest: dict[tuple[object, ...], Record] = {}
    for record in sorted(records, key=lambda r: (r.started, r.content_hash)):
        latest[
            keys[record.content_hash], record.protocol.hash, record.dataset.fingerprint, record.size, record.seed
        ] = record
    return list(latest.values())


def _baseline_of(records: list[Record]) -> str:
    """Without a suite that says so, the randomly initialised backbone is the baseline."""
    labels = {r.backbone.label for r in records if r.backbone.method == "random_init"}
    return min(labels, default="")
