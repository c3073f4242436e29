"""Images in a tar: only the headers are read at the start, and nothing is unpacked."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pretrain.data.sources.found import Found, LeftOut, require_some
from pretrain.data.sources.image_file import (
    IMAGE_SUFFIXES,
    TarArchive,
    TarMember,
    is_image_content,
    is_image_name,
    read_image_file,
    suffix_of,
)
from pretrain.data.sources.own_outputs import (
    DESCRIPTION,
    IMAGES,
    MARKING_NAMES,
    PREPARED_SET,
    RUN_FOLDER,
    WRITTEN_BY_A_RUN,
    kind_of_output,
)
from scenebench.errors import UserError

COMPRESSED_SUFFIXES = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".lz4", ".zip", ".7z")
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")  # gzip, bzip2, xz, zstd, zip
_BLOCK = 512
_CHUNK = 1 << 20


def search_tar(path: Path) -> Found:
    """The images of an uncompressed tar, sorted by path; what is left out is what is left out of a folder.

    The order is that of the folder it was packed from, so that a run on either sees the same samples.

    Raises:
        UserError: compressed, damaged or truncated; or an absolute path, a path with ``..``, a link, a name that comes
            twice, or no image in it.
    """
    archive = TarArchive.at(path)
    files: dict[str, TarMember] = {}  # those that may be images, or say what a folder is
    marks: dict[str, set[str]] = {}  # of each folder, the names in it that say what it is
    left_out = LeftOut()
    for member in _members(path):
        name = _safe_path(path, member.name)
        for folder, part in zip(name.parents, reversed(name.parts), strict=False):
            if part in MARKING_NAMES:
                marks.setdefault(folder.as_posix(), set()).add(part)
        if member.isdir():
            continue
        if any(part.startswith(".") for part in name.parts):
            left_out.hidden_images += is_image_name(name.name.lstrip("."))
            continue
        if not member.isreg() or member.issparse():
            raise UserError(f"{path}: {member.name} is a link or no plain file; pack with tar --dereference -cf")
        suffix = suffix_of(name.name)
        if suffix in IMAGE_SUFFIXES or not suffix or name.name == DESCRIPTION:
            key = name.as_posix()
            if key in files:
                raise UserError(f"{path}: {key} is there twice; pack it anew")
            files[key] = TarMember(archive, key, member.offset_data, member.size)
        else:
            left_out.by_suffix[suffix] += 1
    images = _without_own_outputs(files, marks, left_out)
    ordered = sorted(images, key=lambda image: image.path.split("/"))
    return require_some(Found([*ordered], path, left_out.phrases()))


def _without_own_outputs(files: dict[str, TarMember], marks: dict[str, set[str]], left_out: LeftOut) -> list[TarMember]:
    """The images among ``files`` but those in folders that this suite has written."""
    root = PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in files]) if files else ".")
    kinds: dict[PurePosixPath, str] = {}
    for folder, names in marks.items():

        def read(name: str, folder: str = folder) -> bytes:
            member = files.get((PurePosixPath(folder) / name).as_posix())
            return read_image_file(member).tobytes() if member is not None else b""

        kind = kind_of_output(names, read)
        if kind:
            kinds[PurePosixPath(folder)] = kind
    images = []
    for key, member in files.items():
        name = PurePosixPath(key)
        owner = _owner(name, root, kinds) if kinds else ""
        if owner:
            left_out.of_own[owner] += is_image_name(name.name)
        elif is_image_name(name.name) or (not suffix_of(name.name) and is_image_content(member)):
            images.append(member)
        else:
            left_out.by_suffix[suffix_of(name.name)] += 1
    return images


def _owner(name: PurePosixPath, root: PurePosixPath, kinds: dict[PurePosixPath, str]) -> str:
    """Which output of this suite a member belongs to; "" where to none. The root is the folder that was packed."""
    if root in kinds:
        first = name.relative_to(root).parts[0]
        kind = kinds[root]
        if (kind == PREPARED_SET and first != IMAGES) or (kind == RUN_FOLDER and first in WRITTEN_BY_A_RUN):
            return f"{kind} itself"
    outermost_first = [folder for folder in reversed(name.parents) if folder in kinds and folder != root]
    return f"{kinds[outermost_first[0]]} {outermost_first[0].as_posix()}" if outermost_first else ""


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
