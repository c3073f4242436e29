"""How to run a record again: the exact commands, every text of the record quoted for the shell."""

from __future__ import annotations

import shlex
from functools import cache
from typing import Any

from benchmarks.records.collect import row_recipe
from benchmarks.records.record import Record
from benchmarks.report.escaping import clip, one_line
from pretrain.recipes.recipe import load_recipe
from pretrain.recipes.recipe_files import recipe_names
from scenebench.config import flatten, override

MAX_WORD = 200
"""Longest argument of a command line that is shown, in characters."""


def rerun_commands(record: Record) -> list[str]:
    """Command lines that repeat the run; what differs from machine to machine is in capitals."""
    backbone, lines = record.backbone, []
    subject = "BACKBONE.safetensors"
    if backbone.origin == "reference":
        subject = f"reference:{backbone.method}"
    elif backbone.recipe_name:
        words = [backbone.recipe_name, *_overrides(record)]
        words = [*map(_quote, words), f"seed={backbone.seed}", "data.root=DATA/images/train"]
        if flatten(backbone.recipe).get("data.annotations"):
            words.append("data.annotations=DATA/annotations/instances_train.json")
        lines.append(f"scenebench pretrain {' '.join(words)} --out BACKBONE")
        subject = "BACKBONE/backbone.safetensors"
    lines.append(
        f"scenebench evaluate {_quote(subject)} --protocol {_quote(record.protocol.id)} --data DATA "
        f"--seed {record.seed} --label {_quote(backbone.label)} --out OUT"
    )
    if record.suite:
        lines.append(f"scenebench run {_quote(record.suite)} --out OUT    # the whole suite")
    return lines


def _overrides(record: Record) -> list[str]:
    """What the backbone's recipe has otherwise than the recipe of that name that comes with the suite."""
    if record.backbone.recipe_name not in _known_recipes():
        return []
    shipped = _shipped_recipe(record.backbone.recipe_name)
    own = flatten(row_recipe(record))
    changed = {key: own[key] for key in shipped if key in own and own[key] != shipped[key]}
    return [override(key, clip(value, MAX_WORD) if isinstance(value, str) else value) for key, value in changed.items()]


@cache
def _known_recipes() -> frozenset[str]:
    return frozenset(recipe_names())


@cache
def _shipped_recipe(name: str) -> dict[str, Any]:
    return flatten(load_recipe(name).to_plain())


def _quote(text: str) -> str:
    return shlex.quote(clip(text if text.isprintable() else one_line(text), MAX_WORD))
