"""solo-learn, a Lightning checkpoint: ``state_dict`` with ``backbone.*`` (``encoder.*`` before it was renamed).

Its mark is the online classifier, which every method trains beside the ``projector``. The momentum methods keep the
average in ``momentum_backbone``. The preprocessing is what its ImageNet recipes normalise with (from memory); its CIFAR
recipes have other statistics, but also a 3x3 stem, which is refused.
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Checkpoint, Family


def _is_of_lightning(checkpoint: Checkpoint) -> bool:
    return checkpoint.container == "state_dict"


FAMILY = Family(
    name="solo-learn",
    title="solo-learn",
    rule="backbone.* (formerly encoder.*), beside classifier.* and projector.*",
    branches=(
        Branch("online", ("backbone.", "encoder.")),
        Branch("momentum", ("momentum_backbone.", "momentum_encoder.")),
    ),
    why="its own evaluation loads backbone.*, the network that the gradient trains",
    left_out="projector, predictor, prototypes, classifier, the momentum copies, queue, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="its ImageNet recipes (from memory)",
    source="vturrisi/solo-learn: main_linear.py (the older prefix); the newer prefix from memory",
    needs=(("classifier.",), ("projector.", "momentum_projector.", "prototypes.", "head.")),
    beside=(
        *(
            "classifier.",
            "momentum_classifier.",
            "projector.",
            "momentum_projector.",
            "predictor.",
            "momentum_predictor.",
        ),
        *(
            "prototypes.",
            "head.",
            "momentum_head.",
            "queue*",
            "whitening.",
            "knn.",
            "dino_loss_func.",
            "local_memory_*",
        ),
    ),
    condition=_is_of_lightning,
)
