"""Writes the record's JSON schema beside the code: ``python -m benchmarks.records.json_schema``."""

from __future__ import annotations

import json

from benchmarks.records.record import SCHEMA_FILE, SCHEMA_VERSION, Record
from scenebench.files import write_text


def schema_text() -> str:
    """The JSON schema of a record of this version, as it is committed."""
    schema = Record.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["properties"]["schema_version"]["const"] = SCHEMA_VERSION
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    write_text(SCHEMA_FILE, schema_text())
    print(SCHEMA_FILE)
