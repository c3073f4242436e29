"""``docs/figures/scenes.jpg``: scenes of four boards, one a row. ``python -m docs.generate.scenes_picture``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.scenes import ScenesSpec, render_scene

FIGURE = Path(__file__).parents[1] / "figures" / "scenes.jpg"
ROWS = (
    ScenesSpec(seed=3),
    ScenesSpec(seed=3, texture=0.0, palette=0.0, surroundings=0.0, cooccurrence=0.0),
    ScenesSpec(seed=3, variant="hard"),
    ScenesSpec(seed=3, version=1),
)
COLUMNS = 8
_GAP = 4


def picture() -> NDArray[np.uint8]:
    """The rows of scenes on white, uint8 H x W x 3."""
    step = ROWS[0].size + _GAP
    canvas = np.full((len(ROWS) * step - _GAP, COLUMNS * step - _GAP, 3), 255, dtype=np.uint8)
    for row, spec in enumerate(ROWS):
        for column in range(COLUMNS):
            top, left = row * step, column * step
            canvas[top : top + spec.size, left : left + spec.size] = render_scene(spec, column).image
    return canvas


if __name__ == "__main__":
    Image.fromarray(picture()).save(FIGURE, quality=90)
