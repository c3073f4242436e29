"""The directory of a zip archive, with the checks that keep an archive from being larger than its file."""

from __future__ import annotations

import mmap
import struct
import zipfile
from pathlib import Path

from transfer.untrusted.refusal import Refusal, shown

MAX_DIRECTORY = 32 * 2**20
"""Bytes; a ResNet-50 with its optimiser takes about 50 thousand."""

_END, _END_64, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x03\x04"
_END_SIZE, _LOCATOR_SIZE, _END_64_SIZE = 22, 20, 56
_ENCRYPTED = 1


def entries(view: mmap.mmap, path: Path) -> dict[str, tuple[int, int]]:
    """Entries by name: where their bytes start in the file, and how many they are.

    Raises:
        Refusal: truncated, compressed or encrypted entries, two of one name, or entries that overlap.
    """
    if _directory_size(view) > MAX_DIRECTORY:
        raise Refusal(f"its zip directory is longer than {MAX_DIRECTORY} bytes")
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError, UnicodeError) as error:
        raise Refusal(f"its zip directory is damaged ({shown(error)}); download it again") from error
    _refuse_other_archives([entry.filename for entry in found])
    places: dict[str, tuple[int, int]] = {}
    for entry in found:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise Refusal(
                f"its entry '{shown(entry.filename)}' is compressed to {entry.compress_size} of {entry.file_size} "
                "bytes, which torch.save never does"
            )
        if entry.flag_bits & _ENCRYPTED:
            raise Refusal(f"its entry '{shown(entry.filename)}' is encrypted")
        if entry.filename in places:
            raise Refusal(f"it has the entry '{shown(entry.filename)}' twice")
        places[entry.filename] = (_content_start(view, entry), entry.file_size)
    _check_disjoint(places, len(view))
    return places


def _refuse_other_archives(names: list[str]) -> None:
    """What is a zip archive too and may be compressed, told as what it is."""
    folders = {name.split("/")[1] for name in names if name.count("/") >= 2}
    if "code" in folders and any(name.endswith(".py") for name in names):
        raise Refusal(
            "it is a scripted model (a TorchScript archive, which holds code); load it with torch.jit.load and save "
            "its state_dict() instead"
        )
    if names and all(name.endswith(".npy") for name in names):
        raise Refusal("it is an .npz archive of numpy arrays; save its arrays as safetensors")


def _directory_size(view: mmap.mmap) -> int:
    end = view.rfind(_END, max(0, len(view) - _END_SIZE - 2**16))
    if end < 0 or end + _END_SIZE > len(view):
        raise Refusal("it is a truncated zip archive (its end is missing), so not a PyTorch checkpoint; "
                      "download it again")  # fmt: skip
    end_64 = end - _LOCATOR_SIZE - _END_64_SIZE
    if end_64 >= 0 and view[end_64 : end_64 + 4] == _END_64:
        return int(struct.unpack("<Q", view[end_64 + 40 : end_64 + 48])[0])
    return int(struct.unpack("<L", view[end + 12 : end + 16])[0])


def _content_start(view: mmap.mmap, entry: zipfile.ZipInfo) -> int:
    header = view[entry.header_offset : entry.header_offset + 30] if entry.header_offset >= 0 else b""
    if len(header) < 30 or header[:4] != _LOCAL:
        raise Refusal(f"its entry '{shown(entry.filename)}' lies outside the file: truncated or damaged")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    return entry.header_offset + 30 + int(name_length) + int(extra_length)


def _check_disjoint(places: dict[str, tuple[int, int]], length: int) -> None:
    end_before, name_before = 0, ""
    for name, (start, size) in sorted(places.items(), key=lambda place: place[1]):
        if start + size > length:
            raise Refusal(f"its entry '{shown(name)}' lies outside the file: truncated or damaged")
        if size and start < end_before:
            raise Refusal(f"its entries '{shown(name_before)}' and '{shown(name)}' overlap")
        end_before, name_before = max(end_before, start + size), name
