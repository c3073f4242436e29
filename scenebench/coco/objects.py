"""One annotation of a COCO JSON as an object with a box, a mask and an area."""

from __future__ import annotations

from dataclasses import dataclass, field

from pycocotools import mask as coco_mask

from scenebench.coco import boxes
from scenebench.coco.boxes import CONTRADICTED, Box
from scenebench.coco.document import Annotation
from scenebench.coco.masks import Rle, box_as_mask, read_mask
from scenebench.coco.mends import BOX_FOR_MASK, CLIPPED, CONTRADICTS, EMPTY_MASK, NO_BOX, ZERO_BOX, Mend
from scenebench.coco.values import as_float, is_number
from scenebench.errors import UserError

_CLIPPED_PIXELS = 0.5
"""Less than this beyond the border is rounding, not a mistake worth counting."""


@dataclass(frozen=True)
class CocoObject:
    """An object of an image.

    Attributes:
        category: index into the file's categories.
        box: inside the image.
        rle: the mask; at least one pixel.
        area: as the file says, where it says one and the mask is whole; else the number of the mask's pixels.
        crowd: the mask covers a group that nobody counted.
    """

    category: int
    box: Box
    rle: Rle
    area: float
    crowd: bool


@dataclass
class Reading:
    """What became of an annotation.

    Attributes:
        object: None where it had to be dropped.
        mends: what was mended, in order.
        evidence: what its box says of the file's boxes, for ``boxes.fault_of``.
    """

    object: CocoObject | None = None
    mends: list[Mend] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)


class AnnotationFault(UserError):
    """An annotation that cannot be read; ``kind`` as ``scenebench data check`` names it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_object(annotation: Annotation, width: int, height: int, image: str) -> Reading:
    """Read an annotation of an image of ``width`` x ``height`` pixels.

    Box and area stay those of the file (the box clipped to the image); a box that contradicts its mask gives way to the
    mask's own.

    Args:
        image: the file name, for errors.

    Raises:
        AnnotationFault: a box that is not four numbers, a mask in no COCO format or of another size, or neither.
    """
    content = annotation.content
    reading = Reading()
    try:
        rle, dropped = read_mask(content.get("segmentation"), width, height)
    except ValueError as error:
        raise mask_fault(annotation, width, height, image, error) from error
    reading.mends += dropped
    said = read_box_of(annotation, image)
    if said is None and rle is None:
        raise AnnotationFault("box", f"{annotation.name} of image '{image}': neither a 'bbox' nor a 'segmentation'")
    covered = 0 if rle is None else int(coco_mask.area(rle))
    box = said
    if box is None:
        reading.mends += [NO_BOX] if covered else []
        box = tuple(coco_mask.toBbox(rle).tolist())
    elif not annotation.crowd and not dropped:
        reading.evidence = _evidence(box, rle, covered, width, height, content.get("segmentation"))
    clipped = boxes.clip(box, width, height)
    if clipped is None:
        reading.mends.append(EMPTY_MASK if said is None else ZERO_BOX)
        return reading
    if rle is None:
        rle = box_as_mask(boxes.corners(clipped), width, height)
        covered = int(coco_mask.area(rle))
        reading.mends.append(BOX_FOR_MASK)
    if covered == 0:
        reading.mends.append(EMPTY_MASK)
        return reading
    if CONTRADICTED in reading.evidence:
        reading.mends.append(CONTRADICTS)
        clipped = tuple(coco_mask.toBbox(rle).tolist())
    elif _distance(box, clipped) > _CLIPPED_PIXELS:
        reading.mends.append(CLIPPED)
    area = content.get("area")
    of_file = as_float(area) if area is not None and is_number(area) and not dropped else 0.0
    area = of_file if 0.0 < of_file < float("inf") else float(covered)
    reading.object = CocoObject(annotation.category, clipped, rle, area, annotation.crowd)
    return reading


def read_box_of(annotation: Annotation, image: str) -> Box | None:
    """The annotation's box as it stands in the file; None where it has none.

    Raises:
        AnnotationFault: it is not four numbers.
    """
    try:
        return boxes.read_box(annotation.content.get("bbox"))
    except ValueError as error:
        raise AnnotationFault("box", f"{annotation.name} of image '{image}': {error}") from error


def mask_fault(annotation: Annotation, width: int, height: int, image: str, error: ValueError) -> AnnotationFault:
    """What is said of a mask that cannot be read."""
    place = f"image '{image}' of {width} x {height} pixels"
    return AnnotationFault("mask", f"the mask of {annotation.name} does not fit {place}: {error}")


def _evidence(box: Box, rle: Rle | None, covered: int, width: int, height: int, segmentation: object) -> list[str]:
    if rle is None:
        return boxes.look_at(box, width, height)
    return boxes.compare(box, rle, width, height, isinstance(segmentation, dict)) if covered else []


def _distance(box: Box, clipped: Box) -> float:
    pairs = zip(boxes.corners(box), boxes.corners(clipped), strict=True)
    return max(abs(one - other) for one, other in pairs)
