"""Writing the files that miniature data sets are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

_PALETTE = [value for index in range(256) for value in (index, (index * 7) % 256, (index * 31) % 256)]


def write_image(path: Path, seed: int, size: tuple[int, int] = (24, 20)) -> Path:
    """A small picture of ``size`` (width, height); the suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    format_ = "PNG" if path.suffix == ".png" else "JPEG"
    Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST).save(path, format=format_)
    return path


def write_map(path: Path, values: Iterable[int], size: tuple[int, int] = (24, 20), palette: bool = False) -> Path:
    """A label map of ``size`` that holds each of ``values``, in stripes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = np.resize(np.array(list(values), dtype=np.uint8), size[0])
    image = Image.fromarray(np.tile(columns, (size[1], 1)))
    if palette:
        image.putpalette(_PALETTE)
    image.save(path)
    return path


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A text file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_voc_xml(
    path: Path, objects: list[tuple[str, int, int, int, int, int]], size: tuple[int, int] = (24, 20)
) -> Path:
    """A VOC annotation; ``objects`` are (class, xmin, ymin, xmax, ymax, difficult)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"<object><name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>{difficult}</difficult>"
        f"<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom, difficult in objects
    ]
    path.write_text(
        f"<annotation><folder>VOC</folder><filename>{path.stem}.jpg</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size><segmented>1</segmented>{''.join(parts)}</annotation>"
    )
    return path
