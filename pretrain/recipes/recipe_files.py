"""The recipes that come with scenebench, by name, and how a call names one."""

from __future__ import annotations

from pathlib import Path

from pretrain.recipes.data import PATH_KEYS
from scenebench.config import override
from scenebench.errors import UserError, did_you_mean

RECIPE_FOLDER = Path(__file__).parent


def recipe_names() -> list[str]:
    """Names of the recipes that come with the suite."""
    return sorted(path.stem for path in RECIPE_FOLDER.glob("*.yaml"))


def find_recipe(name_or_path: str) -> Path:
    """The file of a recipe that is named, or whose path is given.

    Raises:
        UserError: no recipe of that name; a path is not looked at.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)  # read_yaml says so where it is missing
    if name_or_path not in recipe_names():
        nearest = did_you_mean(name_or_path, recipe_names())
        raise UserError(f"unknown recipe '{name_or_path}'{nearest}; a name, or the path of a .yaml file")
    return RECIPE_FOLDER / f"{name_or_path}.yaml"


def names_kept(pair: str) -> str:
    """An override whose value is the name of a file in quotes, where YAML would read something else in it."""
    key, _, value = pair.partition("=")
    return override(key, value) if key in PATH_KEYS and value[:1] not in ("'", '"') else pair
