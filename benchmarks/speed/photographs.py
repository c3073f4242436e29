"""Images to measure with: JPEG files of the sizes that COCO's photographs have, from whatever pictures are at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.datasets.scenes import ScenesSpec, render_scene

# Width, height and share. COCO's photographs are at most 640 px long; these five sizes are its most frequent kinds. The
# shares are rounded by us.
SIZES = (
    ((640, 480), 0.45),
    ((640, 427), 0.25),
    ((480, 640), 0.15),
    ((427, 640), 0.10),
    ((500, 375), 0.05),
)
QUALITY = 90


def write_photographs(folder: Path, count: int, sources: Sequence[Path]) -> list[Path]:
    """Write ``count`` JPEGs into ``folder``: parts of the ``sources`` in turn, or scenes where there are none.

    A larger photograph is made smaller until it just covers the size. A smaller one is mirrored at its edges, not
    enlarged: an enlarged one would decode faster than a sharp one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    files = []
    for number, size in enumerate(_sizes(count)):
        picture = _part(sources[number % len(sources)], size, rng) if sources else _scene(number, size)
        path = folder / f"{number:04d}.jpg"
        picture.save(path, quality=QUALITY)
        files.append(path)
    return files


def find_photographs(folder: Path) -> list[Path]:
    """All JPEGs below ``folder``, sorted; none where there is no such folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def _sizes(count: int) -> list[tuple[int, int]]:
    """So many sizes with the shares of :data:`SIZES`, mixed."""
    bounds = np.cumsum([share for _, share in SIZES])
    places = (np.arange(count) * 0.618034) % 1  # evenly spread, and alike at every count
    return [SIZES[int(np.searchsorted(bounds, place, side="right"))][0] for place in places]


def _part(source: Path, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    width, height = size
    with Image.open(source) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    scale = max(width / upright.width, height / upright.height)
    if scale < 1:
        upright = upright.resize((math.ceil(upright.width * scale), math.ceil(upright.height * scale)))
    picture = np.asarray(upright)
    missing_rows, missing_columns = max(0, height - len(picture)), max(0, width - picture.shape[1])
    picture = np.pad(picture, ((0, missing_rows), (0, missing_columns), (0, 0)), mode="symmetric")
    top = int(rng.integers(len(picture) - height + 1))
    left = int(rng.integers(picture.shape[1] - width + 1))
    return Image.fromarray(picture[top : top + height, left : left + width])


def _scene(number: int, size: tuple[int, int]) -> Image.Image:
    """A square scene of our own, cut to the size."""
    spec = ScenesSpec(images=max(3, number + 1), size=max(size))
    return Image.fromarray(render_scene(spec, number).image[: size[1], : size[0]])
