"""The record: what one run measured, on what, with what. One JSON file a run, written once.

A record is refused on reading when its content hash disagrees with its content (damaged or edited by hand) or when it
was written under another schema version.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from scenebench.errors import UserError
from scenebench.files import write_text

SCHEMA_VERSION = 1
TASKS = ("classification", "detection", "segmentation")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProtocolPart(_Part):
    """The protocol that judged: its id and version, and every value it resolved to."""

    id: str
    version: int
    task: str
    hash: str
    resolved: dict[str, Any]


class BackbonePart(_Part):
    """The weights that were judged.

    ``label`` names the row of a table; ``origin`` is ``own``, ``imported`` or ``reference`` (a row that judges no
    backbone, such as the scene-type oracle).
    """

    label: str
    method: str
    origin: str
    architecture: str
    sha256: str
    recipe_name: str = ""
    recipe_hash: str = ""
    recipe: dict[str, Any] = Field(default_factory=dict)
    dataset: str = ""
    dataset_fingerprint: str = ""
    epochs: int = 0
    seed: int = 0


class DatasetPart(_Part):
    """The data it was judged on."""

    name: str
    fingerprint: str
    train_split: str
    test_split: str
    train_images: int
    test_images: int
    categories: int


class EnvironmentPart(_Part):
    """Where it ran."""

    packages: dict[str, str]
    python: str
    platform: str
    processor: str
    threads: int
    accelerator: str = ""
    git_commit: str = ""
    git_dirty: bool = False


class Record(_Part):
    """One run. ``metrics`` are percentages (0-100) or None where the metric is undefined (say, AP of no object)."""

    schema_version: int = SCHEMA_VERSION
    suite: str = ""
    size: str = ""
    seed: int
    protocol: ProtocolPart
    backbone: BackbonePart
    dataset: DatasetPart
    metrics: dict[str, float | None]
    per_class: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    started: str
    wall_seconds: float
    peak_memory_mb: float
    environment: EnvironmentPart
    content_hash: str = ""

    @field_validator("metrics")
    @classmethod
    def _no_nan(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        for name, value in metrics.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"metric {name} is {value}; an undefined metric is stored as null")
        return metrics

    def computed_hash(self) -> str:
        """SHA-256 of the canonical JSON of everything but ``content_hash``."""
        content = self.model_dump(mode="json", exclude={"content_hash"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_record(path: Path | str, record: Record) -> Record:
    """Seal ``record`` with its content hash and write it by rename; returns the sealed record."""
    sealed = record.model_copy(update={"content_hash": record.computed_hash()})
    write_text(path, json.dumps(sealed.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")
    return sealed


def read_record(path: Path | str) -> Record:
    """Read and check one record.

    Raises:
        UserError: missing, not JSON, of another schema version, malformed, or its content hash disagrees.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not a readable record: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(f"{path}: record schema {version}, this version reads {SCHEMA_VERSION}")
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: not a valid record: {place}: {first['msg']}") from error
    if record.content_hash != record.computed_hash():
        raise UserError(f"{path}: its content hash disagrees with its content; it was damaged or edited by hand")
    return record
