"""MMSelfSup 1.x and MMPretrain: ``backbone.*`` with ``neck`` and ``head``, a target inside an averaging wrapper.

``MoCo``'s and ``DenseCL``'s target is ``encoder_k.module.0.*``, ``BYOL``'s ``target_net.module.0.*``: ``module`` is the
averaged model's name in MMEngine's wrapper, 0 the backbone in ``Sequential(backbone, neck)``. The preprocessing is the
``data_preprocessor`` of their configurations: RGB, ImageNet's statistics on the 0-255 scale, which equal those on 0-1.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="mmselfsup",
    title="MMSelfSup 1.x, MMPretrain",
    rule="backbone.*, beside neck.* or head.*",
    branches=(
        Branch("online", ("backbone.",)),
        Branch("target", ("encoder_k.module.0.", "target_net.module.0.")),
    ),
    why="their downstream configurations load with prefix='backbone.', the network that the gradient trains",
    left_out="neck, head, encoder_k, target_net and their steps, queue, data_preprocessor, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="data_preprocessor of the configurations (from memory: mean 123.675 116.28 103.53, RGB)",
    source="open-mmlab/mmselfsup and mmpretrain: extract_backbone_weights.py; the target's names from memory",
    methods=("mmpretrain",),
    needs=(("neck.", "head."),),
    refuses=("encoder_q.0.", "online_net.0."),
)
