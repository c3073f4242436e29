"""Decoding images: whatever people keep becomes uint8 RGB, or is said to be undecodable."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from pretrain.data.sources import ImageFile, ImageFiles
from pretrain.data.sources.image_file import open_image_file, read_image_file
from scenebench.pictures import DECODING_ERRORS, UnclearPicture, depth_of, to_rgb

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # values of the tag that swap width and height


class UndecodableImage(Exception):
    """A file that is no complete image."""


def decode_image(file: ImageFile | str) -> Tensor:
    """Decode a file as RGB by the rule of :mod:`scenebench.pictures`, turned upright by its EXIF tag.

    Returns:
        uint8, 3 x H x W, physically channels-last.

    Raises:
        UndecodableImage: missing, truncated, empty, no image, or its values do not say what is white; the message says
            why.
        UserError: the tar that it is in has changed since the run began.
    """
    try:
        content = read_image_file(file)
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
    return _decode_with_pillow(file)


def _decode_with_pillow(file: ImageFile | str) -> Tensor:
    try:
        with open_image_file(file) as stream, Image.open(stream) as opened:
            depth = depth_of(opened)
            image = to_rgb(ImageOps.exif_transpose(opened), depth)
    except UnclearPicture as error:
        raise UndecodableImage(str(error)) from error
    except UnidentifiedImageError as error:
        raise UndecodableImage("empty, cut short, or no image of a known kind") from error
    except OSError as error:
        raise UndecodableImage(error.strerror or str(error)) from error
    except DECODING_ERRORS as error:
        raise UndecodableImage(f"{type(error).__name__}: {error}") from error
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def resize(image: Tensor, size: int) -> Tensor:
    """A uint8 image 3 x H x W squeezed into a square, bilinear and antialiased, as torchvision resizes tensors."""
    return functional.interpolate(image.unsqueeze(0), (size, size), mode="bilinear", antialias=True).squeeze(0)


def image_size(file: ImageFile | str) -> tuple[int, int] | None:
    """Width and height of an image turned upright, from its header alone; None where there is no readable header."""
    try:
        with open_image_file(file) as stream, Image.open(stream) as image:
            sideways = image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS
            return (image.height, image.width) if sideways else (image.width, image.height)
    except (OSError, *DECODING_ERRORS):
        return None


def image_aspects(images: ImageFiles) -> np.ndarray:
    """Width / height of each upright image, float32 N; 1 where there is no readable header (training skips it)."""
    sizes = [image_size(file) or (1, 1) for file in images]
    return np.array([width / height for width, height in sizes], dtype=np.float32)
