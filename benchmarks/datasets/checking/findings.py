"""What a check found, and its report."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = {
    "missing": "an annotation names a file that is not there",
    "unlisted": "a file that no annotation names",
    "list": "an annotation that cannot be read, or contradicts itself",
    "label": "a label out of range, unknown or contradicted",
    "box": "a box without area or outside its image",
    "mask": "a mask of wrong size or with values that are no labels",
    "size": "an image of another size than its annotation says",
    "decode": "a file that does not decode",
    "counts": "a number that differs from the published one",
    "duplicate": "the same image in two splits",
    "checksum": "bytes that differ from a published checksum",
}
_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """One fault; ``path`` is relative to the root."""

    kind: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path not in ("", ".") else self.message


@dataclass
class Report:
    """The outcome of one check.

    Attributes:
        name: of the data set. root: the folder. depth: ``full`` or ``quick``.
        digest: over the paths, sizes and times of all files.
        files: number of files below the root. inspected: images and maps that the annotations name.
        images, objects: found, by split. classes: found.
        findings: what is wrong. notes: what is unusual but known or accepted, in words.
    """

    name: str
    root: str
    depth: str
    digest: str
    files: int = 0
    inspected: int = 0
    images: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    classes: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 where nothing was found, else 1."""
        return 1 if self.findings else 0

    def to_plain(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return dataclasses.asdict(self) | {"exit_code": self.exit_code}

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> Report:
        """The way back."""
        fields = {key: value for key, value in content.items() if key != "exit_code"}
        fields["findings"] = [Finding(**finding) for finding in fields["findings"]]
        return cls(**fields)

    def lines(self) -> list[str]:
        """The report for people: counts, then the first findings of each kind."""
        lines = [f"{self.name} in {self.root} ({self.depth} check)"]
        lines.append(f"  {self.files} files; {self.inspected} images and maps inspected; {self.classes} classes")
        for split, count in self.images.items():
            objects = f", {self.objects[split]} objects" if self.objects.get(split) else ""
            lines.append(f"  {split}: {count} images{objects}")
        lines += [f"  note: {note}" for note in self.notes]
        counts = Counter(finding.kind for finding in self.findings)
        for kind in [*KINDS, *(set(counts) - set(KINDS))]:
            found = [finding for finding in self.findings if finding.kind == kind]
            if found:
                lines.append(f"{kind}: {len(found)} ({KINDS.get(kind, kind)})")
                lines += [f"  {finding}" for finding in found[:_SHOWN]]
                lines += [f"  ... and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        lines.append(f"{sum(counts.values())} faults" if self.findings else "no faults")
        return lines


def is_report(path: Path) -> bool:
    """Whether a file is the report of an earlier check, as ``--report`` writes it."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"digest", "findings", "notes", "exit_code"} <= content.keys()
