"""Groups of suites, and sizes: from what was asked for to the suites that are run as one graph."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.suites.forks import seeds_needed
from benchmarks.suites.suite import (
    SUITES,
    Suite,
    find_suite,
    load_suite,
    scenes_spec,
    suite_names,
)
from pretrain.recipes.recipe import load_recipe
from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError, require_choice

SIZES = Path(__file__).parent / "sizes" / "sizes.yaml"
UNTRAINED = "random_init"


@dataclass
class _Size:
    """What a size means to a suite.

    Attributes:
        suffix: of the suite's file.
        seeds: of its seeds those that count; empty: all.
        data: other values for the generated scenes.
        pretraining: ``key=value`` pairs for every recipe that trains, under the row's own.
        pretraining_seconds: share of the stated seconds that such a pretraining takes.
        judging: ``key=value`` pairs by protocol, under the column's own.
        judging_seconds: share of the stated seconds that an evaluation takes.
    """

    suffix: str = ""
    seeds: list[int] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    pretraining: list[str] = field(default_factory=list)
    pretraining_seconds: float = 1.0
    judging: dict[str, list[str]] = field(default_factory=dict)
    judging_seconds: float = 1.0


@dataclass
class _Group:
    """The file of a group: names of suites or of further groups."""

    suites: list[str] = field(default_factory=list)


def load_suites(name_or_path: str, size: str = "") -> list[Suite]:
    """The suites that a name stands for: one, or those of a group (a file with the key ``suites``), each once.

    Args:
        size: a key of ``sizes.yaml``; empty: the file of that very name, with all its seeds.

    Raises:
        UserError: no such suite or size, a group that holds itself.
    """
    sizes = {
        name: load_config(_Size, values, where=f"{SIZES.name}: {name}") for name, values in read_yaml(SIZES).items()
    }
    if size:
        require_choice("--size", size, sizes)
    chosen = sizes.get(size, _Size())
    names = dict.fromkeys(_members(str(name_or_path), chosen.suffix, size, []))
    return [_with_values(_of_seeds(load_suite(name), chosen.seeds), chosen) for name in names]


def is_group(name_or_path: str) -> bool:
    """Whether the name is that of a group."""
    path = find_suite(name_or_path)
    return path.is_file() and "suites" in read_yaml(path)


def _members(name: str, suffix: str, size: str, path: list[str]) -> list[str]:
    if name in path:
        raise UserError(
            f"suite {name}: a cycle: {' holds '.join([*path[path.index(name) :], name])}; remove one of them"
        )
    if name in suite_names() and is_group(name):
        file = SUITES / f"{name}.yaml"
    elif name.endswith((".yaml", ".yml")) and is_group(name):
        file = Path(name)
    else:
        return [_of_size(name, suffix, size)]
    group = load_config(_Group, read_yaml(file), where=file.name)
    if not group.suites:
        raise UserError(f"{file.name}: 'suites' is empty; name one or more suites")
    beside = [str((file.parent / one).resolve()) if one.endswith((".yaml", ".yml")) else one for one in group.suites]
    own = str(file.resolve()) if name.endswith((".yaml", ".yml")) else name
    return [member for one in beside for member in _members(one, suffix, size, [*path, own])]


def _of_size(name: str, suffix: str, size: str) -> str:
    """The name of the suite's file at that size."""
    if name.endswith((".yaml", ".yml")) or not size or name.endswith(suffix or "\0"):
        return name
    wanted = name + suffix
    if wanted not in suite_names():
        find_suite(name)  # an unknown name is the likelier slip
        raise UserError(f"suite '{name}' has no size '{size}': benchmarks/suites/{wanted}.yaml is not there")
    return wanted


def _with_values(suite: Suite, size: _Size) -> Suite:
    """``suite`` with what the size says of data, recipes and protocols; a suite's own values win over it."""
    rows = [
        replace(row, overrides=[*size.pretraining, *row.overrides], seconds=row.seconds * size.pretraining_seconds)
        if size.pretraining and load_recipe(row.recipe).method != UNTRAINED
        else row
        for row in suite.backbones
    ]
    columns = [
        replace(
            column,
            overrides=[*size.judging.get(column.protocol, []), *column.overrides],
            seconds=column.seconds * size.judging_seconds,
        )
        for column in suite.protocols
    ]
    scenes_spec(size.data, f"{SIZES.name}: data")  # the names and types of the values
    data = replace(suite.data, **size.data)
    return replace(suite, data=data, backbones=rows, protocols=columns)


def _of_seeds(suite: Suite, seeds: list[int]) -> Suite:
    """``suite`` with those of its seeds alone; a row with none of them keeps its first, and what that starts from."""
    if not seeds:
        return suite
    chosen = {row.label: [seed for seed in row.seeds if seed in seeds] or row.seeds[:1] for row in suite.backbones}
    kept = seeds_needed(suite.backbones, chosen)
    rows = [replace(row, seeds=kept[row.label]) for row in suite.backbones]
    left = {seed for row in rows for seed in row.seeds}
    columns = [
        replace(column, seeds=None if column.seeds is None else [seed for seed in column.seeds if seed in left])
        for column in suite.protocols
    ]
    return replace(suite, backbones=rows, protocols=columns)
