"""Which images a backbone has seen, in a name and a fingerprint."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pretrain.data.sources import ImageFiles, TarMember
from pretrain.data.sources.folder import find_images
from pretrain.data.sources.own_outputs import read_description

AnyPath = TypeVar("AnyPath", Path, PurePosixPath)


@dataclass(frozen=True)
class Source:
    """A name for people and a fingerprint for comparisons."""

    name: str
    fingerprint: str


def describe_source(images: ImageFiles) -> Source:
    """What a prepared data set says of itself, else the name of the common folder or tar and a hash of names and sizes.

    The same images have the same fingerprint as a folder, in a list, in a COCO JSON and in a tar, unless the folder is
    a prepared data set, whose own fingerprint holds only for all of its images.

    Args:
        images: sorted, at least one; all files, or all of one tar.
    """
    tars = {image.archive.path for image in images if isinstance(image, TarMember)}
    if tars:
        return Source(tars.pop().stem, names_and_sizes(images))
    files = [image.absolute() for image in images if isinstance(image, Path)]
    folder = _common_folder(files)
    for root in (folder, *folder.parents[:2]):  # ROOT, ROOT/images or ROOT/images/train
        described = _read_description(root / "dataset.json")
        if described is not None and len(find_images(folder)) == len(files):
            part = "" if root == folder else f"/{folder.relative_to(root).as_posix().removeprefix('images/')}"
            return Source(f"{described.name}{part}", described.fingerprint)
    return Source(folder.name, names_and_sizes(images))


def names_and_sizes(images: ImageFiles) -> str:
    """Sixteen hexadecimal digits of the images' names, below the folder they have in common, and sizes."""
    members = [(PurePosixPath(image.path), image.size) for image in images if isinstance(image, TarMember)]
    files = [image.absolute() for image in images if isinstance(image, Path)]
    return _hash_of(members) if members else _hash_of([(path, path.stat().st_size) for path in files])


def _hash_of(files: list[tuple[AnyPath, int]]) -> str:
    """Of paths, relative to the folder they have in common, and sizes."""
    folder = _common_folder([path for path, _ in files])
    digest = hashlib.sha256()
    for path, size in files:
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))  # names need not be UTF-8
    return digest.hexdigest()[:16]


def _common_folder(paths: list[AnyPath]) -> AnyPath:
    common = os.path.commonpath([path.parent for path in paths])
    return type(paths[0])(common)


def _read_description(path: Path) -> Source | None:
    if not path.is_file():
        return None
    described = read_description(path.read_bytes())
    return Source(*described) if described is not None else None
