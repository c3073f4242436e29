"""SimSiam's reference code: ``module.encoder`` with the projector as its ``fc``, and ``module.predictor``.

Both views go through the same encoder, so there is one branch.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="simsiam",
    title="SimSiam",
    rule="module.encoder.*, beside module.predictor.*",
    branches=(Branch("only", ("encoder.",)),),
    why="both views share the one encoder",
    left_out="encoder.fc (projector), predictor, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="its data pipeline is MoCo v2's, with ImageNet's statistics (from memory)",
    source="facebookresearch/simsiam: simsiam/builder.py",
    method="simsiam",
    needs=(("predictor.",), ("encoder.fc.",)),
    beside=("predictor.",),
)
