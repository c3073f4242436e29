"""The record's JSON schema (``scenebench records schema``), committed as ``record.schema.json``."""

from __future__ import annotations

import json

from benchmarks.records.record import SCHEMA_VERSION, Record


def schema_text() -> str:
    """The JSON schema of a record of this version, as it is committed."""
    schema = Record.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"]["schema_version"]["const"] = SCHEMA_VERSION
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
