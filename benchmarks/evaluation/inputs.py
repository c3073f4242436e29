"""Choosing and reading the images that a protocol trains and tests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.shape import shape_problem
from benchmarks.protocols.protocol import DataSettings
from scenebench.errors import UserError
from scenebench.pictures import UnclearPicture, depth_of, to_rgb
from scenebench.progress import Progress

MERGED_CATEGORY = "object"
_SELECTION_SEED = 20230222


def choose(count: int, limit: int | None) -> list[int]:
    """Indices of at most ``limit`` of ``count`` images, ascending.

    A fixed permutation decides, so that every backbone and seed gets the same images, and a larger limit only adds
    some. (The first by name would do for generated data, but names of real data often sort by scene or by date.)
    """
    if limit is None or limit >= count:
        return list(range(count))
    order = np.random.default_rng([_SELECTION_SEED, count]).permutation(count)
    return sorted(int(index) for index in order[:limit])


def choose_images(data: DatasetFolder, split: str, limit: int | None) -> tuple[list[int], list[Path]]:
    """Positions and paths of the images of ``split`` that take part.

    Raises:
        UserError: no such split, or it is empty.
    """
    paths = data.images(split)
    if not paths:
        raise UserError(f"{data.root}: split '{split}' holds no images")
    indices = choose(len(paths), limit)
    return indices, [paths[index] for index in indices]


def category_names(data: DatasetFolder, merge: bool) -> list[str]:
    """Names of the categories that a protocol tells apart."""
    return [MERGED_CATEGORY] if merge else data.categories


def data_notes(data: DatasetFolder, settings: DataSettings) -> list[str]:
    """Sentences for the record: what of the data does not take part or is not told apart."""
    notes = selection_note(data, settings.train_split, settings.max_train_images)
    notes += selection_note(data, settings.test_split, settings.max_test_images)
    if settings.merge_categories:
        notes.append(f"class-agnostic: the {len(data.categories)} categories count as one")
    return notes


def selection_note(data: DatasetFolder, split: str, limit: int | None) -> list[str]:
    """A sentence for the record where not all images of ``split`` take part."""
    count = len(data.images(split))
    if limit is None or limit >= count:
        return []
    return [f"{limit} of the {count} images of split '{split}' (a fixed choice)"]


def read_image(path: Path) -> Image.Image:
    """A fully decoded RGB image.

    Raises:
        UserError: the file cannot be decoded; a metric over the rest would not be comparable, so nothing is skipped.
    """
    try:
        with Image.open(path) as image:
            return to_rgb(image, depth_of(image))
    except (UnclearPicture, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: cannot be decoded ({error}); repair or remove it and prepare the data again"
        ) from error


def read_square(path: Path, size: int) -> NDArray[np.uint8]:
    """The whole image squeezed to ``size`` x ``size``: uint8, 3 x size x size."""
    image = read_image(path)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1)


def image_batches(
    paths: Sequence[Path], batch_size: int, label: str, read: Callable[[Path], NDArray[np.uint8]]
) -> Iterator[Tensor]:
    """What ``read`` makes of each image, stacked in batches, with progress: uint8, n x 3 x H x W."""
    progress = Progress(len(paths), label)
    for start in range(0, len(paths), batch_size):
        chunk = paths[start : start + batch_size]
        yield torch.from_numpy(np.stack([read(path) for path in chunk]))
        progress.advance(len(chunk))


def require_decodable(paths: Sequence[Path], what: str) -> None:
    """Decode every image once, so that a bad one is named before hours of training and not by a toolbox's trace.

    Raises:
        UserError: naming the first image that cannot be decoded, or whose shape no toolbox can resize.
    """
    progress = Progress(len(paths), f"checking {what} images")
    for path in paths:
        problem = shape_problem(*read_image(path).size)
        if problem:
            raise UserError(f"{path}: {problem}; crop it, or remove it and prepare the data again")
        progress.advance()
