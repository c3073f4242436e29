"""SwAV's own code (DeepCluster v2's too): the ResNet's names at the top, heads beside them.

``module.conv1.weight``, ..., ``module.projection_head.*``, ``module.prototypes.*``. One network, one branch. Its views
are normalised with a standard deviation of 0.228, 0.224, 0.225, which is not quite ImageNet's 0.229, 0.224, 0.225.
Its ``resnet50w2`` has every channel doubled, hence 128 after the stem.
"""

from __future__ import annotations

from transfer.backbone_file import Preprocessing
from transfer.importers.family import ONLY, Family
from transfer.importers.names import without_classifier

_HEADS = ("projection_head.", "prototypes.")


def _without_heads(name: str) -> str | None:
    return None if name.startswith(_HEADS) else without_classifier(name)


FAMILY = Family(
    name="swav",
    title="SwAV, DeepCluster v2",
    rule="module.conv1.*, beside module.projection_head.*",
    branches=ONLY,
    why="there is one network",
    left_out="projection_head, prototypes, optimiser",
    preprocessing=Preprocessing(std=(0.228, 0.224, 0.225)),
    preprocessing_why="src/multicropdataset.py; its std begins with 0.228",
    source="facebookresearch/swav: src/multicropdataset.py; its names of heads from memory",
    method="swav",
    needs=(_HEADS,),
    rename=_without_heads,
)
