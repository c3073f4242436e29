"""Whether a file of an export is as the export wrote it: its report keeps the hashes of all, and one of itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenebench.files import sha256_of

REPORT_ENDING = "_report.json"
_OF_FILES, _OF_ITSELF = "sha256", "sha256_of_this_report"


def sealed(report: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A report's content with the hashes of the files that it names (``files``, by role) in ``folder``."""
    files = [folder / name for name in report["files"].values()]
    content = {**report, _OF_FILES: {file.name: sha256_of(file) for file in files if file.is_file()}}
    return content | {_OF_ITSELF: _hash(content)}


def is_untouched(file: Path) -> bool:
    """Whether a report beside ``file`` (or in it) says that it was written by an export and is still the same."""
    if file.name.endswith(REPORT_ENDING):
        return _read(file) is not None
    reports = [_read(report) for report in sorted(file.parent.glob(f"*{REPORT_ENDING}"))]
    known = [report[_OF_FILES][file.name] for report in reports if report and file.name in report[_OF_FILES]]
    return bool(known) and sha256_of(file) in known


def _read(report: Path) -> dict[str, Any] | None:
    """The content of a report that nobody changed, else None."""
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get(_OF_FILES), dict):
        return None
    own = content.pop(_OF_ITSELF, None)
    return content if own == _hash(content) else None


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
