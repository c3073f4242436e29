"""Folders that this suite has written: their figures, maps and sheets are no pictures to learn from.

A run, an evaluation, a suite's results or a prepared data set below the folder that is searched is left out whole.
Where the folder that is searched is one itself, somebody means its pictures: of a prepared data set those in
``images/``, of a run all but what the run drew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection

DESCRIPTION = "dataset.json"
PREPARED_SET, RUN_FOLDER = "prepared set", "run folder"
IMAGES = "images"
WRITTEN_BY_A_RUN = frozenset({"figures", "checkpoints", "tensorboard"})
# A kind, the file that marks it, and those of which one at least lies beside it: recipe.yaml alone may be a cook's.
_MARKS = (
    (RUN_FOLDER, "recipe.yaml", frozenset({".lock", "log.jsonl", "backbone.safetensors", "checkpoints"})),
    ("evaluation", "run.json", frozenset({"log.txt", "toolbox", "record.json"})),
    ("results folder", "plan.json", frozenset({".lock", "cells", "logs"})),
)
MARKING_NAMES = frozenset({DESCRIPTION, IMAGES}.union(*({first, *others} for _, first, others in _MARKS)))


def kind_of_output(names: Collection[str], read: Callable[[str], bytes]) -> str:
    """Which output of this suite a folder is; "" where it is none.

    Args:
        names: of all files and folders right in it, hidden ones too.
        read: gives the content of one of its files; may raise OSError.
    """
    for kind, first, others in _MARKS:
        if first in names and not others.isdisjoint(names):
            return kind
    if DESCRIPTION in names and IMAGES in names:
        try:
            return PREPARED_SET if read_description(read(DESCRIPTION)) else ""
        except OSError:
            return ""
    return ""


def read_description(content: bytes) -> tuple[str, str] | None:
    """Name and fingerprint that the description of a prepared data set gives; None where it is something else."""
    try:
        described = json.loads(content)
        return str(described["name"]), str(described["fingerprint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
