"""What is admitted as a record: the one rule for files that others wrote, whoever reads them.

The leaderboard, ``leaderboard add``, tables and ``compare`` all ask here. Beyond what every reader of records checks
(:mod:`.record`: schema, hashes, finite metrics) a record must be a plain file inside the folder that was named, of a
sane size and depth, JSON in the strict sense with numbers that a computer holds, and of no more metrics than a table
can show, each of a percentage's size.
"""

from __future__ import annotations

import json
import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from benchmarks.records.record import Record, record_of
from scenebench.errors import UserError
from scenebench.untrusted_text import clip, visible

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
MAX_METRICS = 100
MAX_METRIC = 10_000.0
"""A mean corruption error may exceed 100 %, but not by this much."""
MAX_INTEGER = 2**63 - 1
ID_DIGITS = 16
_LONGEST_REASON = 600


@dataclass(frozen=True)
class Refused:
    """A record that is not admitted: the file (of several records: and line), and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def refused_by(error: UserError, place: str) -> Refused:
    """What an error says of the record at ``place``, in one line without invisible signs."""
    reason = " ".join(str(error).removeprefix(f"{place}: ").split())
    return Refused(visible(place), clip(visible(reason), _LONGEST_REASON))


def admit(content: Any, place: Path | str) -> Record:
    """The record that ``content``, JSON read by :func:`strict_json`, holds.

    Raises:
        UserError: it is none of a known schema version, a hash disagrees, or its metrics are no percentages.
    """
    record = record_of(content, place)
    if len(record.metrics) > MAX_METRICS:
        raise UserError(f"{place}: {len(record.metrics)} metrics, a record has {MAX_METRICS} at most")
    for name, value in record.metrics.items():
        if value is not None and abs(value) > MAX_METRIC:
            raise UserError(f"{place}: metric {name[:80]} is {value:g}; metrics are percentages")
    return record


def require_own_id(record: Record, by_id: dict[str, str], place: Path | str) -> None:
    """Refuse a record whose page would have the name of another's; notes it in ``by_id``.

    Args:
        by_id: first digits of the content hashes so far -> content hash.
    """
    other = by_id.setdefault(record.content_hash[:ID_DIGITS], record.content_hash)
    if other != record.content_hash:
        raise UserError(f"{place}: shares its first {ID_DIGITS} digits with record {other}; remove one")


def strict_json(text: bytes, place: Path | str, max_depth: int = MAX_DEPTH) -> Any:
    """What ``text`` says.

    Raises:
        UserError: nested too deeply, not JSON, not Unicode, a key twice in one object, NaN, or a number beyond a
            double or 64 bits.
    """
    require_depth(text, place, max_depth)
    try:
        content = json.loads(
            text.decode(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
        if _SURROGATE.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: not a readable record: half a sign (a lone surrogate) is no Unicode text") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not a readable record: {error}") from error
    return content


def require_size(size: int, place: Path | str) -> None:
    """Refuse what is larger than a record."""
    if size > MAX_BYTES:
        raise UserError(
            f"{place}: {size:,} bytes, a record has {MAX_BYTES:,} at most and a larger one is not taken; "
            "shorten its notes"
        )


def require_depth(text: bytes, place: Path | str, max_depth: int = MAX_DEPTH) -> None:
    """Refuse JSON whose brackets are nested too deeply, before anything parses it."""
    # Looking closely costs as much as parsing: only what might be refused is.
    if text.count(b"[") + text.count(b"{") > max_depth and _depth(text) > max_depth:
        raise UserError(f"{place}: not a readable record: nested more than {max_depth} levels deep")


def open_plain(path: Path, folder: Path) -> BinaryIO:
    """Open a plain file; a link may lead to another place in ``folder``, and nowhere else.

    Raises:
        UserError: a link out of the folder, a device or pipe, or one that cannot be read.
    """
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise UserError(f"{path}: is a link that leads out of {folder}; copy the record there instead")
            kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            raise UserError(f"{path}: is not a plain file")
        return open(path, "rb")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise UserError(f"{path}: not a readable record: {error}") from error


def read_plain_file(path: Path, folder: Path) -> bytes:
    """The bytes of a record's file (:func:`open_plain`), no more than a record may have."""
    with open_plain(path, folder) as file:
        try:
            text = file.read(MAX_BYTES + 1)
            require_size(len(text) if len(text) <= MAX_BYTES else path.stat().st_size, path)
        except OSError as error:
            raise UserError(f"{path}: not a readable record: {error}") from error
    return text


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON; an undefined value is stored as null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is larger than any number that a computer holds")
    return value


def _integer(text: str) -> int:
    value = int(text) if len(text) < 40 else MAX_INTEGER + 1
    if abs(value) > MAX_INTEGER:
        raise ValueError(f"{text[:40]} is larger than any number that a computer holds")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key '{twice[:80]}' stands twice in one object")
    return found


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
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
