"""Images in a tar: only the headers are read at the start, and nothing is unpacked."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pretrain.data.sources.image_file import (
    IMAGE_SUFFIXES,
    TarArchive,
    TarMember,
    is_image_name,
)
from scenebench.errors import UserError

COMPRESSED_SUFFIXES = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".lz4", ".zip", ".7z")
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")  # gzip, bzip2, xz, zstd, zip
_BLOCK = 512
_CHUNK = 1 << 20


def list_tar(path: Path) -> list[TarMember]:
    """The images of an uncompressed tar, sorted by path; hidden files and files of other kinds are left out.

    The order is that of the folder it was packed from, so that a run on either sees the same samples.

    Raises:
        UserError: compressed, damaged or truncated; or an absolute path, a path with ``..``, a link, a name that comes
            twice, or no image in it.
    """
    archive = TarArchive.at(path)
    images: dict[str, TarMember] = {}
    for member in _members(path):
        name = _safe_path(path, member.name)
        if member.isdir() or any(part.startswith(".") for part in name.parts):
            continue
        if not member.isreg() or member.issparse():
            raise UserError(f"{path}: {member.name} is a link or no plain file; pack with tar --dereference -cf")
        if not is_image_name(name.name):
            continue
        key = name.as_posix()
        if key in images:
            raise UserError(f"{path}: {key} is there twice; pack it anew")
        images[key] = TarMember(archive, key, member.offset_data, member.size)
    if not images:
        raise UserError(f"data.root: no image in {path} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(images.values(), key=lambda image: image.path.split("/"))


def refuse_compressed_name(path: Path) -> None:
    """Raise UserError for the usual names of compressed archives."""
    if path.suffix.lower() in COMPRESSED_SUFFIXES:
        raise _compressed(path)


def _compressed(path: Path) -> UserError:
    return UserError(f"data.root: {path} is compressed; give an uncompressed .tar (its images are read one by one)")


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                yield member
                tar.members = []  # type: ignore[attr-defined] # else it keeps a record of every member
            end = tar.offset
    except (tarfile.TarError, EOFError, ValueError) as error:
        with open(path, "rb") as file:
            if file.read(6).startswith(_MAGIC):
                raise _compressed(path) from error
        raise UserError(f"{path}: not a whole tar ({error}); pack it anew") from error
    _require_end(path, end)


def _require_end(path: Path, end: int) -> None:
    """After the last header that could be read there must be zeros, as every tar ends, and nothing else.

    ``tarfile`` stops without a word where a tar was cut between two members, where a later header is damaged, and where
    another tar was appended: images would be missing, silently.
    """
    with open(path, "rb") as file:
        file.seek(end)
        chunk = file.read(_CHUNK)
        if len(chunk) < _BLOCK:
            raise UserError(f"{path}: not a whole tar (it ends without its end mark); pack it anew")
        while chunk:
            if chunk.strip(b"\0"):
                raise UserError(f"{path}: damaged, or another tar is appended, at byte {end}; pack it anew")
            chunk = file.read(_CHUNK)


def _safe_path(tar: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{tar}: {name} points out of the tar; pack it anew with relative paths")
    return path
