"""Labels and object masks of the pretraining images from a COCO instances JSON (``data.annotations``).

Only the supervised bound, the oracle saliency maps and the kNN probe read them. Crowd regions count like any other
object, as in the multi-label lists of ``benchmarks/datasets``. An annotation whose box has no area counts for nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from pretrain.data.sources import ImageFiles
from scenebench.errors import UserError

KEY = "data.annotations"
UNIFORM = 255  # every cell of a map that says nothing of where to look


def multilabels(annotations: Path | str, images: ImageFiles) -> tuple[Tensor, Tensor]:
    """Which categories each image holds.

    Args:
        annotations: a COCO instances JSON. Its images are found among ``images`` by file name: where ``file_name`` has
            folders by the end of the path, else by the base name.
        images: the pretraining images.

    Returns:
        uint8 0/1, N x C, columns in the order of the category ids, which may have gaps; and bool, N: whether the JSON
        lists the image. A listed image may hold nothing. Rows of images that are not listed are 0.

    Raises:
        UserError: (naming ``data.annotations``) no such file, not COCO instances, an annotation of an unknown image or
            category, a name that fits several images, no image in common.
    """
    coco = _Coco.read(Path(annotations))
    labels = torch.zeros(len(images), len(coco.categories), dtype=torch.uint8)
    labelled = torch.zeros(len(images), dtype=torch.bool)
    for index, image_id in coco.ids_of(images).items():
        labelled[index] = True
        for annotation in coco.annotations[image_id]:
            labels[index, coco.categories[annotation["category_id"]]] = 1
    return labels, labelled


def object_maps(annotations: Path | str, images: ImageFiles, cells: tuple[int, int]) -> Tensor:
    """The share of each cell that any object covers, as an oracle of where the objects are.

    The image is parted into ``h x w`` equal cells, whatever its shape; shares are exact, then rounded to 8 bits. An
    object without a mask covers its box.

    Args:
        cells: (h, w).

    Returns:
        uint8, N x h x w, 255 where the cell is fully covered; 255 everywhere for an image that is not listed, has no
        object, or whose objects are too small for any cell to show them.

    Raises:
        UserError: as :func:`multilabels`, and a mask that does not fit its image.
    """
    coco = _Coco.read(Path(annotations))
    maps = torch.full((len(images), *cells), UNIFORM, dtype=torch.uint8)
    for index, image_id in coco.ids_of(images).items():
        if not coco.annotations[image_id]:
            continue
        mask = coco.union(image_id)
        height, width = mask.shape
        shares = _cell_weights(cells[0], height) @ mask @ _cell_weights(cells[1], width).T
        values = np.rint(255 * shares).astype(np.uint8)
        if values.any():
            maps[index] = torch.from_numpy(values)
    return maps


@dataclass(frozen=True)
class _Coco:
    """A checked JSON.

    Attributes:
        categories: column by category id.
        images: entry by image id.
        annotations: those with an area, by image id.
    """

    path: Path
    categories: dict[int, int]
    images: dict[Any, dict[str, Any]]
    annotations: dict[Any, list[dict[str, Any]]]

    @classmethod
    def read(cls, path: Path) -> _Coco:
        content = _read_json(path)
        try:
            columns = {
                number: column for column, number in enumerate(sorted(int(e["id"]) for e in content["categories"]))
            }
            images = {entry["id"]: entry for entry in content["images"]}
            unique = len(columns) == len(content["categories"]) and len(images) == len(content["images"])
            nameless = [entry["id"] for entry in content["images"] if not isinstance(entry["file_name"], str)]
            strangers = [
                entry
                for entry in content["annotations"]
                if entry["image_id"] not in images or entry["category_id"] not in columns
            ]
            with_area = [entry for entry in content["annotations"] if _has_area(entry)]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(
                f"{KEY}: {path} is not COCO instances: categories need an 'id', images an 'id' and a 'file_name', "
                f"annotations an 'image_id' and a 'category_id' ({type(error).__name__}: {error})"
            ) from error
        if not columns or not unique or nameless:
            raise UserError(
                f"{KEY}: {path} has no category, an image whose 'file_name' is no text, or an id that is given twice"
            )
        if strangers:
            raise UserError(
                f"{KEY}: {path}: annotation {strangers[0].get('id')} belongs to image {strangers[0]['image_id']} and "
                f"category {strangers[0]['category_id']}, which are not both listed"
            )
        by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for entry in with_area:
            by_image[entry["image_id"]].append(entry)
        return cls(path, columns, images, by_image)

    def ids_of(self, images: ImageFiles) -> dict[int, Any]:
        """The image id by index into ``images``, of those that the JSON lists."""
        by_name: dict[str, list[int]] = defaultdict(list)
        paths = [_parts(image) for image in images]
        for index, parts in enumerate(paths):
            by_name[parts[-1]].append(index)
        found: dict[int, Any] = {}
        for image_id, entry in self.images.items():
            parts = PurePosixPath(entry["file_name"].replace("\\", "/")).parts
            fitting = [index for index in by_name[parts[-1]] if paths[index][-len(parts) :] == parts] if parts else []
            if len(fitting) > 1:
                raise UserError(
                    f"{KEY}: '{entry['file_name']}' of {self.path} fits {len(fitting)} images, "
                    f"{images[fitting[0]]} and {images[fitting[1]]}; give data.root the folder that it means"
                )
            if fitting and fitting[0] in found:
                raise UserError(f"{KEY}: {self.path} lists {images[fitting[0]]} twice; name it once")
            if fitting:
                found[fitting[0]] = image_id
        if not found:
            example = next((entry["file_name"] for entry in self.images.values()), "nothing")
            raise UserError(
                f"{KEY}: {self.path} lists none of the images of data.root ('{example}' there, "
                f"{images[0]} here); give the annotations of these images"
            )
        return found

    def union(self, image_id: Any) -> NDArray[np.float64]:
        """0/1, height x width: the pixels of any object of the image."""
        entry = self.images[image_id]
        height, width = entry.get("height"), entry.get("width")
        if not (isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0):
            raise UserError(f"{KEY}: {self.path}: image '{entry['file_name']}' needs 'width' and 'height' in pixels")
        union = np.zeros((height, width), dtype=np.uint8)
        for annotation in self.annotations[image_id]:
            try:
                union |= _mask(annotation, height, width)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise UserError(
                    f"{KEY}: {self.path}: the mask of annotation {annotation.get('id')} does not fit image "
                    f"'{entry['file_name']}' of {width} x {height} pixels ({error})"
                ) from error
        return union.astype(np.float64)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{KEY}: there is no file {path}; give a COCO instances JSON")
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{KEY}: {path} is not JSON ({error}); give a COCO instances JSON") from error
    if not isinstance(content, dict):
        raise UserError(f"{KEY}: {path} is not COCO instances: it holds a {type(content).__name__}, not an object")
    return content


def _parts(image: Any) -> tuple[str, ...]:
    """Folders and base name of a file, or of a member of an archive."""
    if isinstance(image, PurePath):
        return Path(image).absolute().parts
    return PurePosixPath(image.name).parts


def _has_area(annotation: dict[str, Any]) -> bool:
    box = annotation.get("bbox")
    return not box or (box[2] > 0 and box[3] > 0)


def _mask(annotation: dict[str, Any], height: int, width: int) -> NDArray[np.uint8]:
    """0/1, height x width, of polygons, compressed or uncompressed run lengths, or the box."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        if segmentation["size"] != [height, width]:
            raise ValueError(f"its size is {segmentation['size']}")
        if isinstance(segmentation["counts"], list):
            if sum(segmentation["counts"]) != height * width:
                raise ValueError("its run lengths do not add up")
            segmentation = coco_mask.frPyObjects(segmentation, height, width)
        decoded: NDArray[np.uint8] = coco_mask.decode(segmentation)
        return decoded
    polygons = [polygon for polygon in segmentation or [] if len(polygon) >= 6]
    if not polygons:
        x, y, w, h = annotation["bbox"]
        polygons = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    # An outline is walked pixel by pixel: a stray coordinate of 1e9 would take all memory.
    reach = 2.0 * max(height, width)
    clipped = [np.clip(np.array(polygon, dtype=np.float64), -reach, 2 * reach).tolist() for polygon in polygons]
    outline: NDArray[np.uint8] = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(clipped, height, width)))
    return outline


def _cell_weights(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share of each cell that each pixel fills along one side: cells x pixels, rows of sum 1."""
    edges = np.linspace(0, pixels, cells + 1)
    first = np.maximum(edges[:-1, None], np.arange(pixels)[None])
    last = np.minimum(edges[1:, None], np.arange(1, pixels + 1)[None])
    weights: NDArray[np.float64] = np.clip(last - first, 0, None) * (cells / pixels)
    return weights
