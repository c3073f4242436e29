"""A ResNet under a customary prefix, without any head that would tell who trained it.

The tensors can be taken, but what they were trained on is in no such file: the preprocessing must be stated.
"""

from __future__ import annotations

from transfer.importers.family import Branch, Family
from transfer.importers.names import of_sequential

FAMILY = Family(
    name="unknown",
    title="an unknown trainer",
    rule="backbone.*, encoder.*, model.* or resnet.*, and no head known from another family",
    branches=(Branch("only", ("backbone.", "encoder.", "model.", "resnet.", "")),),
    why="it is the only network in the file",
    left_out="everything under other prefixes",
    preprocessing=None,
    preprocessing_why="must be stated",
    source="none",
    rename=of_sequential,
    fallback=True,
)
