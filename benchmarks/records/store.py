"""Many records in one file: ``NAME.jsonl``, one record a line, and beside it what they share, ``NAME.shared.jsonl``.

A line is flat, so that ``pandas.read_json("mini.jsonl", lines=True)`` gives a row a record with columns such as
``backbone.label``, ``protocol.id``, ``seed`` and ``metrics.mAP``. The suite, the protocol's values, the recipe and the
environment, which many records have in common, stand there as hashes; each is a line of the other file,
``{"hash": ..., "part": ..., "value": ...}``. Both are sorted, so that what is added changes no other line. Nothing is
lost: put together again (:func:`unpack`) a record is equal to what it was, and its content hash still names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records.admission import MAX_BYTES, MAX_DEPTH, open_plain, require_size, strict_json
from scenebench.config import config_hash
from scenebench.errors import UserError

SUFFIX, SHARED_SUFFIX = ".jsonl", ".shared.jsonl"
FLAT = ("protocol", "backbone", "dataset", "judged", "metrics")
"""Objects whose keys become columns, ``protocol.id``; a name is split at its first dot."""
SHARED = (("suite_resolved",), ("protocol", "resolved"), ("backbone", "recipe"), ("environment",))
"""Where in a record the shared parts stand."""
_FIRST = ("suite", "size", "backbone.label", "protocol.id", "seed")
_LAST = ("environment", "suite_resolved", "schema_version", "migrated_from", "content_hash")
# Of a line: signs outside of ASCII are spelt there, which makes them three times as long.
_MAX_LINE = 4 * MAX_BYTES

Content = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """What several records share, with its size in bytes and its depth as JSON."""

    value: Content
    size: int
    depth: int


@dataclass(frozen=True)
class Line:
    """A line of a file: its number from 1, and its text; ``text`` is cut where ``is_whole`` is false."""

    number: int
    text: bytes
    is_whole: bool


def shared_file(store: Path) -> Path:
    """``mini.shared.jsonl`` of ``mini.jsonl``."""
    return store.with_name(store.name.removesuffix(SUFFIX) + SHARED_SUFFIX)


def is_store(name: str) -> bool:
    """Whether a file of this name holds records, one a line."""
    return name.endswith(SUFFIX) and not name.endswith(SHARED_SUFFIX)


def pack(content: Mapping[str, Any]) -> tuple[Content, list[Content]]:
    """A record's JSON as (its line, the lines of its shared parts)."""
    record = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    parts = []
    for path in SHARED:
        holder = record if len(path) == 1 else record.get(path[0])
        value = holder.get(path[-1]) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(value, dict):
            holder[path[-1]] = config_hash(value)
            parts.append({"hash": holder[path[-1]], "part": ".".join(path), "value": value})
    line: Content = {}
    for key, value in record.items():
        line |= {f"{key}.{name}": one for name, one in value.items()} if key in FLAT and value else {key: value}
    return dict(sorted(line.items(), key=_column)), parts


def unpack(line: Mapping[str, Any], shared: Mapping[str, Part], place: str) -> Content:
    """The record's JSON, from its line and the shared parts by their hashes.

    Raises:
        UserError: a part is missing, a column stands there twice over, or all of it is larger or deeper than a record.
    """
    record: Content = {}
    holder: Any
    for column, value in line.items():
        key, dot, name = column.partition(".")
        if not (dot and key in FLAT):
            name, holder = column, record
        else:
            holder = record.setdefault(key, {})
        if not isinstance(holder, dict) or name in holder:
            raise UserError(f"{place}: not a readable record: '{column[:80]}' and '{key[:80]}' stand in one line")
        holder[name] = value
    depth = _depth_of(record)
    size = 0
    for path in SHARED:
        holder = record if len(path) == 1 else record.get(path[0])
        digest = holder.get(path[-1]) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and isinstance(digest, str):
            if digest not in shared:
                raise UserError(
                    f"{place}: not a readable record: its {'.'.join(path)} {digest[:40]} is not in the file"
                )
            part = shared[digest]
            holder[path[-1]] = part.value
            size, depth = size + part.size, max(depth, len(path) + part.depth)
    if depth > MAX_DEPTH:
        raise UserError(f"{place}: not a readable record: nested more than {MAX_DEPTH} levels deep")
    if size + len(json.dumps(line, ensure_ascii=False)) > MAX_BYTES:
        require_size(len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()), place)
    return record


def read_lines(path: Path, folder: Path) -> Iterator[Line]:
    """The lines of a file that are not empty, however long the file is.

    Raises:
        UserError: no plain file inside ``folder``, or one that cannot be read.
    """
    with open_plain(path, folder) as file:
        number = 0
        try:
            while text := file.readline(_MAX_LINE + 1):
                number += 1
                is_whole = len(text) <= _MAX_LINE
                while not text.endswith(b"\n") and (rest := file.readline(_MAX_LINE)):
                    text = text if not rest.endswith(b"\n") else text + b"\n"
                if text.strip():
                    yield Line(number, text, is_whole)
        except OSError as error:
            raise UserError(f"{path}: not a readable record: {error}") from error


def read_shared(path: Path, folder: Path) -> tuple[dict[str, Part], list[tuple[str, UserError]]]:
    """The shared parts of a file by their hashes, and the lines that hold none, with what is wrong with them."""
    parts: dict[str, Part] = {}
    faults: list[tuple[str, UserError]] = []
    if not path.exists() and not path.is_symlink():
        return parts, faults
    try:
        for line in read_lines(path, folder):
            place = f"{path}:{line.number}"
            try:
                if not line.is_whole:
                    require_size(len(line.text), place)
                said = strict_json(line.text, place, MAX_DEPTH + 1)
                value = said.get("value") if isinstance(said, dict) else None
                if not isinstance(value, dict) or config_hash(value) != said.get("hash"):
                    raise UserError(f"{place}: its hash disagrees with its value; it was damaged or edited by hand")
                parts[said["hash"]] = Part(value, len(line.text), _depth_of(value))
            except UserError as error:
                faults.append((place, error))
    except UserError as error:
        faults.append((str(path), error))
    return parts, faults


def stored_texts(contents: Iterable[Content]) -> tuple[str, str]:
    """The text of a store and of its shared parts, from records' JSON; equal records give equal bytes."""
    packed = [pack(content) for content in contents]
    lines = [line for line, _ in sorted(packed, key=lambda one: _order(one[0]))]
    parts = {(part["part"], part["hash"]): part for _, own in packed for part in own}
    return _text(lines), _text(parts[key] for key in sorted(parts))


def _text(lines: Iterable[Content]) -> str:
    return "".join(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines)


def _order(line: Content) -> tuple[Any, ...]:
    names = ("backbone.label", "protocol.id", "seed", "started", "content_hash")
    return tuple(line.get(name, "") for name in names)


def _column(item: tuple[str, Any]) -> tuple[int, str]:
    """What tells a record first, its metrics after that, what is the same for many last."""
    name = item[0]
    if name in _FIRST:
        return _FIRST.index(name), ""
    if name in _LAST:
        return len(_FIRST) + 2 + _LAST.index(name), ""
    return len(_FIRST) + (not name.startswith("metrics.")), name


def _depth_of(value: Any) -> int:
    """Deepest nesting of lists and objects."""
    if isinstance(value, dict):
        return 1 + max(map(_depth_of, value.values()), default=0)
    return 1 + max(map(_depth_of, value), default=0) if isinstance(value, list) else 0
