"""MMSelfSup 1.x and MMPretrain: ``backbone.*`` with ``neck`` and ``head``, a target inside an averaging wrapper.

``MoCo``'s and ``DenseCL``'s target is ``encoder_k.module.0.*``, ``BYOL``'s ``target_net.module.0.*``: ``module`` is the
averaged model's name in MMEngine's wrapper, 0 the backbone in ``Sequential(backbone, neck)``. The preprocessing is the
``data_preprocessor`` of their configurations: RGB, ImageNet's statistics on the 0-255 scale, which equal those on 0-1.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Checkpoint, Family
from transfer.importers.openmmlab_config_text import settings

_NECKS = (
    "neck.fc*",
    "neck.bn*",
    "neck.mlp*",
    "neck.projection_neck*",
    "neck.prototypes*",
    *(f"neck.{layer}." for layer in range(4)),
)
_HEADS = (
    *("head.predictor.", "head.fc_cls.", "head.fcs.", "head.bn.", "head.loss*", "head.criterion*", "head.prototypes*"),
    *("head.mlp.", "head.last_layer*"),
)
_CLASSIFIER = "head.fc."


def _is_of_openmmlab(checkpoint: Checkpoint) -> bool:
    """A classifier alone (``head.fc``) may be anybody's; OpenMMLab's trainers save ``meta`` beside it."""
    alone = not any(
        name.startswith(("neck.", "head.")) and not name.startswith(_CLASSIFIER) for name in checkpoint.tensors
    )
    return "meta" in checkpoint.keys or not alone


FAMILY = Family(
    name="mmselfsup",
    title="MMSelfSup 1.x, MMPretrain",
    rule="backbone.*, beside the necks and heads of self-supervised training or a classifier (head.fc), and meta",
    branches=(
        Branch("online", ("backbone.",)),
        Branch("target", ("encoder_k.0.", "target_net.0.", "momentum_encoder.0.", "teacher.0.")),
    ),
    why="their downstream configurations load with prefix='backbone.', the network that the gradient trains",
    left_out="neck, head, encoder_k, target_net and their steps, queue, data_preprocessor, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="data_preprocessor of the configurations (from memory: mean 123.675 116.28 103.53, RGB)",
    source="open-mmlab/mmselfsup and mmpretrain: extract_backbone_weights.py; the target's names from memory",
    methods=("mmpretrain",),
    needs=((*_NECKS, *_HEADS, _CLASSIFIER),),
    beside=(
        *(*_NECKS, *_HEADS, _CLASSIFIER, "data_preprocessor.", "memory_bank.", "target_generator."),
        *("queue", "queue_ptr", "queue2", "queue2_ptr"),
        *(
            f"{target}.{part}*"
            for target in ("encoder_k", "target_net", "momentum_encoder", "teacher")
            for part in "12"
        ),
        *("encoder_k.steps", "target_net.steps", "momentum_encoder.steps", "teacher.steps"),
    ),
    condition=_is_of_openmmlab,
    settings=settings,
)
