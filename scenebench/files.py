"""Writing files so that nothing half-written is left under its final name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scenebench.errors import UserError


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name in the folder of ``path``; rename it to ``path`` on success, remove it on failure.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text by rename."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def replace_all(texts: Mapping[Path, str]) -> None:
    """Write several files of UTF-8 text: all of them, or all are as they were.

    Raises:
        UserError: a folder cannot be written or the disk is full.
    """
    moved: list[tuple[Path, Path | None]] = []
    with ExitStack() as stack:
        try:
            staged = [(_staged(path, text, stack), path) for path, text in texts.items()]
            for temporary, path in staged:
                before = temporary.with_suffix(".before") if path.exists() else None
                if before is not None:
                    stack.callback(before.unlink, missing_ok=True)
                    os.link(path, before)
                moved.append((path, before))
                temporary.replace(path)
        except BaseException as error:
            for path, before in reversed(moved):
                if before is None:
                    path.unlink(missing_ok=True)
                else:
                    before.replace(path)
            if isinstance(error, OSError):
                raise UserError(f"cannot write {error.filename or ''}: {error.strerror or error}") from error
            raise


def _staged(path: Path, text: str, stack: ExitStack) -> Path:
    """The text beside ``path``, on the disk, under a name that is removed when the stack ends."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    stack.callback(temporary.unlink, missing_ok=True)
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def sha256_of(path: Path | str) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
