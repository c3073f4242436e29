"""What a protocol says that holds the saliency maps of a backbone against what people find salient."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.protocols.classification import FEATURES
from benchmarks.protocols.schema import require_positive
from scenebench.errors import UserError, require_choice

OWN = "own"
MAP_SOURCES = ("activation", "contracam", "attention")
"""Of ``saliency.source``, those that a network is asked for, and not the truth or chance."""
SALIENCY_METRICS = ("max_F", "AUC", "MAE", "max_F_shuffled", "AUC_shuffled", "MAE_shuffled")
SALIENCY_REFERENCES = ("centre_prior", "uniform_maps", "labels_known")


@dataclass
class SaliencySettings:
    """Which maps are made of a backbone, and how.

    Attributes:
        source: whose maps the metrics are of: ``own``, which is ``activation`` of a ResNet and ``attention`` of a
            vision transformer, as the method saliency takes them by itself; or one of :data:`MAP_SOURCES`. The others
            that the backbone has are in the record beside them.
        image_size: side in pixels of the square that the whole image is squeezed to.
        feature: of ``activation``: the stage that is summed over its channels, ``layer1`` .. ``layer4``.
        cam_negatives, cam_temperature: of ``contracam``: so many of the judged images, and tau.
        seed: of the images whose maps are exchanged (``*_shuffled``).
    """

    source: str = OWN
    image_size: int = 128
    feature: str = "layer4"
    batch_size: int = 64
    cam_negatives: int = 256
    cam_temperature: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("settings.source", self.source, (OWN, *MAP_SOURCES))
        require_choice("settings.feature", self.feature, FEATURES)
        require_positive(self, "image_size", "batch_size", "cam_temperature")
        if self.cam_negatives < 2:
            raise UserError(f"settings.cam_negatives: {self.cam_negatives} is below 2")
