"""Google's SimCLR v1, converted by simclr-converter (tonylins): torchvision's bare names in ``state_dict``, and ``fc``.

Nothing tells such a file from a plain classifier's, so ``--from simclr`` has to say it. SimCLR does not normalise:
pixels are scaled to 0-1 (mean 0, std 255 on the 0-255 scale). ResNet-50 (1x, 2x, 4x), every channel count widened.
"""

from __future__ import annotations

from transfer.importers.family import ONLY, SCALED_ONLY, Checkpoint, Family
from transfer.importers.fitting import only_a_classifier


def _as_converted(checkpoint: Checkpoint) -> bool:
    return checkpoint.container == "state_dict" and not checkpoint.wrapped and only_a_classifier(checkpoint)


FAMILY = Family(
    name="simclr",
    title="SimCLR v1 (simclr-converter)",
    rule="state_dict: conv1.*, layer1.0.conv1.*, ..., fc.*",
    branches=ONLY,
    why="there is one network",
    left_out="fc",
    preprocessing=SCALED_ONLY,
    preprocessing_why="SimCLR trains on pixels scaled to 0-1 and not normalised",
    source="tonylins/simclr-converter: convert.py",
    method="simclr",
    condition=_as_converted,
    released_bare=True,
)
