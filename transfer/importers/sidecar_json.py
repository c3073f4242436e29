"""JSON settings that model hubs keep beside a weights file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing

_LARGEST = 2**20


def read_sidecar(weights: Path, name: str) -> dict[str, Any]:
    """The mapping in a JSON file beside ``weights``; empty where there is none, or some other file of that name."""
    path = weights.with_name(name)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def statistics(mean: Any, std: Any) -> Preprocessing | None:
    """Mean and standard deviation of RGB pixels on 0 to 1, as hubs write them; None where they are none."""
    try:
        (m1, m2, m3), (s1, s2, s3) = map(float, mean), map(float, std)
        return Preprocessing((m1, m2, m3), (s1, s2, s3))
    except (TypeError, ValueError, UserError):
        return None
