"""Which images a backbone has seen, in a name and a fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A name for people and a fingerprint for comparisons."""

    name: str
    fingerprint: str


def describe_source(images: list[Path]) -> Source:
    """What a prepared data set says of itself, else the common folder's name and a hash of names and sizes.

    Args:
        images: sorted, at least one.
    """
    folder = Path(os.path.commonpath([path.parent.absolute() for path in images]))
    for root in (folder, *folder.parents[:2]):  # ROOT, ROOT/images or ROOT/images/train
        described = _read_description(root / "dataset.json")
        if described is not None:
            part = "" if root == folder else f"/{folder.relative_to(root).as_posix().removeprefix('images/')}"
            return Source(f"{described.name}{part}", described.fingerprint)
    digest = hashlib.sha256()
    for path in images:
        digest.update(f"{path.absolute().relative_to(folder).as_posix()}\0{path.stat().st_size}\n".encode())
    return Source(folder.name, digest.hexdigest()[:16])


def _read_description(path: Path) -> Source | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Source(str(content["name"]), str(content["fingerprint"]))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None  # some other dataset.json
