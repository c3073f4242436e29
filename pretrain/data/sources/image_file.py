"""An image as a run holds it: a file of its own, or a member of a tar. Both have a ``name`` and are read from here."""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from scenebench.errors import UserError
from scenebench.pictures import DECODING_ERRORS, FORMATS, IMAGE_SUFFIXES, suffix_of

__all__ = [
    "IMAGE_SUFFIXES", "ImageFile", "ImageFiles", "TarArchive", "TarMember", "is_image_content", "is_image_name",
    "open_image_file", "read_image_file", "suffix_of",
]  # fmt: skip


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image: a known suffix, and not hidden."""
    return not name.startswith(".") and suffix_of(name) in IMAGE_SUFFIXES


def is_image_content(file: ImageFile) -> bool:
    """Whether a file begins as an image of a known format does; for files whose names say nothing."""
    try:
        with warnings.catch_warnings(), open_image_file(file) as stream:
            warnings.simplefilter("ignore")
            with Image.open(stream, formats=list(FORMATS)):
                return True
    except (OSError, *DECODING_ERRORS):
        return False


@dataclass(frozen=True, slots=True)
class TarArchive:
    """A tar as it was when its headers were read."""

    path: Path
    size: int
    modified_ns: int

    @classmethod
    def at(cls, path: Path) -> TarArchive:
        """The tar at ``path`` as it is now."""
        stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class TarMember:
    """An image within an uncompressed tar.

    Attributes:
        archive: one object for all members.
        path: of the member, POSIX, relative and without ``.`` or ``..``.
        offset: of its first byte in the tar.
        size: bytes.
    """

    archive: TarArchive
    path: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The last part of the path, as of a ``Path``."""
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.archive.path}/{self.path}"


ImageFile: TypeAlias = Path | TarMember
ImageFiles: TypeAlias = Sequence[ImageFile]


def read_image_file(file: ImageFile | str) -> np.ndarray:
    """All bytes of an image file, uint8.

    Raises:
        OSError: it cannot be read.
        UserError: its tar has changed since the run began.
    """
    if not isinstance(file, TarMember):
        return np.fromfile(file, dtype=np.uint8)
    content = np.empty(file.size, dtype=np.uint8)
    if os.preadv(_descriptor(file.archive), [content.data], file.offset) != file.size:
        raise _changed(file.archive)
    return content


def open_image_file(file: ImageFile | str) -> BinaryIO:
    """The same bytes as a file, for reading only a part of them. Raises as :func:`read_image_file`."""
    if not isinstance(file, TarMember):
        return open(file, "rb")
    return io.BufferedReader(_MemberReader(file))


class _MemberReader(io.RawIOBase):
    """A member of a tar as a file: positioned reads, so that processes may share the tar's descriptor."""

    def __init__(self, member: TarMember) -> None:
        self._member = member
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._member.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative position {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = memoryview(buffer)[: max(0, self._member.size - self._position)]
        start = self._member.offset + self._position
        read = os.preadv(_descriptor(self._member.archive), [wanted], start)
        self._position += read
        return read


# The tar that this process has open. One is enough, since a run reads one; a worker process inherits the descriptor,
# which is harmless (every read names its position), and a process that was started otherwise opens its own.
_opened: dict[TarArchive, int] = {}
_opening = threading.Lock()


def _descriptor(archive: TarArchive) -> int:
    with _opening:
        if archive not in _opened:
            while _opened:
                os.close(_opened.popitem()[1])
            descriptor = os.open(archive.path, os.O_RDONLY | os.O_CLOEXEC)
            stat = os.fstat(descriptor)
            if (stat.st_size, stat.st_mtime_ns) != (archive.size, archive.modified_ns):
                os.close(descriptor)
                raise _changed(archive)
            _opened[archive] = descriptor
        return _opened[archive]


def _changed(archive: TarArchive) -> UserError:
    return UserError(f"{archive.path}: has changed since the run began; leave it alone while a run reads it")
