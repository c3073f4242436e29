"""Where the images and maps of a split lie, in the words of MMSegmentation's data set class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.datasets.folder import IGNORED
from benchmarks.datasets.photos.sets import SETS
from benchmarks.datasets.readers.ade20k import FOLDERS as ADE20K_FOLDERS
from benchmarks.datasets.readers.ade20k import PREPARED as ADE20K_MAPS
from scenebench.errors import UserError
from scenebench.files import write_text
from scenebench.progress import Progress


@dataclass(frozen=True)
class SemanticLayout:
    """Image ``folder/stem + suffix`` has its map at ``map_folder/stem + map_suffix``; a stem may hold folders.

    Attributes:
        listed: text file with the stems that take part, one a line.
    """

    folder: Path
    map_folder: Path
    suffix: str
    map_suffix: str
    listed: Path

    def stem(self, image: Path) -> str:
        """The stem of an image of this layout."""
        return image.relative_to(self.folder).as_posix().removesuffix(self.suffix)


def semantic_layout(dataset: str, root: Path, split: str, listed: Path) -> SemanticLayout:
    """The layout of ``split``: of a data set of the registry, or of a prepared folder (``dataset`` empty, or a small
    set of photographs).

    Nothing is opened, so that it can be asked for where there are no data.
    """
    if dataset == "cityscapes":
        folders = root / "leftImg8bit" / split, root / "gtFine" / split
        return SemanticLayout(*folders, "_leftImg8bit.png", "_gtFine_labelTrainIds.png", listed)
    if dataset in ("voc2012", "voc2012aug"):
        maps = "SegmentationClassAug" if (dataset, split) == ("voc2012aug", "train") else "SegmentationClass"
        return SemanticLayout(root / "JPEGImages", root / maps, ".jpg", ".png", listed)
    if dataset == "ade20k":
        folders = root / "images" / ADE20K_FOLDERS[split], root / ADE20K_MAPS / ADE20K_FOLDERS[split]
        return SemanticLayout(*folders, ".jpg", ".png", listed)
    if dataset and dataset not in SETS:
        raise UserError(
            f"data.dataset: '{dataset}' has no semantic maps; take ade20k, cityscapes, voc2012 or voc2012aug"
        )
    return SemanticLayout(root / "images" / split, root / "semantic" / split, ".jpg", ".png", listed)


def write_list(layout: SemanticLayout, images: Sequence[Path]) -> None:
    """Write the file that names the images that take part, in their order."""
    write_text(layout.listed, "".join(f"{layout.stem(image)}\n" for image in images))


def require_labels(maps: Sequence[Path], classes: int, what: str, all_occur: bool = False) -> None:
    """Decode every map once and look at its values, before a loss fails on them in the middle of training.

    Args:
        classes: their number, with the background.
        all_occur: the maps are known to hold every class. Then a last class that never occurs gives away maps that
            count classes from 0 and call the background 255.

    Raises:
        UserError: a map cannot be decoded, is no map of 8-bit labels, or holds a value that is no class and not 255;
            or the classes are 0-based where 0 is the background.
    """
    seen: set[int] = set()
    progress = Progress(len(maps), f"checking {what} maps")
    for path in maps:
        try:
            with Image.open(path) as image:
                labels = np.asarray(image)
        except (OSError, SyntaxError, ValueError) as error:
            raise UserError(f"{path}: cannot be decoded ({error}); repair it or remove it") from error
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise UserError(f"{path}: is no map of 8-bit labels, but {labels.dtype} of shape {labels.shape}")
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256))
        foreign = [int(value) for value in present if classes <= value != IGNORED]
        if foreign:
            raise UserError(
                f"{path}: holds label {foreign[0]}; the {classes} classes are 0-{classes - 1}, and {IGNORED} is ignored"
            )
        seen.update(present.tolist())
        progress.advance()
    last = classes - 1
    if all_occur and last not in seen and {*range(last), IGNORED} <= seen:
        raise UserError(
            f"{maps[0].parent}: the maps hold 0-{last - 1} and {IGNORED} and never {last}: 0-based classes, "
            "where 0 is the background and classes start at 1"
        )
