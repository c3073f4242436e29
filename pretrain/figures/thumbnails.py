"""What the figures have in common: square thumbnails, boxes and maps on them, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from pretrain.data.images import UndecodableImage, decode_image
from pretrain.data.sources import ImageFile
from pretrain.data.views import resize
from scenebench.files import replacing

THUMBNAIL = 224  # pixels
GREY = 127  # of what cannot be decoded any more


def show(axis: Axes, file: ImageFile, title: str = "") -> None:
    """The whole image, squeezed to a square; grey where it cannot be decoded (any more: a long run has read it)."""
    try:
        thumbnail = resize(decode_image(file), THUMBNAIL)
    except UndecodableImage:
        thumbnail = torch.full((3, THUMBNAIL, THUMBNAIL), GREY, dtype=torch.uint8)
    axis.imshow(thumbnail.permute(1, 2, 0).numpy())
    if title:
        axis.set_title(title, fontsize=8, pad=2)


def show_under_map(axis: Axes, file: ImageFile, saliency_map: np.ndarray, title: str = "") -> None:
    """The image under a map h x w in [0, 1]: dark 0, bright 1.

    The image is grey and of little contrast, since its own brightness and colour would be taken for the map's.
    """
    show(axis, file, title)
    [picture] = axis.images
    grey = np.asarray(picture.get_array()).mean(axis=2, keepdims=True)
    picture.set_data((0.5 * (grey - GREY) + GREY).astype(np.uint8).repeat(3, axis=2))
    axis.imshow(
        saliency_map, cmap="inferno", vmin=0, vmax=1, alpha=0.65, interpolation="bicubic",
        extent=(0, THUMBNAIL, THUMBNAIL, 0),
    )  # fmt: skip


def outline(axis: Axes, box: Tensor | np.ndarray, colour: str, width: float, dashed: bool = False) -> None:
    """A box, xyxy shares of the image, on its thumbnail."""
    left, top, right, bottom = (float(side) * THUMBNAIL for side in box)
    style = "--" if dashed else "-"
    rectangle = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=width, linestyle=style
    )
    rectangle.set_clip_on(False)
    axis.add_patch(rectangle)


def in_epochs(epochs: float) -> str:
    """``1 epoch``, ``2.5 epochs``."""
    number = f"{round(epochs, 2):g}"
    return f"{number} epoch{'' if number == '1' else 's'}"


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, by rename."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    return path
