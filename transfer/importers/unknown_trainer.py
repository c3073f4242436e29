"""The only ResNet of a file, wherever it lies, without heads that would tell who trained it.

The tensors can be taken, but what they were trained on is in no such file: the preprocessing must be stated.
"""

from __future__ import annotations

from transfer.importers.family import ONLY, Family

FAMILY = Family(
    name="unknown",
    title="an unknown trainer",
    rule="the only ResNet of the file, or the one that --prefix names",
    branches=ONLY,
    why="it is the only network in the file",
    left_out="everything under other prefixes",
    preprocessing=None,
    preprocessing_why="must be stated",
    source="none",
    beside=None,
    fallback=True,
)
