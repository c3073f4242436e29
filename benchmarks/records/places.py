"""Where records lie: files named ``record.json``, and lines of ``NAME.jsonl`` (:mod:`.store`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from benchmarks.records.admission import admit, read_plain_file, require_size, strict_json
from benchmarks.records.record import SCHEMA_VERSION, Record
from benchmarks.records.store import SUFFIX, Line, Part, is_store, read_lines, read_shared, shared_file, unpack
from scenebench.errors import UserError

RECORD_FILE = "record.json"
RECORDS_FOLDER = "records"
_LOGS = ("log.jsonl",)
"""Files that a run leaves, which hold no records."""


class Lying(Protocol):
    """A record that was found and not read yet.

    ``place`` is what a person is told; ``file``: that of its own run, with a log beside it, None of a line of many.
    """

    @property
    def place(self) -> str:
        """File, or file and line."""

    @property
    def file(self) -> Path | None:
        """Of its own run."""

    def content(self) -> Any:
        """Its JSON, strictly read."""

    def quickly(self) -> Record:
        """The record, read faster; for one that :func:`admit` takes or has taken besides."""


@dataclass(frozen=True)
class RecordFile:
    """One record in a file of its own, below ``folder``."""

    path: Path
    folder: Path

    @property
    def place(self) -> str:
        """The file's name."""
        return str(self.path)

    @property
    def file(self) -> Path | None:
        """The file."""
        return self.path

    def content(self) -> Any:
        """Its JSON."""
        return strict_json(read_plain_file(self.path, self.folder), self.path)

    def quickly(self) -> Record:
        """The record."""
        try:
            record = Record.model_validate_json(read_plain_file(self.path, self.folder), strict=True)
        except ValidationError:
            return admit(self.content(), self.path)
        return record if record.schema_version == SCHEMA_VERSION else admit(self.content(), self.path)


@dataclass(frozen=True)
class RecordLine:
    """One record in a line of a store."""

    place: str
    line: Line
    shared: dict[str, Part]
    file: Path | None = None

    def content(self) -> Any:
        """Its JSON, put together."""
        if not self.line.is_whole:
            require_size(len(self.line.text), self.place)
        said = strict_json(self.line.text, self.place)
        if not isinstance(said, dict):
            raise UserError(f"{self.place}: not a readable record: no JSON object")
        return unpack(said, self.shared, self.place)

    def quickly(self) -> Record:
        """The record."""
        try:
            record = Record.model_validate(unpack(json.loads(self.line.text), self.shared, self.place), strict=True)
        except (ValueError, RecursionError, AttributeError):
            return admit(self.content(), self.place)
        return record if record.schema_version == SCHEMA_VERSION else admit(self.content(), self.place)


@dataclass(frozen=True)
class Unreadable:
    """What should hold records and cannot be read."""

    place: str
    error: UserError
    file: Path | None = None

    def content(self) -> Any:
        """Raises what is wrong."""
        raise self.error

    def quickly(self) -> Record:
        """Raises what is wrong."""
        raise self.error


def find_records(place: Path) -> Iterator[Lying]:
    """Every record at a place, in the order of names: a file, a store, or a folder with any of these below it.

    In a folder records are the files named ``record.json``, and the ``.json`` and ``.jsonl`` of the folder itself and
    of those named ``records``, but for what lies beside a ``record.json``. No linked folder is entered.

    Raises:
        UserError: a folder below that cannot be read.
    """
    if place.is_dir():
        for path in sorted(map(Path, _paths(place))):
            yield from _in_file(path, place)
    else:
        yield from _in_file(place, place.parent)


def place_named(name: Path | str) -> Path:
    """The place of that name: ``records/mini`` also stands for ``records/mini.jsonl``."""
    path = Path(name)
    store = path.with_name(path.name + SUFFIX) if path.name else path
    return store if not path.exists() and store.is_file() else path


def _in_file(path: Path, folder: Path) -> Iterator[Lying]:
    if not is_store(path.name):
        yield RecordFile(path, folder)
        return
    shared, faults = read_shared(shared_file(path), folder)
    try:
        for line in read_lines(path, folder):
            yield RecordLine(f"{path}:{line.number}", line, shared)
    except UserError as error:
        faults.append((str(path), error))
    for place, fault in faults:
        yield Unreadable(place, fault)


def _paths(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}), so records may be missing") from error

    top = str(folder)
    for parent, _, names in os.walk(top, onerror=refuse):  # of many thousand folders pathlib costs more than all else
        is_records = parent == top or f"/{RECORDS_FOLDER}/" in f"{parent[len(top) :]}/"
        is_records = is_records and RECORD_FILE not in names  # else it is a run's own, with files of its workings
        for name in names:
            is_one = name.endswith(".json") or (is_store(name) and name not in _LOGS)
            if name == RECORD_FILE or (is_records and is_one):
                yield f"{parent}/{name}"
