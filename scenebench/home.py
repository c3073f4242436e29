"""A home folder for users who have none: containers started with ``--user`` and without HOME.

Several libraries ask for the user's home (for a cache) or name while they are imported, and fail where there is none.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import tempfile
from pathlib import Path

_NAME = "scenebench"


def ensure_home() -> None:
    """Where no home folder or user name is known, give this process and its children a temporary and a made-up one.

    What is known stays as it is. The temporary home is removed when the process ends.
    """
    try:
        Path.home()
    except RuntimeError:
        home = tempfile.mkdtemp(prefix=f"{_NAME}-home-")
        atexit.register(_remove, home, os.getpid())
        os.environ["HOME"] = home
    if not _has_name():
        os.environ["LOGNAME"] = os.environ["USER"] = _NAME


def _has_name() -> bool:
    if any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return True
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def _remove(home: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child that ends first must not take it away
        shutil.rmtree(home, ignore_errors=True)
