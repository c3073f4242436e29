"""Collecting what there is to report: the records of a folder, and, after ``scenebench run``, which cells they lack."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.records.admission import Refused, admit, refused_by, require_own_id
from benchmarks.records.places import RECORD_FILE as RECORD_FILE
from benchmarks.records.places import Lying, RecordFile, find_records, place_named
from benchmarks.records.record import Record
from scenebench.children import LEAST, in_children, shared_out
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import write_text

_T = TypeVar("_T")

EXPECTED_FILE = "expected.json"
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
        files: content hash -> the file that a record was read from, where that is a run's own.
        folder: where they were found.
        row_keys: content hash -> :func:`row_key`, where it is known already.
        refused: records that were not admitted and take no part.
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
    refused: tuple[Refused, ...] = ()


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


def collect(place: Path | str, keep_going: bool = False) -> Results:
    """Admit the records at a place: a folder, or a file of records (:mod:`.places`).

    After ``scenebench run`` these are the records of its present plan, and a damaged one is a gap; at any other place
    they are all that lie there, and one that is not admitted is an error.

    Args:
        keep_going: leave out what is not admitted, and say so in ``refused``.

    Raises:
        UserError: no such place, no records there, or one that is not admitted; with ``keep_going``: none is.
    """
    place = place_named(place)
    if not place.exists():
        raise UserError(f"{place}: no such folder of results or file of records")
    if (place / EXPECTED_FILE).is_file():
        return _collect_expected(place)
    return _collected(place, keep_going, lambda lying: admit(lying.content(), lying.place))


def collect_for_page(place: Path | str, then: Callable[[Results], _T]) -> _T:
    """``then`` of what :func:`collect` finds where it keeps going.

    Args:
        then: of many records it is made while another process still checks them, and made anew if one is refused. It
            may therefore write nothing.

    Raises:
        UserError: no record is admitted.
    """
    place = place_named(place)
    if _are_many(place):
        # To check takes as long as to read and to set into tables; another process does that.
        try:
            return in_children(
                [partial(collect, place)], lambda: then(_collected(place, False, lambda lying: lying.quickly()))
            )
        except UserError:
            return then(collect(place, keep_going=True))  # one is refused, and the careful way says which
    return then(collect(place, keep_going=True))


def _are_many(place: Path) -> bool:
    """Whether reading is worth a further process; looks no further than it must."""
    if not place.exists() or (place / EXPECTED_FILE).is_file():
        return False
    return shared_out(sum(1 for _ in islice(find_records(place), 2 * LEAST))) > 1


def _collected(place: Path, keep_going: bool, read: Callable[[Lying], Record]) -> Results:
    found: dict[str, Record] = {}
    files: dict[str, Path] = {}
    by_id: dict[str, str] = {}
    refused = []
    for lying in find_records(place):
        try:
            record = read(lying)
            require_own_id(record, by_id, lying.place)
        except UserError as error:
            if not keep_going:
                raise
            refused.append(refused_by(error, lying.place))
            continue
        found[record.content_hash] = record
        if lying.file is not None:
            files[record.content_hash] = lying.file
    if not found and refused:
        raise UserError(f"{place}: holds no record that is admitted ({len(refused)} refused); {refused[0]}")
    if not found:
        raise UserError(f"{place}: holds no records; make some with 'scenebench run' or 'scenebench evaluate'")
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
        folder=place if place.is_dir() else None,
        row_keys=keys,
        refused=tuple(refused),
    )


def _collect_expected(folder: Path) -> Results:
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
    records, gaps, files, refused = [], [], {}, []
    for cell in cells:
        path = folder / cell.record
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: '{cell.record}' leads out of the folder")
        if not path.is_file():
            gaps.append(dataclasses.replace(cell, reason=cell.reason or "missing"))
            continue
        lying = RecordFile(path, folder)
        try:
            records.append(admit(lying.content(), lying.place))
            files[records[-1].content_hash] = path
        except UserError as error:
            refused.append(refused_by(error, lying.place))
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
        refused=tuple(refused),
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


def row_names(labels: Mapping[str, str]) -> dict[str, str]:
    """Key of a row -> its label; rows of one label that are not of one recipe say that they differ: ``mls [1a2b]``."""
    times = Counter(labels.values())
    return {key: label if times[label] == 1 else f"{label} [{key[:4]}]" for key, label in labels.items()}


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


def read_board(places: Sequence[Path], say: Callable[[str], object] | None = None) -> list[Record]:
    """The records of a board, each once.

    Args:
        say: told of each record that is not admitted, which is left out then; None: it is an error.

    Raises:
        UserError: a place that is no folder or file of records, or holds none; a record that is not admitted.
    """
    found: dict[str, Record] = {}
    for place in places:
        results = collect(place, keep_going=say is not None)
        found |= {record.content_hash: record for record in results.records}
        if say is not None:
            for one in results.refused:
                say(f"not admitted, and left out of the board: {one}")
    return list(found.values())
