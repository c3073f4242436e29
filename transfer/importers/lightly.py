"""lightly's examples and benchmarks, Lightning checkpoints: ``backbone.*`` beside ``projection_head.*``.

The examples cut a torchvision ResNet into ``Sequential(*children[:-1])``, whose names are numbers: 0 conv1, 1 bn1,
4 to 7 layer1 to layer4. The benchmarks keep the network whole with ``fc`` an identity, so with its own names. Both are
read. The average is ``backbone_momentum`` in the examples and ``teacher_backbone`` in the benchmarks (from memory).
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family
from transfer.importers.names import of_sequential

FAMILY = Family(
    name="lightly",
    title="lightly",
    rule="backbone.0.*, backbone.1.*, backbone.4.* to backbone.7.*, or named; beside projection_head.*",
    branches=(
        Branch("online", ("backbone.",)),
        Branch("momentum", ("backbone_momentum.", "teacher_backbone.")),
    ),
    why="its evaluations take backbone.*, the network that the gradient trains",
    left_out="projection_head, prediction_head, the momentum copies, online_classifier, criterion, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="lightly.transforms.utils.IMAGENET_NORMALIZE, the default of its transforms",
    source="the installed package lightly 1.6; alirezadaghigh99/Code-Generation-Benchmark: lightly/examples/pytorch",
    needs=(("projection_head.", "student_projection_head.", "prediction_head.", "student_prediction_head."),),
    refuses=("prototypes.weight",),
    rename=of_sequential,
)
