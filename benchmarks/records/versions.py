"""Earlier versions of the record's schema: one pure function a version, each to the next.

Nothing is guessed: what an earlier version did not store becomes the schema's word for "unknown".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

Content = dict[str, Any]


def content_hash_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a record but for its ``content_hash``; the same in every schema version."""
    hashed = {key: value for key, value in content.items() if key != "content_hash"}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def from_version_1(content: Content) -> Content:
    """Version 2 says of what the metrics are, which suite in full, images seen, and more of the accelerator.

    Of these version 1 knew the number of test images alone; a run was always one run.
    """
    dataset = content.get("dataset")
    images = dataset.get("test_images") if isinstance(dataset, dict) else None
    return {**content, "schema_version": 2, "judged": {"images": images, "instances": None, "runs": 1}}


MIGRATIONS: dict[int, Callable[[Content], Content]] = {1: from_version_1}
"""By the version that they migrate from, to the next one."""


def migrated(content: Content, version: int) -> Content:
    """``content`` of an earlier schema version as one of ``version``; what was given is left as it is."""
    while content["schema_version"] != version:
        content = MIGRATIONS[content["schema_version"]](content)
    return content
