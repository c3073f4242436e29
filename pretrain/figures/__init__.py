"""Pictures of what a method has learnt, drawn from its state: at the end of a run, and by ``scenebench figures``.

Those of method ``mls`` are in the module ``mls`` here, whose ``draw_all`` draws them; a method without one has none.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any


def has_figures(method: str) -> bool:
    """Whether there are pictures of this method."""
    return importlib.util.find_spec(f"{__name__}.{method}") is not None


def draw_figures(method: Any, folder: Path, epochs: float) -> list[Path]:
    """The pictures of a method's own state after ``epochs`` of training; none where it has none."""
    name = method.recipe.method
    return importlib.import_module(f"{__name__}.{name}").draw_all(method, folder, epochs) if has_figures(name) else []
