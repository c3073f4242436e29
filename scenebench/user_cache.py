"""The user's cache folder, for what saves time and may be lost: many have none, or one that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

_NAME = "scenebench"


def user_cache(name: str) -> Path | None:
    """``scenebench/NAME`` below ``XDG_CACHE_HOME`` or ``~/.cache``; None for a user without a home folder.

    Nothing is made, and whether it can be written is for the caller to find out.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / _NAME / name
    try:
        return Path.home() / ".cache" / _NAME / name
    except RuntimeError:
        return None
