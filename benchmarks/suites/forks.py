"""Forks: rows of a suite whose pretrainings start from those of another row (``init_from``), seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from scenebench.errors import UserError, did_you_mean


class ForkingRow(Protocol):
    """What is read here of a row: its name, its seeds, and the label of the row it forks from ("": from scratch)."""

    label: str
    seeds: list[int]
    init_from: str


def check_forks(rows: Sequence[ForkingRow], where: str) -> None:
    """Raise UserError unless every fork has a row to start from, with each of its seeds, and none starts from itself.

    Args:
        where: for errors.
    """
    by_label = {row.label: row for row in rows}
    for row in rows:
        if not row.init_from:
            continue
        place = f"{where}: backbone '{row.label}': init_from"
        if row.init_from not in by_label:
            raise UserError(f"{place}: no backbone is called '{row.init_from}'{did_you_mean(row.init_from, by_label)}")
        lacking = [seed for seed in row.seeds if seed not in by_label[row.init_from].seeds]
        if lacking:
            raise UserError(
                f"{place}: '{row.init_from}' has no seed {lacking[0]}, only {by_label[row.init_from].seeds}; give both "
                "the same seeds"
            )
        _check_circle(row.label, by_label, place)


def _check_circle(label: str, rows: Mapping[str, ForkingRow], place: str) -> None:
    path = [label]
    while start := rows[path[-1]].init_from:
        if start in path:
            raise UserError(f"{place}: a circle: {' starts from '.join([*path, start])}; remove one of them")
        if start not in rows:
            return  # that row's own error
        path.append(start)


def seeds_needed(rows: Sequence[ForkingRow], chosen: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """The seeds of each row, by label, so that what is ``chosen`` of the rows has what it starts from.

    Args:
        rows: as checked by :func:`check_forks`.
        chosen: by label.
    """
    by_label = {row.label: row for row in rows}
    needed = {label: set(seeds) for label, seeds in chosen.items()}
    for row in rows:
        start = row
        while start.init_from:
            needed[start.init_from] |= needed[row.label]
            start = by_label[start.init_from]
    return {row.label: [seed for seed in row.seeds if seed in needed[row.label]] for row in rows}
