"""The folder of a run: whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from pretrain.checkpoint import has_checkpoint
from pretrain.recipes.recipe import Recipe, read_saved_recipe
from scenebench.config import flatten, read_yaml
from scenebench.errors import UserError
from scenebench.files import write_text

BACKBONE = "backbone.safetensors"
RECIPE = "recipe.yaml"
CHECKPOINTS = "checkpoints"
# A folder with one of these and without a recipe is somebody else's.
_FOREIGN = ("record.json", "dataset.json", BACKBONE)


def check_owner(out: Path, recipe: Recipe) -> bool:
    """Whether ``out`` already holds the finished backbone of this very recipe, wherever its data lie.

    Raises:
        UserError: it belongs to another recipe (what differs is listed) or to something else.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; --out must be a folder")
    if not (out / RECIPE).is_file():
        foreign = [name for name in _FOREIGN if (out / name).exists()]
        if foreign:
            raise UserError(f"{out}: holds {foreign[0]} but no {RECIPE}: not a pretraining run; choose another folder")
        return False
    there = recipe_of(out)
    differences = _differences(there, recipe)
    if differences:
        raise UserError(f"{out}: belongs to another recipe ({'; '.join(differences)}); choose another folder")
    return (out / BACKBONE).is_file()


def changed_places(out: Path, recipe: Recipe) -> dict[str, tuple[str, str]]:
    """By key, where the run in ``out`` said that its data lie, and where ``recipe`` says it, where the two differ."""
    if not (out / RECIPE).is_file():
        return {}
    before, now = recipe_of(out).places(), recipe.places()
    keys = before.keys() | now.keys()
    pairs = {f"data.{key}": (before.get(key, ""), now.get(key, "")) for key in sorted(keys, reverse=True)}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def recipe_of(out: Path) -> Recipe:
    """The resolved recipe of a run's folder, which must have one."""
    return read_saved_recipe(read_yaml(out / RECIPE), where=str(out / RECIPE))


@contextmanager
def claimed(out: Path, recipe: Recipe) -> Iterator[None]:
    """Write the resolved recipe, which makes the folder this run's.

    Where the run fails before its first checkpoint it is taken back: nothing of the recipe is in the folder, and the
    corrected command may use it. A log that was begun stays; the next run drops it.
    """
    text = yaml.safe_dump(recipe.to_plain(), sort_keys=False, allow_unicode=True)
    write_text(out / RECIPE, text)
    try:
        yield
    except BaseException:
        if not has_checkpoint(out / CHECKPOINTS) and not (out / BACKBONE).exists():
            (out / RECIPE).unlink(missing_ok=True)
        raise


def _differences(there: Recipe, here: Recipe) -> list[str]:
    """The keys in which two recipes' identities differ, with both values; an identity leaves defaults out."""
    old, new = flatten(there.identity()), flatten(here.identity())
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    theirs, ours = flatten(there.to_plain()), flatten(here.to_plain())
    return [f"{key}: {theirs.get(key)} there, {ours.get(key)} here" for key in keys]
