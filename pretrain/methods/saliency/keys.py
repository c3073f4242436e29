"""The keys of the saliency-guided method."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.recipes.checks import number_range, require
from scenebench.errors import UserError, require_choice

SALIENCY_BASES = ("moco", "byol")
MODEL_SOURCES = ("activation", "contracam", "attention")
"""Maps that a network is asked for; the others are controls, and the truth."""
SALIENCY_SOURCES = (*MODEL_SOURCES, "uniform", "random", "shuffled", "mask")


@dataclass
class SaliencyRecipe:
    """Saliency-guided crops and loss weights. Every default is "SAL, ours": the abstract gives none."""

    base: str = "moco"  # what learns from the global views, by its own section of keys; moco or byol
    # Of the maps: activation, contracam; a vision transformer's: attention. Controls: uniform, random, shuffled. An
    # oracle: mask (data.annotations).
    source: str = "activation"
    cam_negatives: int = 256  # of contracam's score: so many whole images, spread over the folder
    cam_temperature: float = 0.2  # of contracam's score
    map_input_size: int = 224  # the whole image is resized to this square; 224 gives 7 x 7 cells, 448 gives 14 x 14
    warmup_share: float = 0.2  # of the epochs with a uniform map
    refresh_share: float = 0.2  # of the epochs between two refreshes of the maps
    crops: str = "saliency"  # random: anchors drawn from a uniform map, at equal count and pixels
    pairs: int = 2  # K anchors an image, each with one partner
    crop_size: int = 96  # pixels of the local crops
    gamma: float = 2.0  # anchors are drawn with probability ~ S ** gamma
    area: tuple[float, float] = (0.05, 0.25)  # of an anchor as a share of the image
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height of an anchor, log-uniform
    min_side: float = 64 / 480  # of an anchor as a share of the image's shorter side: 64 px in a COCO image
    anchor_max_iou: float = 0.5  # with an earlier anchor of the same image
    anchor_tries: int = 10
    partner_area: tuple[float, float] = (0.5, 2.0)  # of a partner as a multiple of its anchor's area
    partner_ratio: tuple[float, float] = (0.5, 2.0)  # width / height of a partner, log-uniform
    partner_shift: float = 0.5  # largest shift of the centre, as a share of the anchor's width and height
    partner_min_iou: float = 0.5
    partner_tries: int = 200  # then the anchor itself
    loss_weight: float = 1.0  # lambda of the local loss
    beta: float = 1.0  # w ~ s ** beta; 0 switches the weights off
    normalise: str = "image"  # the mean weight is 1 over the pairs of an image, or over the whole batch
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        require_choice("saliency.base", self.base, SALIENCY_BASES)
        require_choice("saliency.source", self.source, SALIENCY_SOURCES)
        require_choice("saliency.crops", self.crops, ["saliency", "random"])
        require_choice("saliency.normalise", self.normalise, ["image", "batch"])
        require(self.map_input_size >= 32, "saliency.map_input_size", self.map_input_size, "at least 32")
        require(self.cam_negatives >= 2, "saliency.cam_negatives", self.cam_negatives, "at least 2")
        require(self.cam_temperature > 0, "saliency.cam_temperature", self.cam_temperature, "positive")
        require(0 <= self.warmup_share <= 1, "saliency.warmup_share", self.warmup_share, "in [0, 1]")
        require(0 < self.refresh_share <= 1, "saliency.refresh_share", self.refresh_share, "in (0, 1]")
        require(self.pairs >= 1, "saliency.pairs", self.pairs, "at least 1")
        require(self.crop_size >= 32, "saliency.crop_size", self.crop_size, "at least 32 (the backbone's stride)")
        for key in ("gamma", "partner_shift", "loss_weight", "beta"):
            require(getattr(self, key) >= 0, f"saliency.{key}", getattr(self, key), "0 or more")
        self.area = number_range("saliency.area", self.area, high=1.0)
        for key in ("ratio", "partner_area", "partner_ratio"):
            setattr(self, key, number_range(f"saliency.{key}", getattr(self, key)))
        for key in ("min_side", "anchor_max_iou", "partner_min_iou"):
            require(0 <= getattr(self, key) <= 1, f"saliency.{key}", getattr(self, key), "in [0, 1]")
        for key in ("anchor_tries", "partner_tries"):
            require(getattr(self, key) >= 1, f"saliency.{key}", getattr(self, key), "at least 1")
        require(self.epsilon > 0, "saliency.epsilon", self.epsilon, "positive")
        if self.pairs == 1 and self.beta > 0 and self.normalise == "image":
            raise UserError(
                "saliency.pairs: 1 pair an image makes every weight 1; set saliency.pairs=2 or more, or saliency.beta=0"
            )
