"""Pictures of what a method has learnt, drawn from its state: at the end of a run, and by ``scenebench figures``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

DRAWN = {"mls": "pretrain.figures.mls", "saliency": "pretrain.figures.saliency"}
"""Methods that have pictures, and the modules whose ``draw_all`` draws them."""


def draw_figures(method: Any, folder: Path, epochs: float) -> list[Path]:
    """The pictures of a method's own state after ``epochs`` of training; none where it has none."""
    name = method.recipe.method
    return importlib.import_module(DRAWN[name]).draw_all(method, folder, epochs) if name in DRAWN else []
