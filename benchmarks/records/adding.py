"""Records into a folder of records: checked, all of them or none, each into the file of its suite.

A record is somebody else's file. It is admitted by the one rule (:mod:`.admission`), and where it goes is made from its
values letter by letter, so that no name in it can lead out of the folder. What was there stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records.admission import admit, require_own_id
from benchmarks.records.collect import EXPECTED_FILE, row_key
from benchmarks.records.places import RECORD_FILE, RECORDS_FOLDER, find_records, place_named
from benchmarks.records.record import Record
from benchmarks.records.store import SUFFIX, is_store, shared_file, stored_texts
from scenebench.errors import UserError
from scenebench.files import replace_all
from scenebench.locking import LOCK_FILE, only_process

DEFAULT_BOARD = Path("results/records")
SINGLE = "single"
"""Name of the file of records that belong to no suite."""
_LONGEST_PART = 60

Check = Callable[[Record, str], None]
"""Raises UserError, naming the place, unless the record may stand among the others."""


@dataclass(frozen=True)
class Admitted:
    """A record where it lies: the place that a person is told, its JSON as it stands there, and the record."""

    place: str
    content: Mapping[str, Any]
    record: Record


@dataclass(frozen=True)
class Added:
    """A record and the file that holds it now."""

    source: str
    file: Path
    record: Record


def add_records(
    names: Sequence[Path | str], board: Path | str, check_against: Callable[[Sequence[Record]], Check] | None = None
) -> list[Added]:
    """Check the records and add them to ``board``, a line each in ``SUITE.jsonl``; the files given stay as they are.

    Args:
        names: files of records (:mod:`.places`), or folders with some.
        check_against: from the records that are there, what a new one must fulfil besides.

    Raises:
        UserError: naming the file and what is wrong with it: it is not admitted, already there, or another value of a
            cell that is there; or a record of the board is not admitted. Nothing is added then.
    """
    board = Path(board)
    if board.exists() and not board.is_dir():
        raise UserError(f"{board}: is a file; --to names a folder of records")
    new = [one for name in names for one in admit_all(_named(Path(name)))]
    if not new:
        raise UserError(f"{', '.join(map(str, names))}: no file named {RECORD_FILE} or NAME{SUFFIX} in it")
    with writing_to(board):
        there = admit_all(board)
        if check_against is not None:
            check = check_against([one.record for one in there])
            for one in new:
                check(one.record, one.place)
        refuse_repeats(there, new)
        texts: dict[Path, str] = {}
        for suite in {one.record.suite for one in new}:
            file = board / f"{store_name(suite)}{SUFFIX}"
            _require_own(file, board)
            kept = admit_all(file) if file.is_file() else []
            texts |= store_files(file, [*kept, *(one for one in new if one.record.suite == suite)])
        replace_all(texts)
    return [Added(one.place, board / f"{store_name(one.record.suite)}{SUFFIX}", one.record) for one in new]


def admit_all(place: Path) -> list[Admitted]:
    """Every record at a place (:mod:`.places`).

    Raises:
        UserError: one is not admitted.
    """
    found = []
    for lying in find_records(place):
        content = lying.content()
        found.append(Admitted(lying.place, content, admit(content, lying.place)))
    return found


def store_files(store: Path, records: Sequence[Admitted]) -> dict[Path, str]:
    """The two files of a store of these records, and what they hold; a shared part never comes without its record."""
    lines, shared = stored_texts(dict(one.content) for one in records)
    return {shared_file(store): shared, store: lines}


def store_name(suite: str) -> str:
    """What the file of a suite's records is called, in signs that no file system takes for anything else."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", suite)[:_LONGEST_PART].strip("-")
    return name or ("unnamed" if suite else SINGLE)


@contextmanager
def writing_to(board: Path) -> Iterator[None]:
    """Hold a folder of records against other writers; made where it is missing, removed again if it stays empty."""
    is_new = not board.exists()
    try:
        with only_process(board):
            yield
    finally:
        if is_new and board.is_dir() and [path.name for path in board.iterdir()] == [LOCK_FILE]:
            (board / LOCK_FILE).unlink()
            board.rmdir()


def refuse_repeats(there: Sequence[Admitted], new: Sequence[Admitted]) -> None:
    """Neither a record twice nor a second value of one cell, among those that are there and those that come."""
    by_content = {one.record.content_hash: one.place for one in there}
    by_cell = {cell_of(one.record): one for one in there}
    by_id: dict[str, str] = {}
    for one in there:
        require_own_id(one.record, by_id, one.place)
    for one in new:
        record = one.record
        if record.content_hash in by_content:
            raise UserError(f"{one.place}: is on the board already: {by_content[record.content_hash]}")
        require_own_id(record, by_id, one.place)
        twin = by_cell.get(cell_of(record))
        if twin is not None:
            same = "the same values" if twin.record.metrics == record.metrics else "other values"
            raise UserError(
                f"{one.place}: the same cell ({record.backbone.label}, {record.protocol.id}, seed {record.seed}) is "
                f"there with {same}: {twin.place}; a run repeated is no further seed"
            )
        by_content[record.content_hash] = one.place
        by_cell[cell_of(record)] = one


def cell_of(record: Record) -> tuple[object, ...]:
    """What two records of one cell of a table have in common."""
    return row_key(record), record.suite, record.size, record.protocol.hash, record.dataset.fingerprint, record.seed


def _named(path: Path) -> Path:
    """The place of the records that a person names; of a results folder the copies in ``records``."""
    path = place_named(path)
    if path.is_symlink():
        raise UserError(f"{path}: is a link; name the file itself")
    if not path.exists():
        raise UserError(f"{path}: no such record")
    if (path / EXPECTED_FILE).is_file() and (path / RECORDS_FOLDER).is_dir():
        return path / RECORDS_FOLDER
    return path


def _require_own(file: Path, board: Path) -> None:
    """Refuse to write through a link, or over what is no file of records."""
    for each in (file, shared_file(file)):
        if each.is_symlink():
            raise UserError(f"{each}: is a link, which leads out of {board}; remove it")
        if each.exists() and not each.is_file():
            raise UserError(f"{each}: is there and is no file of records; remove it")
    assert is_store(file.name)
