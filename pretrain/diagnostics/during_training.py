"""What a method goes by, held against the truth while it is learnt, where ``data.annotations`` gives it.

What is measured of method ``mls`` is the module ``mls`` beside this one, whose ``Measures`` measures and draws it; a
method without one has no diagnostics. Training reads nothing of it, and a run with the diagnostics is equal to the bit
to one without. They are written to ``RUN/diagnostics`` as CSV, a line an epoch, and drawn in
``RUN/figures/diagnostics_*.png``.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import time
from pathlib import Path

import torch

from pretrain.data.annotations import KEY
from pretrain.data.sources import ImageFiles
from pretrain.diagnostics.files import ABOUT, FOLDER, replace_rows
from pretrain.methods.base import Method
from pretrain.recipes.method_registry import method_names
from pretrain.recipes.recipe import Recipe
from scenebench.config import config_hash, to_plain
from scenebench.errors import UserError
from scenebench.files import write_text

_PACKAGE = "pretrain.diagnostics"


def has_diagnostics(method: str) -> bool:
    """Whether something of this method can be held against the truth."""
    spec = importlib.util.find_spec(f"{_PACKAGE}.{method}")
    return spec is not None and method in method_names()


class Diagnostics:
    """Measures every ``diagnostics.every_epochs`` epochs, and before training; the same images and crops each time.

    Raises:
        UserError: asked for without ``data.annotations``, for a method that has neither pseudo-labels nor maps, or
            where no image has an object.
    """

    def __init__(self, recipe: Recipe, images: ImageFiles, out: Path) -> None:
        self.recipe, self.images, self.folder = recipe, images, out / FOLDER
        self.every = recipe.diagnostics.every_epochs
        if self.every is None:
            return
        if not has_diagnostics(recipe.method):
            able = " and ".join(name for name in method_names() if has_diagnostics(name))
            raise UserError(
                f"diagnostics.every_epochs: {recipe.method} has neither pseudo-labels nor saliency maps ({able} have); "
                "set diagnostics.every_epochs=null"
            )
        measures = importlib.import_module(f"{_PACKAGE}.{recipe.method}").Measures
        human = recipe.diagnostics.human_root
        if human and not measures.HAS_MAPS:
            raise UserError(
                f"diagnostics.human_root: {recipe.method} has no saliency maps to hold against {human}; leave it away"
            )
        if not recipe.data.annotations and not human:
            raise UserError(
                f"diagnostics.every_epochs: {self.every} needs the truth; add {KEY}=FILE, a COCO instances JSON, or "
                "set diagnostics.every_epochs=null"
            )
        self.measures = measures(recipe, images)
        if not self.measures.usable:
            raise UserError(f"{KEY}: none of the images that the diagnostics read holds an object")

    def at_epoch_boundary(self, method: Method, step: int, steps_per_epoch: int) -> float:
        """Measure, if it is due after ``step`` finished steps; the seconds it took.

        To be called wherever an epoch has just ended or a run starts or goes on, in one process that sees itself as the
        only one (:func:`pretrain.distributed.only_main`): it reads whole batches, so that what is found does not depend
        on how many processes train. What a file says of this step or later ones, left by a run that went on from here,
        is replaced.
        """
        if self.every is None or step % (self.every * steps_per_epoch):
            return 0.0
        started = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            tables = self.measures.tables(method)
        self._write_about()
        for name, rows in tables.items():
            epoch = step // steps_per_epoch
            replace_rows(self.folder / name, step, [{"epoch": epoch, "step": step, **row} for row in rows])
        return time.monotonic() - started

    def draw(self, figures: Path) -> list[Path]:
        """Draw what was measured."""
        if self.every is None:
            return []
        drawn: list[Path] = self.measures.draw(self.folder, figures)
        return drawn

    def _write_about(self) -> None:
        """Whose they are, so that the folder can be copied away from its run."""
        recipe = self.recipe
        content = {"recipe": recipe.name, "method": recipe.method, "seed": recipe.seed}
        content |= {"identity": config_hash(recipe.identity()), "epochs": recipe.schedule.epochs}
        content |= {"settings": recipe.to_plain()[recipe.method], "views": to_plain(recipe.views)}
        write_text(self.folder / ABOUT, json.dumps(content, indent=1, sort_keys=True) + "\n")
