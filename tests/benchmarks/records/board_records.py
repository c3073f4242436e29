"""Records that this version's board takes: of its own protocols, by the suite smoke on its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made_up_records import make_record

from benchmarks.protocols.protocol import Protocol
from benchmarks.records.record import ProtocolPart, Record, write_record
from benchmarks.submission.comparable import known_fingerprints
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.plan_from_suite import resolve_columns

SUITE = load_suite("smoke")
SOURCE = scenes_source(SUITE.data)
PROTOCOLS: dict[str, Protocol] = {protocol.id: protocol for _, protocol in resolve_columns(SUITE, SOURCE)}


def board_record(
    label: str = "mine", protocol: str = "multilabel_knn", seed: int = 0, value: float = 31.0, **changes: Any
) -> Record:
    """An unsealed record; ``changes`` replace its values, those of ``dataset_part``, say, values in that part."""
    own = PROTOCOLS[protocol]
    record = make_record(label, protocol, seed, dict.fromkeys(own.metrics, value), suite=SUITE.name, size=SUITE.size)
    parts = {
        "protocol": ProtocolPart(
            id=own.id, version=own.version, task=own.task, hash=own.hash, resolved=own.resolved
        ).model_dump(),
        "dataset": {**record.dataset.model_dump(), "fingerprint": known_fingerprints()[SOURCE.identity]},
        "backbone": record.backbone.model_dump(),
    }
    for name, part in parts.items():
        parts[name] = {**part, **changes.pop(f"{name}_part", {})}
    return Record.model_validate({**record.model_dump(), **parts, **changes})


def sealed(path: Path, record: Record) -> Path:
    """Write ``record`` as ``path/record.json``; returns the file."""
    write_record(path / "record.json", record)
    return path / "record.json"
