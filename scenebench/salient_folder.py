"""A folder of pictures and of what people find salient in them, as the sets of salient object detection come.

::

    ROOT/images/STEM.jpg   any picture, of any size
    ROOT/masks/STEM.png    8-bit grey, of its picture's size; salient where it is above 128

Every picture has a mask of its stem and every mask a picture. Other files in ROOT are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scenebench.errors import UserError
from scenebench.pictures import DECODING_ERRORS, IMAGE_SUFFIXES, suffix_of

IMAGES, MASKS = "images", "masks"
SALIENT_ABOVE = 128


def pair_names(images: Iterable[str], masks: Iterable[str]) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Names of pictures with those of their masks, by stem and in its order; and what is wrong, by path below the root.

    Files that are no pictures by their suffix are passed over.
    """
    pictures, drawn = (
        [name for name in sorted(names) if suffix_of(name) in IMAGE_SUFFIXES] for names in (images, masks)
    )
    faults: dict[str, str] = {}
    for folder, names in ((IMAGES, pictures), (MASKS, drawn)):
        often = Counter(map(_stem, names))
        faults |= {f"{folder}/{name}": "another file there has its stem" for name in names if often[_stem(name)] > 1}
    mask_of = {_stem(name): name for name in drawn}
    picture_of = {_stem(name): name for name in pictures}
    for stem, name in picture_of.items():
        if stem not in mask_of:
            faults[f"{IMAGES}/{name}"] = f"has no mask; add {MASKS}/{stem}.png, or remove the picture"
    for stem, name in mask_of.items():
        if stem not in picture_of:
            faults[f"{MASKS}/{name}"] = "is the mask of no picture; remove it"
    pairs = [(picture_of[stem], mask_of[stem]) for stem in sorted(picture_of) if stem in mask_of]
    return pairs, faults


def read_salient_folder(root: Path | str) -> list[tuple[Path, Path]]:
    """The pictures of a folder with their masks, by stem.

    Raises:
        UserError: no such folder, no pictures, or one without its mask.
    """
    root = Path(root)
    for folder in (root / IMAGES, root / MASKS):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; {IMAGES}/ and {MASKS}/ with equal stems are expected in {root}")
    pairs, faults = pair_names(*([path.name for path in (root / kind).iterdir()] for kind in (IMAGES, MASKS)))
    for path, message in faults.items():
        raise UserError(f"{root / path}: {message}")
    if not pairs:
        raise UserError(f"{root / IMAGES}: holds no pictures")
    return [(root / IMAGES / image, root / MASKS / mask) for image, mask in pairs]


def read_mask(path: Path, size: tuple[int, int]) -> Tensor:
    """What is salient: bool, H x W.

    Args:
        size: (width, height) of the picture.

    Raises:
        UserError: the mask cannot be decoded, is not grey, of another size, or leaves nothing to tell apart.
    """
    try:
        with Image.open(path) as image:
            if image.mode != "L":
                raise UserError(f"{path}: a mask in mode {image.mode}; 8-bit grey (L) is expected")
            values = np.asarray(image)
    except (OSError, *DECODING_ERRORS) as error:
        raise UserError(f"{path}: cannot be decoded ({error}); repair it, or remove it and its picture") from error
    if values.shape[::-1] != size:
        width, height = values.shape[::-1]
        raise UserError(f"{path}: a mask of {width}x{height} pixels, its picture has {size[0]}x{size[1]}")
    mask = values > SALIENT_ABOVE
    if mask.all() or not mask.any():
        every = "every" if mask.any() else "no"
        raise UserError(f"{path}: {every} pixel is salient (above {SALIENT_ABOVE}); remove it and its picture")
    return torch.from_numpy(mask)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
