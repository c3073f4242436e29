"""Writing a small set as a prepared data set (``benchmarks.datasets.folder`` says the layout)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.contact_sheet import draw_contact_sheet
from benchmarks.datasets.existing_folder import already_built
from benchmarks.datasets.folder import IGNORED, DatasetFolder
from benchmarks.datasets.parallel import run_in_chunks
from benchmarks.datasets.photos.entries import Entry, Pictures, label_table
from benchmarks.datasets.photos.finding import is_prepared, require_photos
from benchmarks.datasets.photos.given import read_given
from benchmarks.datasets.photos.official import read_official_part
from benchmarks.datasets.photos.sets import SETS, SIDE, SPLITS, PhotoSet, hash_of_names, read_names, split_of
from benchmarks.datasets.photos.sizes import shrink_map, shrink_picture, small_size, write_small_jpeg
from benchmarks.datasets.writing import (
    Instance,
    PreparedImage,
    write_description,
    write_multilabel,
    write_semantic,
    write_split,
)
from scenebench.coco import boxes
from scenebench.errors import UserError
from scenebench.files import sha256_of
from scenebench.pictures import DECODING_ERRORS, UnclearPicture, depth_of, to_rgb
from scenebench.staging import whole_folder

VERSION = "1"
"""Rises when the same pictures would be prepared otherwise."""


def prepare_all(
    root: Path | str, out: Path | str, workers: int = 1, report: Callable[[str], None] = print
) -> list[DatasetFolder]:
    """All three sets, each into the folder of its name in ``out``.

    Args:
        root: a folder of small pictures (:mod:`.given`); or one of the three sets, prepared, which are copied.

    Raises:
        UserError: as :func:`prepare_set`. A set that was finished before an error stays.
    """
    root = require_photos(root)
    if is_prepared(root):
        return [copy_set(root / name, Path(out) / name, report) for name in SETS]
    names = {one.name: read_names(one) for one in SETS.values()}
    read = {
        one.name: read_given(one, root, names[one.name]) for one in SETS.values()
    }  # all of it before any is written
    return [write_set(Path(out) / name, SETS[name], pictures, workers, report) for name, pictures in read.items()]


def copy_set(source: Path, out: Path, report: Callable[[str], None] = print) -> DatasetFolder:
    """A prepared set at another place.

    Raises:
        UserError: its files were changed since it was prepared, or ``out`` holds something else.
    """
    folder = DatasetFolder.open(source)
    if folder.compute_fingerprint() != folder.fingerprint:
        raise UserError(f"{source}: its files were changed since they were prepared; prepare the set again")
    if already_built(out, folder.name, folder.version, folder.source) is None:
        with whole_folder(out) as root:
            shutil.copytree(source, root, dirs_exist_ok=True)
    report(f"{out}: a copy of {folder.name}; {folder.source['pictures']}; fingerprint {folder.fingerprint}")
    return DatasetFolder.open(out)


def prepare_set(
    name: str,
    root: Path | str,
    out: Path | str,
    names: Path | None = None,
    workers: int = 1,
    report: Callable[[str], None] = print,
) -> DatasetFolder:
    """One set of the official data (:mod:`.official`).

    Args:
        root: of the official data.
        names: a list of one's own in place of the committed one.

    Raises:
        UserError: the list names what ``root`` lacks, a picture or map cannot be used, or ``out`` holds something else.
    """
    photo_set = SETS[name]
    return write_set(out, photo_set, read_official_part(photo_set, root, read_names(photo_set, names)), workers, report)


def write_set(
    out: Path | str, photo_set: PhotoSet, pictures: Pictures, workers: int = 1, report: Callable[[str], None] = print
) -> DatasetFolder:
    """Write a set to ``out``, or return it where it already is.

    Raises:
        UserError: a picture or map cannot be used, or ``out`` holds something else.
    """
    out = Path(out)
    splits: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    for entry in pictures.entries:
        splits[split_of(entry.file_name)].append(entry)
    for split, entries in splits.items():
        if not entries:
            raise UserError(f"{photo_set.name}: the list leaves no picture for the split '{split}'; name more pictures")
    source = _describe(photo_set, pictures, splits, workers)
    existing = already_built(out, photo_set.name, VERSION, source)
    if existing is not None:
        report(f"{out}: is already there, made from exactly this; nothing to do")
        return existing
    with whole_folder(out) as root:
        for split, entries in splits.items():
            _write_split(root, split, photo_set, pictures, entries, workers)
        names = [name for _, name in pictures.categories]
        counts = {split: len(entries) for split, entries in splits.items()}
        described = DatasetFolder(out, photo_set.name, VERSION, "", names, counts, source, photo_set.background)
        folder = write_description(root, described)
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    report(f"{out}: {source['pictures']}; {told}; fingerprint {folder.fingerprint}")
    return folder


def _describe(photo_set: PhotoSet, pictures: Pictures, splits: dict[str, list[Entry]], workers: int) -> dict[str, Any]:
    """What the set was made from; of files the bytes, not where they lie."""
    names = hash_of_names([entry.file_name for entry in pictures.entries])
    total = hashlib.sha256()
    for line in run_in_chunks(_hashes, pictures.entries, label="reading", workers=workers):
        total.update(line.encode())
    train, test = len(splits["train"]) + len(splits["val"]), len(splits["test"])
    return {
        "pictures": f"{photo_set.of}, {train:,} / {test:,} pictures by the list {photo_set.name} ({names}), "
        f"the shorter side {SIDE} px",
        "list": names,
        "made_from": pictures.how,
        "content": total.hexdigest()[:16],
    }


def _hashes(entries: Sequence[Entry]) -> list[str]:
    lines = []
    for entry in entries:
        files = [entry.picture, *([entry.map] if entry.map is not None else [])]
        try:
            lines.append(f"{entry.file_name}\0{[sha256_of(file) for file in files]}\0{entry.boxes}\n")
        except OSError as error:
            raise UserError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
    return lines


def _write_split(
    root: Path, split: str, photo_set: PhotoSet, pictures: Pictures, entries: list[Entry], workers: int
) -> None:
    for kind in ("images", *([] if photo_set.has_boxes else ["semantic"])):
        (root / kind / split).mkdir(parents=True)
    write = partial(_write_entries, root=root, split=split, photo_set=photo_set, shrinks=pictures.shrinks)
    written = run_in_chunks(write, entries, label=f"{photo_set.name} {split}", workers=workers)
    written.sort(key=lambda one: one[0].file_name)
    if photo_set.has_boxes:
        images = [image for image, _ in written]
        write_split(root, split, pictures.categories, images)
        if split == "train":
            draw_contact_sheet(root, split, images, [name for _, name in pictures.categories], title=photo_set.name)
    else:
        write_multilabel(root, split, [(image.file_name, present) for image, present in written])


def _write_entries(
    entries: Sequence[Entry], root: Path, split: str, photo_set: PhotoSet, shrinks: bool
) -> list[tuple[PreparedImage, list[int]]]:
    return [_write_entry(entry, root, split, photo_set, shrinks) for entry in entries]


def _write_entry(
    entry: Entry, root: Path, split: str, photo_set: PhotoSet, shrinks: bool
) -> tuple[PreparedImage, list[int]]:
    """The picture as it was written, with its boxes, and the categories in its map, if it has one."""
    picture = _decode(entry)
    size = small_size(*picture.size) if shrinks else picture.size
    target = root / "images" / split / entry.file_name
    if shrinks:
        write_small_jpeg(target, shrink_picture(picture, size, through_square=photo_set.has_boxes))
    else:
        shutil.copyfile(entry.picture, target)
    if entry.map is None:
        return PreparedImage(entry.file_name, *size, _instances(entry, picture.size, size)), []
    labels = shrink_map(_labels(entry.map, picture.size, label_table(photo_set)), size)
    write_semantic((root / "semantic" / split / entry.file_name).with_suffix(".png"), labels)
    first = int(photo_set.background)
    present = [int(value) - first for value in np.unique(labels) if first <= value < IGNORED]
    return PreparedImage(entry.file_name, *size, []), present


def _decode(entry: Entry) -> Image.Image:
    """The picture as RGB.

    Raises:
        UserError: it cannot be decoded, or is of another size than its annotation says.
    """
    try:
        with Image.open(entry.picture) as image:
            picture = to_rgb(image, depth_of(image))
    except (UnclearPicture, OSError, *DECODING_ERRORS) as error:
        raise UserError(f"{entry.picture}: cannot be decoded ({' '.join(str(error).split())}); repair it") from error
    if entry.size not in (None, picture.size):
        sizes = f"{picture.width}x{picture.height} pixels, its annotation says {entry.size[0]}x{entry.size[1]}"
        raise UserError(f"{entry.picture}: {sizes}")
    return picture


def _instances(entry: Entry, before: tuple[int, int], size: tuple[int, int]) -> list[Instance]:
    """The boxes in pixels of the small picture, to two decimals; what has no area in it is dropped."""
    across, down = size[0] / before[0], size[1] / before[1]
    found = []
    for category, (left, top, width, height), crowd in entry.boxes:
        scaled = boxes.clip((left * across, top * down, width * across, height * down), *size)
        if scaled is not None:
            box = tuple(round(value, 2) for value in scaled)
            found.append(Instance(category, (box[0], box[1], box[2], box[3]), round(box[2] * box[3], 2), None, crowd))
    return found


def _labels(path: Path, size: tuple[int, int], table: NDArray[np.int16]) -> NDArray[np.uint8]:
    """A map of official labels as prepared ones.

    Raises:
        UserError: it cannot be decoded, is of another size than its picture, or holds a value that is no label.
    """
    try:
        with Image.open(path) as image:
            found = np.asarray(image)
    except (OSError, *DECODING_ERRORS) as error:
        raise UserError(f"{path}: cannot be decoded ({error}); repair it") from error
    if found.ndim != 2 or found.dtype != np.uint8:
        raise UserError(f"{path}: is no map of 8-bit labels, but {found.dtype} of shape {found.shape}")
    if found.shape != size[::-1]:
        raise UserError(f"{path}: {found.shape[1]}x{found.shape[0]} pixels, its picture {size[0]}x{size[1]}")
    labels = table[found]
    if (labels < 0).any():
        raise UserError(f"{path}: holds {int(found[labels < 0][0])}, which is no label of this data set")
    return labels.astype(np.uint8)
