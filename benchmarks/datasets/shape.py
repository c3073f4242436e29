"""Which shapes of pictures detection and segmentation can be evaluated on."""

from __future__ import annotations

MOST_ELONGATED = 100
"""The longer side by the shorter one. Every protocol bounds the longer side (the demos at 192 pixels, halved by random
scales), and resizing leaves nothing of the shorter one where it comes out below half a pixel."""


def shape_problem(width: int, height: int) -> str:
    """What is wrong with the shape of a picture of so many pixels; "" where nothing is."""
    if max(width, height) <= MOST_ELONGATED * min(width, height):
        return ""
    return (
        f"{width} x {height} pixels: one side is more than {MOST_ELONGATED} times the other, and the toolboxes' "
        "resizing leaves nothing of it"
    )
