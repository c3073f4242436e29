"""Outputs that are there and are no good: found cheaply, and set aside, so that the next call makes them again."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from benchmarks.workflow.plan import Job
from scenebench.errors import UserError

DAMAGED = ".damaged"


def set_aside(job: Job, out: Path) -> list[str]:
    """Rename every damaged output of ``job`` to ``<name>.damaged``; returns what is wrong, a line each."""
    reasons = []
    for output in job.outputs:
        path = out / output
        reason = damage_of(path) if path.is_file() else ""
        if reason:
            path.replace(path.with_name(path.name + DAMAGED))
            reasons.append(f"{output}: {reason} (kept as {path.name}{DAMAGED})")
    return reasons


def damage_of(path: Path) -> str:
    """What is wrong with a file, by the rules for its name; "" where nothing is, or where the name says nothing.

    A record of another schema version is not damaged: whether it can be read is for the tables to say.
    """
    if path.name == "record.json":
        return _damage_of_record(path)
    if path.suffix == ".safetensors":
        return _damage_of_safetensors(path)
    if path.suffix == ".json":
        return "" if _json(path) is not None else "is not JSON"
    return ""


def _damage_of_record(path: Path) -> str:
    content = _json(path)
    if not isinstance(content, dict) or "schema_version" not in content:
        return "is not a record"
    from benchmarks.records.record import SCHEMA_VERSION, read_record  # pydantic: only where there is something to read

    if content["schema_version"] != SCHEMA_VERSION:
        return ""
    try:
        read_record(path)
    except UserError as error:
        return str(error).removeprefix(f"{path}: ")
    return ""


def _damage_of_safetensors(path: Path) -> str:
    """8 bytes of length, a JSON header, then exactly the tensors that it lists."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            return "is not a safetensors file, or was cut short"
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "has no readable header"
    return "" if 8 + length + max(ends, default=0) == size else "was cut short"


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
