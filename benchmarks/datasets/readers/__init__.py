"""Readers of the official layouts: ``read_official("voc2007", root)`` gives images and annotations as plain values."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.datasets.samples import Fault, OfficialData, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import require_choice

_HERE = "benchmarks.datasets.readers"
_READERS = {
    "ade20k": "ade20k:read_ade20k",
    "aircraft": "small_sets:read_aircraft",
    "cars": "small_sets:read_cars",
    "cityscapes": "cityscapes:read_cityscapes",
    "coco2017": "coco:read_coco2017",
    "cub200": "small_sets:read_cub200",
    "dtd": "small_sets:read_dtd",
    "flowers102": "small_sets:read_flowers102",
    "imagenet": "imagenet:read_imagenet",
    "indoor67": "small_sets:read_indoor67",
    "pets": "small_sets:read_pets",
    "salient_objects": "salient_objects:read_salient_objects",
    "scenes": "scenes:read_scenes",
    "voc": "voc:read_voc",
    "voc0712": "voc:read_voc0712",
    "voc2007": "voc:read_voc",
    "voc2012": "voc:read_voc",
    "voc2012aug": "voc:read_voc2012aug",
}
READABLE = tuple(_READERS)


def read_official(name: str, root: Path | str | Tree, fault: Fault = strict) -> OfficialData:
    """Read a data set of the registry from its official layout. Images are found, not opened.

    Args:
        name: its name in the registry.
        root: the folder that the registry's layout describes.
        fault: told of each fault; the default raises at the first.

    Raises:
        UserError: unknown name, no such folder, a missing list, an unreadable annotation file.
    """
    require_choice("data set", name, READABLE)
    module, _, function = _READERS[name].partition(":")
    read: Callable[..., OfficialData] = getattr(importlib.import_module(f"{_HERE}.{module}"), function)
    tree = root if isinstance(root, Tree) else Tree(root)
    if name in ("voc2007", "voc2012"):
        from benchmarks.datasets.readers.voc import VOC_CLASSES

        return read(tree, fault, name, list(VOC_CLASSES))
    return read(tree, fault)
