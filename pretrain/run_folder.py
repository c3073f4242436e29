"""The folder of a run: whose it is, and that only one process at a time trains in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pretrain.recipe import Recipe
from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError
from scenebench.files import write_text

BACKBONE = "backbone.safetensors"
RECIPE = "recipe.yaml"
# A folder with one of these and without a recipe is somebody else's.
_FOREIGN = ("record.json", "dataset.json", BACKBONE)


def check_owner(out: Path, recipe: Recipe) -> bool:
    """Whether ``out`` already holds the finished backbone of this very recipe.

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
    there = load_config(Recipe, read_yaml(out / RECIPE), where=str(out / RECIPE))
    differences = _differences(there.identity(), recipe.identity())
    if differences:
        raise UserError(f"{out}: belongs to another recipe ({'; '.join(differences)}); choose another folder")
    return (out / BACKBONE).is_file()


def claim(out: Path, recipe: Recipe) -> None:
    """Write the resolved recipe, which makes the folder this run's."""
    text = yaml.safe_dump(recipe.to_plain(), sort_keys=False, allow_unicode=True)
    write_text(out / RECIPE, text)


@contextmanager
def only_process(out: Path) -> Iterator[None]:
    """Hold the folder's lock; wait, saying so, while another process trains in it.

    The kernel frees the lock when its holder ends, however it ends, so a stale lock cannot be left behind. A training
    process that outlived the command that started it is simply waited for.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / ".lock", "a+")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise UserError(f"{out}: cannot write there ({error.strerror}); choose another folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(f"{out}: process {lock.read().strip() or '?'} is training here; waiting until it ends", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _differences(there: dict[str, Any], here: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key in sorted(there.keys() | here.keys()):
        old, new = there.get(key), here.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            lines.append(f"{prefix}{key}: {old} there, {new} here")
    return lines
