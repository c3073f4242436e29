"""What a leaderboard refuses: records are files from anywhere, and a page must not be broken by one of them.

A refused record is an error that names its file; nothing is written then. Beyond what every reader of records checks
(:mod:`benchmarks.records.record`: schema, hashes, finite metrics) a record must be a plain file inside the folder, of a sane
size, depth and number of metrics, valid JSON in the strict sense, and its metrics must be of a percentage's size.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NoReturn, TypeVar

from benchmarks.records.collect import EXPECTED_FILE, Results, collect, record_paths
from benchmarks.records.record import Record, parse_checked_record, parse_record
from scenebench.children import LEAST, in_children, shared_out
from scenebench.errors import UserError

_T = TypeVar("_T")

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
MAX_METRICS = 100
MAX_METRIC = 10_000.0
"""A mean corruption error may exceed 100 %, but not by this much."""
ID_DIGITS = 16
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def collect_for_leaderboard(folder: Path | str, then: Callable[[Results], _T]) -> _T:
    """``then`` of what :func:`.results.collect` finds, with every file and every record checked.

    Args:
        then: of many records it is made while another process still checks them, and its result is only returned where
            none is refused. It may therefore write nothing.

    Raises:
        UserError: a record is refused; it names the file.
    """
    folder = Path(folder)

    def read(path: Path, parse: Callable[[bytes, Path], Record] = parse_record) -> Record:
        return parse(read_sane_file(path, folder), path)

    def collected(reader: Callable[[Path], Record]) -> Results:
        results = collect(folder, reader)
        for record in results.records:
            require_sane_record(record, results.files[record.content_hash])
        require_distinct_ids([record.content_hash for record in results.records])
        return results

    def unchecked() -> _T:
        return then(collected(partial(read, parse=parse_checked_record)))

    if _are_many(folder):
        # To check takes as long as to read and to set into tables; another process does that, and may refuse.
        return in_children([partial(collected, read)], unchecked)
    return then(collected(read))


def _are_many(folder: Path) -> bool:
    """Whether reading is worth a further process; looks no further than it must."""
    if not folder.is_dir() or (folder / EXPECTED_FILE).is_file():
        return False
    return shared_out(sum(1 for _ in islice(record_paths(folder), 2 * LEAST))) > 1


def read_sane_file(path: Path, folder: Path) -> bytes:
    """What the file holds.

    Raises:
        UserError: a link out of the folder, no plain file, too large, too deep, not strictly JSON in Unicode, or
            one that cannot be read.
    """
    try:
        content = _read_plain_file(path, folder)
    except OSError as error:
        raise UserError(f"{path}: not a readable record: {error}") from error
    # Each of these costs as much as reading the record, so only what might be refused is looked at closely.
    if b"NaN" in content or b"Infinity" in content or (b"\\u" in content and _SURROGATE.search(content)):
        _require_strict(content, path)
    if content.count(b"[") + content.count(b"{") > MAX_DEPTH and _depth(content) > MAX_DEPTH:
        raise UserError(f"{path}: nested more than {MAX_DEPTH} levels deep")
    return content


def _read_plain_file(path: Path, folder: Path) -> bytes:
    kind = path.lstat().st_mode
    if stat.S_ISLNK(kind):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{path}: a link that leads out of {folder}; copy the record there instead")
        kind = path.stat().st_mode
    if not stat.S_ISREG(kind):
        raise UserError(f"{path}: not a plain file")
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        size = path.stat().st_size
        raise UserError(f"{path}: {size:,} bytes, a record has {MAX_BYTES:,} at most; shorten its notes")
    return content


def require_sane_record(record: Record, path: Path) -> None:
    """Refuse more metrics than a table can show, and values that no percentage has."""
    if len(record.metrics) > MAX_METRICS:
        raise UserError(f"{path}: {len(record.metrics)} metrics, a record has {MAX_METRICS} at most")
    for name, value in record.metrics.items():
        if value is not None and abs(value) > MAX_METRIC:
            raise UserError(f"{path}: metric {name[:80]} is {value:g}; metrics are percentages")


def require_distinct_ids(hashes: Sequence[str]) -> None:
    """Refuse two records whose pages would have one name."""
    seen: dict[str, str] = {}
    for content_hash in hashes:
        other = seen.setdefault(content_hash[:ID_DIGITS], content_hash)
        if other != content_hash:
            raise UserError(f"records {other} and {content_hash} share their first {ID_DIGITS} digits; remove one")


def _require_strict(content: bytes, path: Path) -> None:
    def refuse(constant: str) -> NoReturn:
        raise UserError(f"{path}: {constant} is no JSON; an undefined value is stored as null")

    try:
        parsed = json.loads(content, parse_constant=refuse)
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise UserError(f"{path}: holds half a sign (a lone surrogate), which is no Unicode text") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable record: {error}") from error


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


def _depth(content: bytes) -> int:
    """Deepest nesting of brackets outside of strings."""
    depth = deepest = 0
    for token in _TOKENS.findall(content):
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest
