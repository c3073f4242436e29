"""lightly's examples and benchmarks, Lightning checkpoints: ``backbone.*`` beside ``projection_head.*``.

The examples cut a torchvision ResNet into ``Sequential(*children[:-1])``, whose names are numbers: 0 conv1, 1 bn1,
4 to 7 layer1 to layer4. The benchmarks keep the network whole with ``fc`` an identity, so with its own names. Both are
read.

``backbone`` is not always the same: beside ``backbone_momentum``, ``teacher_backbone`` or ``key_backbone`` it is what
the gradient trains; where the benchmarks of DINO and (formerly) MoCo have a ``student_backbone`` or ``query_backbone``
beside it, it is the average. The example of DINO has no ``backbone`` at all, but student and teacher.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family
from transfer.importers.names import of_sequential

_HEADS = ("projection_head*", "prediction_head*", "student_projection_head.", "student_prediction_head.")
_BESIDE = (
    *_HEADS,
    *("teacher_projection_head.", "key_projection_head.", "query_projection_head.", "momentum_projection_head."),
    *("student_head.", "teacher_head.", "local_projection_head.", "online_classifier.", "criterion.", "prototypes."),
    *("queues.", "memory_bank.", "start_queue_at_epoch"),
)

FAMILY = Family(
    name="lightly",
    title="lightly",
    rule="backbone.0.*, backbone.1.*, backbone.4.* to backbone.7.*, or named; beside projection_head.*",
    branches=(
        Branch("online", ("backbone.",)),
        Branch("momentum", ("backbone_momentum.", "teacher_backbone.", "key_backbone.")),
    ),
    why="its evaluations take backbone.*, the network that the gradient trains",
    left_out="projection_head, prediction_head, the momentum copies, online_classifier, criterion, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="lightly.transforms.utils.IMAGENET_NORMALIZE, the default of its transforms",
    source="lightly-ai/lightly: examples/pytorch_lightning, benchmarks/imagenet/resnet50; the installed package 1.6",
    needs=(_HEADS,),
    beside=_BESIDE,
    rename=of_sequential,
)

WITH_STUDENT = Family(
    name="lightly-teacher",
    title="lightly, with a student or query backbone of its own (DINO, MoCo)",
    rule="student_backbone.* or query_backbone.* beside backbone.* or teacher_backbone.*",
    branches=(
        Branch("teacher", ("backbone.", "teacher_backbone.")),
        Branch("student", ("student_backbone.", "query_backbone.")),
    ),
    why="its evaluations take backbone.*, which is the average here, and DINO transfers the teacher",
    left_out=FAMILY.left_out,
    preprocessing=IMAGENET,
    preprocessing_why=FAMILY.preprocessing_why,
    source="lightly-ai/lightly: benchmarks/imagenet/resnet50/dino.py, mocov2.py, examples/pytorch_lightning/dino.py",
    needs=(("student_backbone.", "query_backbone."), (*_HEADS, "student_head.")),
    beside=_BESIDE,
    rename=of_sequential,
)
