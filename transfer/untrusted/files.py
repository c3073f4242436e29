"""What a file is, before anything in it is read: a regular file, mapped, and of which format by its first bytes."""

from __future__ import annotations

import mmap
import os
import stat
from enum import Enum
from pathlib import Path

from scenebench.errors import UserError

NOT_A_CHECKPOINT = "not a PyTorch checkpoint, a pickle of arrays or a safetensors file"


class Format(Enum):
    """The formats that are read."""

    ZIP = "zip archive of torch.save"
    PICKLE = "pickle: torch.save before 1.6, or Detectron2's and Caffe2's arrays"
    SAFETENSORS = "safetensors"


_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_SIGNATURES = (  # offset, bytes, what it is and what to do
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"),
    (0, b"\x1f\x8b", "compressed (gzip); unpack it first"),
    (0, b"BZh", "compressed (bzip2); unpack it first"),
    (0, b"\xfd7zXZ", "compressed (xz); unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed (zstd); unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (257, b"ustar", "a tar archive, such as PyTorch 0.1 wrote; unpack it, or save it anew with a later PyTorch"),
    (0, b"\x89HDF", "an HDF5 file; save its arrays as safetensors"),
    (0, b"\x93NUMPY", "one numpy array (.npy) without names; save a state dict"),
)
_OLD_PICKLES = (b"(d", b"}q", b"(l", b"]q", b"cc")
"""Mappings and lists in protocols 0 and 1, and the global ``collections\\nOrderedDict``."""
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<error")


def map_file(path: Path, otherwise: str = NOT_A_CHECKPOINT) -> mmap.mmap:
    """Map a regular file of at least one byte; writes to the mapping (there are none) would not reach the file.

    Args:
        otherwise: what a special or empty file is called in the error.

    Raises:
        UserError: missing, a folder, a pipe or device (never opened), empty, or not readable.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path}: no such checkpoint file: it is a folder; name the file in it")
        if not stat.S_ISREG(status.st_mode):
            kind = _SPECIAL.get(stat.S_IFMT(status.st_mode), "no regular file")
            raise UserError(f"{path}: {otherwise}: it is {kind}")
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UserError(f"{path}: {otherwise}: it is empty; download it again")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except FileNotFoundError as error:
        broken = " (a link that leads nowhere)" if path.is_symlink() else ""
        raise UserError(f"{path}: no such checkpoint file{broken}") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def format_of(view: mmap.mmap, path: Path) -> Format:
    """The format by content; the file's name does not matter.

    Raises:
        UserError: another format, saying which where it is known.
    """
    for offset, signature, what in _SIGNATURES:
        if view[offset : offset + len(signature)] == signature:
            raise UserError(f"{path}: is {what} ({NOT_A_CHECKPOINT})")
    head = view[:512].lstrip().lower()
    if head.startswith(_MARKUP):
        raise UserError(f"{path}: is a web page, {NOT_A_CHECKPOINT}: a login, error or preview page; download it again")
    if view[:2] == b"PK":
        return Format.ZIP
    if view[8:9] == b"{":
        return Format.SAFETENSORS
    if view[:1] == b"\x80" or view[:2] in _OLD_PICKLES:
        return Format.PICKLE
    if path.suffix in (".pkl", ".safetensors"):  # damaged ones: the readers say how
        return Format.PICKLE if path.suffix == ".pkl" and view[:1] in b"(}" else Format.SAFETENSORS
    raise UserError(f"{path}: of an unknown format, {NOT_A_CHECKPOINT}")
