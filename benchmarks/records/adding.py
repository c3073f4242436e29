"""``scenebench leaderboard add``: records from outside into a board's folder, checked, all of them or none.

A record is somebody else's file. It is read as JSON and nothing else, its size is bounded, links are not followed, and
where it goes is made from its values letter by letter, so that no name in it can lead out of the folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from benchmarks.outside.comparable import Admission
from benchmarks.records.collect import EXPECTED_FILE, RECORD_FILE, row_key
from benchmarks.records.record import Record, read_record
from scenebench.errors import UserError
from scenebench.files import write_text

DEFAULT_BOARD = Path("results/records")
MOST_BYTES = 4 * 1024 * 1024
"""Of one record; those of the largest suites have some tens of kilobytes."""
SINGLE = "single"
"""Folder of records that belong to no suite."""
_LONGEST_PART = 60


@dataclass(frozen=True)
class Added:
    """A record and the file that it became."""

    source: Path
    file: Path
    record: Record


def add_records(names: Sequence[Path | str], board: Path | str = DEFAULT_BOARD, own_data: bool = False) -> list[Added]:
    """Check the records and copy them into ``board``; the files given stay as they are.

    Args:
        names: record files, or folders with files named ``record.json``.
        own_data: take records of other data than their suite's, for a board of one's own images.

    Raises:
        UserError: naming the file and what is wrong with it: unreadable, too large, a link, another schema version, a
            content hash that disagrees, a protocol, suite or data that is not this version's, already there, or
            another value of a cell that is there. Nothing is added then.
    """
    board = Path(board)
    if board.exists() and not board.is_dir():
        raise UserError(f"{board}: is a file; --to names a folder of records")
    sources = [path for name in names for path in _files(Path(name))]
    if not sources:
        raise UserError(f"{', '.join(map(str, names))}: no file named {RECORD_FILE} in it")
    read = [(source, _read(source)) for source in sources]
    with _locked(board):
        there = [(path, read_record(path)) for path in sorted(board.rglob(RECORD_FILE))]
        admission = Admission([record for _, record in there], own_data)
        for source, record in read:
            admission.check(record, str(source))
        _refuse_repeats(there, read)
        added = [Added(source, board / place_of(record) / RECORD_FILE, record) for source, record in read]
        _move_in(added, board)
    return added


def place_of(record: Record) -> str:
    """The record's folder below a board's: ``SUITE/LABEL-sSEED-PROTOCOL-HASH``, every part by :func:`_part`."""
    cell = f"{_part(record.backbone.label)}-s{_part(str(record.seed))}-{_part(record.protocol.id)}"
    return f"{_part(record.suite) if record.suite else SINGLE}/{cell}-{record.content_hash[:8]}"


def _part(text: str) -> str:
    """``text`` as a part of a path that no file system takes for anything else."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text)[:_LONGEST_PART].strip("-.") or "unnamed"


def _files(path: Path) -> list[Path]:
    """The record file itself, or those below a folder; of a results folder the copies in ``records``."""
    if path.is_symlink():
        raise UserError(f"{path}: is a link; name the file itself")
    if not path.exists():
        raise UserError(f"{path}: no such record")
    if not path.is_dir():
        return [path]
    if (path / EXPECTED_FILE).is_file() and (path / "records").is_dir():
        path = path / "records"
    found = [Path(parent) / RECORD_FILE for parent, _, names in os.walk(path) if RECORD_FILE in names]
    for file in found:
        if file.is_symlink():
            raise UserError(f"{file}: is a link; name the file itself")
    return sorted(found)


def _read(path: Path) -> Record:
    if not path.is_file():
        raise UserError(f"{path}: is no ordinary file")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{path}: {size} bytes; a record of more than {MOST_BYTES} is not taken")
    try:
        json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable record: {error}") from error
    return read_record(path)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse_repeats(there: Sequence[tuple[Path, Record]], new: Sequence[tuple[Path, Record]]) -> None:
    """Neither a record twice nor a second value of one cell, among those that are there and those that come."""
    by_content = {record.content_hash: path for path, record in there}
    by_cell = {_cell(record): (path, record) for path, record in there}
    for path, record in new:
        if record.content_hash in by_content:
            raise UserError(f"{path}: is on the board already: {by_content[record.content_hash]}")
        twin = by_cell.get(_cell(record))
        if twin is not None:
            same = "the same values" if twin[1].metrics == record.metrics else "other values"
            raise UserError(
                f"{path}: the same cell ({record.backbone.label}, {record.protocol.id}, seed {record.seed}) is there "
                f"with {same}: {twin[0]}; a run repeated is no further seed"
            )
        by_content[record.content_hash] = path
        by_cell[_cell(record)] = (path, record)


def _cell(record: Record) -> tuple[object, ...]:
    return row_key(record), record.suite, record.size, record.protocol.hash, record.dataset.fingerprint, record.seed


@contextmanager
def _locked(board: Path) -> Iterator[None]:
    """Hold the board's folder against other additions; made where it is missing, removed again if it stays empty."""
    is_new = not board.exists()
    try:
        board.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(board, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{board}: cannot write there ({error.strerror}); choose another folder by --to") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
        if is_new and not any(board.iterdir()):
            board.rmdir()


def _move_in(added: Sequence[Added], board: Path) -> None:
    """Stage every copy beside the board, check it there, then rename; what was moved is taken back on any failure."""
    root = board.resolve()
    staging = root.with_name(f".{root.name}.{os.getpid()}.part")
    moved: list[Path] = []
    try:
        staging.mkdir()
        for number, one in enumerate(added):
            copy = staging / str(number) / RECORD_FILE
            write_text(copy, one.source.read_text(encoding="utf-8"))
            if read_record(copy).content_hash != one.record.content_hash:
                raise UserError(f"{one.source}: changed while it was read")
        for number, one in enumerate(added):
            target = one.file.parent
            target.parent.mkdir(exist_ok=True)
            if not target.parent.resolve().is_relative_to(root) or target.parent.is_symlink():
                raise UserError(f"{target.parent}: leads out of {board}; remove the link")
            if target.exists() or target.is_symlink():
                raise UserError(f"{target}: is there and holds no record; remove it")
            (staging / str(number)).rename(target)
            moved.append(target)
    except BaseException as error:
        for target in moved:
            shutil.rmtree(target)
        for folder in {one.file.parent.parent for one in added}:
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()
        if isinstance(error, OSError):
            raise UserError(f"cannot write {board}: {error.strerror or error}; choose another folder") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
