"""What earlier checks saw, so that a file that was not touched is never read again.

A file is known by its path, size and time of the last change in nanoseconds; a whole report by the same of every file.
The cache is plain JSON; whatever is wrong with it, it is only forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.datasets.checking.findings import Report
from benchmarks.datasets.checking.inspect import BYTES, Content
from benchmarks.datasets.tree import Stamp
from scenebench.errors import UserError
from scenebench.files import write_text
from scenebench.user_cache import user_cache

VERSION = 2
"""Rises when a check would see something else in the same files."""


def choose_folder(asked: Path | None, name: str, root: Path, say: Callable[[str], None]) -> Path:
    """The folder of the cache and the report of a root, made and writable, before any work is done for it.

    It lies below the user's cache folder, for data folders are often read-only; where there is none, or none that can
    be written, in a temporary folder, which is said.

    Args:
        asked: what the user chose; None: nothing.

    Raises:
        UserError: ``asked`` cannot be made or written.
    """
    if asked is not None:
        why = _why_not_writable(asked)
        if why:
            raise UserError(f"{asked}: {why}; choose another with --cache")
        return asked
    base = user_cache("checks")
    if base is None:
        why = "there is no home folder for the cache"
    else:
        place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]
        folder = base / f"{name}-{place}"
        why = _why_not_writable(folder)
        if not why:
            return folder
        why = f"{folder}: {why}"
    temporary = Path(tempfile.mkdtemp(prefix="scenebench-check-"))
    say(f"{why}; this check keeps its cache and report in {temporary} (name a folder with --cache)")
    return temporary


def _why_not_writable(folder: Path) -> str:
    """Make a folder; why that or writing into it is impossible, "" where both are possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    return "" if os.access(folder, os.W_OK) else "cannot be written"


class ContentCache:
    """The contents seen in the files of one root."""

    def __init__(self, folder: Path, forget: bool = False) -> None:
        self.path = folder / "files.json"
        self._entries: dict[str, list[Any]] = {} if forget else _read(self.path).get("files", {})
        self._changed = False

    def find(self, relative: str, stamp: Stamp, kind: str, quick: bool) -> Content | None:
        """What was seen in this file as it stands, at least as thoroughly as asked."""
        entry = self._entries.get(relative)
        if not isinstance(entry, list) or len(entry) != 10 or tuple(entry[:2]) != stamp:
            return None
        _, _, seen_kind, seen_quick, width, height, md5, error, values, sideways = entry
        if (seen_quick and not quick) or (kind != seen_kind and kind != BYTES) or (kind == BYTES and not md5):
            return None
        return Content(seen_kind, seen_quick, width, height, md5, error, tuple(values), sideways)

    def keep(self, relative: str, stamp: Stamp, content: Content) -> None:
        """Remember what was seen."""
        values = list(content.values)
        facts = [content.kind, content.quick, content.width, content.height, content.md5, content.error, values]
        self._entries[relative] = [*stamp, *facts, content.sideways]
        self._changed = True

    def write(self) -> None:
        """Write the cache by rename, where it changed."""
        if self._changed:
            write_text(self.path, json.dumps({"version": VERSION, "files": self._entries}, separators=(",", ":")))
            self._changed = False


def find_report(folder: Path, key: str) -> Report | None:
    """The report that was written under this key, if it is the last one."""
    content = _read(folder / "report.json")
    if content.get("key") != key:
        return None
    try:
        return Report.from_plain(content["report"])
    except (KeyError, TypeError):
        return None


def write_report(folder: Path, key: str, report: Report) -> Path:
    """Write the report as JSON and as text, by rename; returns the JSON file."""
    path = folder / "report.json"
    content = {"version": VERSION, "key": key, "report": report.to_plain()}
    write_text(folder / "report.txt", "\n".join(report.lines()) + "\n")
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and content.get("version") == VERSION else {}
