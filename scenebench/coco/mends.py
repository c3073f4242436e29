"""What is mended or left out of an annotation: counted by whoever prepares data, named by whoever checks them."""

from __future__ import annotations

from typing import NamedTuple


class Mend(NamedTuple):
    """One kind of mending.

    Attributes:
        counted: follows a number in a summary.
        kind: of the fault, as ``scenebench data check`` names them.
        found: what is wrong with the one annotation.
    """

    counted: str
    kind: str
    found: str


ZERO_BOX = Mend("instances dropped: their box has no area inside the image", "box", "bbox has no area inside the image")
EMPTY_MASK = Mend("instances dropped: their mask covers no pixel", "mask", "its mask covers no pixel")
CLIPPED = Mend("boxes clipped to the image", "box", "bbox reaches out of the image")
CONTRADICTS = Mend(
    "boxes that contradict their masks: the mask's own box is used", "box", "bbox contradicts the box of its mask"
)
NO_BOX = Mend("instances without a box: the mask's own box is used", "box", "has no bbox of four numbers")
BOX_FOR_MASK = Mend(
    "instances without a mask: THE BOX STANDS IN, so mask AP and mIoU measure boxes", "mask", "has no segmentation"
)
ODD_PART = Mend(
    "parts of masks dropped: an odd number of coordinates", "mask", "a polygon has an odd number of coordinates"
)
SHORT_PART = Mend(
    "parts of masks dropped: fewer than three points", "mask", "a polygon is not a list of at least three points"
)
ENDLESS_PART = Mend(
    "parts of masks dropped: a coordinate is NaN or infinite", "mask", "a polygon holds NaN or an infinite coordinate"
)
PARTS = (ODD_PART, SHORT_PART, ENDLESS_PART)
