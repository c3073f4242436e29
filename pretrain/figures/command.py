"""``scenebench figures``: the pictures of a run drawn again, from its recipe and a checkpoint.

Reads only, and on the CPU, so that a run that is training in the folder is left alone: nothing is locked, and the
device's memory is the run's. Pictures appear all at once, by rename, and replace nothing but the run's own.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from pretrain.checkpoint import load_checkpoint, load_checkpoint_of_step, restore
from pretrain.data.sources import ImageFile, list_images
from pretrain.data.sources.description import describe_source
from pretrain.figures import draw_figures, has_figures
from pretrain.figures.thumbnails import in_epochs
from pretrain.methods.base import build_method
from pretrain.recipes.method_registry import method_names
from pretrain.recipes.recipe import Recipe
from pretrain.run_data import RunData, require_same_data
from pretrain.run_folder import CHECKPOINTS, RECIPE, recipe_of
from scenebench.errors import UserError
from scenebench.overwriting import refuse_to_replace

_TRIES = 5  # a run that is training may delete a checkpoint while it is read


def draw_run(run: Path, out: Path | None = None, step: int | None = None, overwrite: bool = False) -> list[Path]:
    """Draw all figures of the method that ``run`` trains or has trained.

    Args:
        run: a run's folder, finished or not.
        out: where the pictures go; None: ``run/figures``.
        step: of the checkpoint; None: the newest sound one.
        overwrite: replace files of the pictures' names, which are else replaced in ``run/figures`` only.

    Returns:
        The pictures.

    Raises:
        UserError: no run's folder, a method without figures, no checkpoint (of that step), or its images are gone or
            have changed, or a picture would replace a file.
    """
    if not (run / RECIPE).is_file():
        raise UserError(f"{run}: holds no {RECIPE}: not a pretraining run; give the folder of 'scenebench pretrain'")
    recipe = recipe_of(run)
    if not has_figures(recipe.method):
        able = ", ".join(name for name in method_names() if has_figures(name))
        raise UserError(f"{run}: method {recipe.method} has no figures of its own; {able} have")
    images = _images_of(run, recipe)
    state = _checkpoint(run, step)
    require_same_data(RunData.kept(state), RunData.found(recipe, images, describe_source(images)), recipe, run)
    if recipe.run.threads is not None:
        torch.set_num_threads(recipe.run.threads)
    method = build_method(recipe, images)
    if recipe.run.precision == "float64":
        method.double()
    restore(method, state["method"], run)
    epochs = state["step"] / recipe.steps_per_epoch(len(images))
    print(f"{run}: step {state['step']}, after {in_epochs(epochs)} of {recipe.schedule.epochs}", flush=True)
    own = run / "figures"
    folder = own if out is None else out
    is_own = folder.resolve() == own.resolve()
    _make(folder)
    with TemporaryDirectory(dir=folder, prefix=".figures.") as temporary:
        drawn = draw_figures(method, Path(temporary), epochs)
        for picture in drawn:
            read = [image for image in images if isinstance(image, Path) and image.name == picture.name]
            target = folder / picture.name
            is_ours = partial(_is_renewed, picture, is_own)
            refuse_to_replace(target, read, overwrite=overwrite, is_ours=is_ours)
        return [picture.replace(folder / picture.name) for picture in drawn]


def _is_renewed(picture: Path, is_own: bool, there: Path) -> bool:
    """Whether nothing is lost with the file ``there``: it is the run's own, or equal to ``picture``."""
    return is_own or there.read_bytes() == picture.read_bytes()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error


def _images_of(run: Path, recipe: Recipe) -> list[ImageFile]:
    try:
        return list_images(recipe.data.root, recipe.data.images, run)
    except UserError as error:
        relative = not Path(recipe.data.root).is_absolute()
        hint = " (relative: call from the folder that the run was started in)" if relative else ""
        raise UserError(f"{run / RECIPE}: {error}{hint}") from error


def _checkpoint(run: Path, step: int | None) -> dict[str, Any]:
    folder = run / CHECKPOINTS
    for _ in range(_TRIES):
        try:
            if step is not None:
                return load_checkpoint_of_step(folder, step)
            state = load_checkpoint(folder)
        except FileNotFoundError:
            continue  # the run has written a newer one
        if state is not None:
            return state
        break
    raise UserError(f"{run}: holds no sound checkpoint yet; 'scenebench pretrain' writes one after each epoch")
