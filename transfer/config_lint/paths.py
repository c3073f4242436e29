"""Paths that configurations name. They may be any text: too long, with a null byte, of a user that does not exist."""

from __future__ import annotations

from pathlib import Path


def is_file(path: Path | str) -> bool:
    """Whether there is such a file. Never raises."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path | str) -> bool:
    """Whether there is such a folder. Never raises."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def exists(path: Path | str) -> bool:
    """Whether there is anything of this name. Never raises."""
    return is_file(path) or is_folder(path)


def sibling(file: Path, name: str) -> Path:
    """What ``name`` means in ``file``: ``~`` is a home, a relative path is one from the file's folder."""
    try:
        return file.parent / Path(name).expanduser()
    except (RuntimeError, ValueError):  # no such user
        return file.parent / name


def resolved(path: Path) -> Path:
    """The file that a path leads to, through all links; for comparisons. Never raises."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def tidied(path: Path) -> Path:
    """``configs/voc/../base.yaml`` as ``configs/base.yaml``, where that is the same file."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in ("..", path.anchor):
            parts.pop()
        else:
            parts.append(part)
    plain = Path(*parts)
    try:
        return plain if plain.samefile(path) else path
    except (OSError, ValueError):
        return path
