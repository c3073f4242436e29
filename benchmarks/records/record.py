"""The record: what one run measured, on what, with what. One JSON file a run, written once.

A record is checked when it is written and when it is read. It is refused by name when its content hash disagrees with
its content (damaged or edited by hand), when a recipe, protocol or suite in it is not the one that its hash names, or
when its schema version is not known. Records of earlier versions are migrated (:mod:`.versions`).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from benchmarks.records.versions import MIGRATIONS, content_hash_of, migrated
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import write_text

SCHEMA_VERSION = 2
SCHEMA_FILE = Path(__file__).with_name("record.schema.json")
"""The JSON schema of a record, generated from :class:`Record`: ``scenebench records schema``."""
TASKS = ("classification", "dense", "detection", "segmentation", "saliency")
Count = Annotated[int, Field(ge=0)]


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
    backbone, such as the scene-type oracle). ``images_seen``: in pretraining, all epochs together; 0 where unknown.
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
    images_seen: Count = 0
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


class JudgedPart(_Part):
    """What the metrics are of: test images, annotated objects in them (None: not counted), and runs averaged."""

    images: Count
    instances: Count | None = None
    runs: Annotated[int, Field(ge=1)] = 1


class EnvironmentPart(_Part):
    """Where it ran. ``accelerators``: how many were visible; ``cuda``: the version torch was built for; "": none."""

    packages: dict[str, str]
    python: str
    platform: str
    processor: str
    threads: int
    accelerator: str = ""
    accelerators: Count = 0
    cuda: str = ""
    git_commit: str = ""
    git_dirty: bool = False


class Record(_Part):
    """One run. ``metrics`` are percentages (0-100) or None where the metric is undefined (say, AP of no object).

    Attributes:
        suite, suite_hash, suite_resolved: the suite it belongs to, and every value that suite resolved to.
        judged: what the metrics are of; where it is not given, the test images of ``dataset``, one run.
        peak_memory_mb: largest resident memory in MB; ``peak_accelerator_memory_mb``: the accelerator's, None without.
        migrated_from: content hash of the file of an earlier schema version that this was read from.
    """

    schema_version: int = SCHEMA_VERSION
    suite: str = ""
    suite_hash: str = ""
    suite_resolved: dict[str, Any] = Field(default_factory=dict)
    size: str = ""
    seed: int
    protocol: ProtocolPart
    backbone: BackbonePart
    dataset: DatasetPart
    judged: JudgedPart = Field(default_factory=lambda known: JudgedPart(images=known["dataset"].test_images))
    metrics: dict[str, float | None]
    per_class: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    started: str
    wall_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    peak_memory_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    peak_accelerator_memory_mb: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    environment: EnvironmentPart
    migrated_from: str = ""
    content_hash: str = ""

    @field_validator("metrics")
    @classmethod
    def _no_nan(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        _require_finite(metrics, "metric")
        return metrics

    @field_validator("per_class")
    @classmethod
    def _no_nan_of_a_class(cls, per_class: dict[str, dict[str, float | None]]) -> dict[str, dict[str, float | None]]:
        for name, values in per_class.items():
            _require_finite(values, f"class {name}: metric")
        return per_class

    def computed_hash(self) -> str:
        """SHA-256 of the canonical JSON of everything but ``content_hash``."""
        return content_hash_of(self.model_dump(mode="json"))


def write_record(path: Path | str, record: Record) -> Record:
    """Check ``record``, seal it with its content hash and write it by rename; returns the sealed record.

    Raises:
        UserError: a value is not what the schema says, or a hash in it does not name what it stands beside.
    """
    content = record.model_dump(mode="json") | {"schema_version": SCHEMA_VERSION, "content_hash": ""}
    checked = _validated(content, path)
    sealed = checked.model_copy(update={"content_hash": checked.computed_hash()})
    write_text(path, json.dumps(sealed.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False) + "\n")
    return sealed


def read_record(path: Path | str) -> Record:
    """Read and check a record of one's own run; others' are admitted (:mod:`.admission`), which asks for more.

    One of an earlier schema version is migrated and sealed anew; the file stays.

    Raises:
        UserError: missing, not JSON, of an unknown schema version, malformed, or its content hash disagrees.
    """
    try:
        content = json.loads(Path(path).read_bytes().decode())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable record: {error}") from error
    return record_of(content, path)


def record_of(content: Any, place: Path | str) -> Record:
    """As :func:`read_record`, of JSON that was read already; ``place`` is for messages alone."""
    version = _schema_version(content, place)
    record = _validated(content, place) if version == SCHEMA_VERSION else None
    stored = content.get("content_hash")
    if stored != content_hash_of(content):
        raise UserError(f"{place}: its content hash disagrees with its content; it was damaged or edited by hand")
    if record is not None:
        return record
    record = _validated(migrated(content, SCHEMA_VERSION) | {"migrated_from": stored, "content_hash": ""}, place)
    return record.model_copy(update={"content_hash": record.computed_hash()})


def _schema_version(content: Any, path: Path | str) -> int:
    version = content.get("schema_version") if isinstance(content, dict) else None
    known = [*sorted(MIGRATIONS), SCHEMA_VERSION]
    if isinstance(version, bool) or not isinstance(version, int) or version not in known:
        remedy = (
            "install a later scenebench" if isinstance(version, int) and version > SCHEMA_VERSION else "run it again"
        )
        raise UserError(f"{path}: record schema {version}, this version reads {', '.join(map(str, known))}; {remedy}")
    return version


def _validated(content: dict[str, Any], path: Path | str) -> Record:
    try:
        record = Record.model_validate(content, strict=True)  # a text is no number
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: not a valid record: {place}: {first['msg']}") from error
    named = {
        "protocol.hash": (record.protocol.hash, record.protocol.resolved),
        "backbone.recipe_hash": (record.backbone.recipe_hash, record.backbone.recipe),
        "suite_hash": (record.suite_hash, record.suite_resolved),
    }
    for key, (digest, named_content) in named.items():
        if named_content and digest != config_hash(named_content):
            raise UserError(f"{path}: not a valid record: {key} '{digest}' does not name what stands beside it")
    return record


def _require_finite(values: dict[str, float | None], what: str) -> None:
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{what} {name} is {value}; an undefined metric is stored as null")
