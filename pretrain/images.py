"""Finding and decoding images: whatever people keep in a folder becomes uint8 RGB, or is said to be undecodable."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from scenebench.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
# What Pillow raises on broken files, apart from OSError.
_DECODING_ERRORS = (
    SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # values of the tag that swap width and height


class UndecodableImage(Exception):
    """A file that is no complete image."""


def list_images(root: Path | str) -> list[Path]:
    """All images under ``root``, also in sub-folders, sorted by path; hidden files and folders are left out.

    Raises:
        UserError: no folder is given, it does not exist, or there is no image in it.
    """
    if not str(root):
        raise UserError("data.root: no folder of images is given; add data.root=FOLDER")
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"data.root: {root} is not a folder")
    images: list[Path] = []
    for folder, sub_folders, names in os.walk(root):
        sub_folders[:] = [name for name in sub_folders if not name.startswith(".")]
        suffixes = ((name, Path(name).suffix.lower()) for name in names if not name.startswith("."))
        images += [Path(folder, name) for name, suffix in suffixes if suffix in IMAGE_SUFFIXES]
    if not images:
        raise UserError(f"data.root: no image in {root} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(images)


def decode_image(path: Path | str) -> Tensor:
    """Decode a file as RGB: grey, palette, CMYK, transparent and 16-bit images alike, turned upright by their EXIF tag.

    Returns:
        uint8, 3 x H x W, physically channels-last.

    Raises:
        UndecodableImage: missing, truncated, empty or no image; the message says why.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise UndecodableImage(error.strerror or str(error)) from error
    if content[:2].tobytes() == b"\xff\xd8":
        # A quarter faster than Pillow and bit-equal to it (both are libjpeg-turbo).
        try:
            image = decode_jpeg(torch.from_numpy(content), ImageReadMode.UNCHANGED, apply_exif_orientation=True)
        except RuntimeError:
            pass  # Pillow has the last word, and the better message
        else:
            if image.shape[0] in (1, 3):  # not CMYK
                return image.permute(1, 2, 0).expand(-1, -1, 3).contiguous().permute(2, 0, 1)
    return _decode_with_pillow(path)


def _decode_with_pillow(path: Path | str) -> Tensor:
    try:
        with Image.open(path) as file:
            image = _as_rgb(ImageOps.exif_transpose(file))
    except OSError as error:
        raise UndecodableImage(error.strerror or str(error)) from error
    except _DECODING_ERRORS as error:
        raise UndecodableImage(f"{type(error).__name__}: {error}") from error
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip it at 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def resize(image: Tensor, size: int) -> Tensor:
    """A uint8 image 3 x H x W squeezed into a square, bilinear and antialiased, as torchvision resizes tensors."""
    return functional.interpolate(image.unsqueeze(0), (size, size), mode="bilinear", antialias=True).squeeze(0)


def image_aspects(images: list[Path]) -> np.ndarray:
    """Width / height of each upright image, float32 N, from the headers alone; 1 where there is no readable header."""
    aspects = np.ones(len(images), dtype=np.float32)
    for index, path in enumerate(images):
        try:
            with Image.open(path) as image:
                sideways = image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS
                aspects[index] = image.height / image.width if sideways else image.width / image.height
        except (OSError, *_DECODING_ERRORS):
            continue  # it will be skipped in training
    return aspects
