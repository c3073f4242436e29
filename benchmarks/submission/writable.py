"""Working where only the results folder can be written: a read-only root, no home, a user without an entry in passwd.

Some libraries keep caches in the user's home (matplotlib, fontconfig, torch) or ask who the user is. Where there is no
writable home, one below the results folder takes its place, for this process and those that it starts.
"""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from scenebench.errors import UserError

PRIVATE = ".private"
"""Of a results folder: the home and the temporary files of a process that has no others; safe to delete."""
_NAME = "scenebench"
# Where programs look before they look into the home.
_FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR", "TORCH_HOME")


def require_writable(out: Path) -> None:
    """Stop at once where ``out`` is a file, or nothing can be written into it; nothing is made.

    Raises:
        UserError: naming the reason.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; choose a folder for --out")
    reason = _why_not(out.absolute())
    if reason:
        raise UserError(f"{out}: cannot write there ({reason}); choose another folder for --out")


def keep_inside(out: Path, environment: MutableMapping[str, str]) -> None:
    """Change ``environment`` so that nothing needs to be written outside of ``out``; what can be written is kept."""
    private = out / PRIVATE
    for name in _FOLDERS:
        if name in environment and not _can_write(Path(environment[name])):
            del environment[name]
    if not _can_write(Path(environment.get("HOME", ""))):
        environment["HOME"] = str(_made(private / "home"))
    if not _has_temporary_folder(environment):
        environment["TMPDIR"] = str(_made(private / "tmp"))
        tempfile.tempdir = None  # so that this process looks again
    if not _has_name() and not any(environment.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        environment["LOGNAME"] = environment["USER"] = _NAME


def _has_temporary_folder(environment: MutableMapping[str, str]) -> bool:
    places = [environment.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    return any(_can_write(Path(place)) for place in (*filter(None, places), "/tmp", "/var/tmp"))


def _has_name() -> bool:
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def _can_write(folder: Path) -> bool:
    return folder.is_absolute() and not _why_not(folder)


def _why_not(folder: Path) -> str:
    """Why no file can be made in ``folder``, or, where it is missing, in the nearest folder above; "" where one can."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return str(error.strerror or error)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()
