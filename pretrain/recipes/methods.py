"""The part of a recipe about methods: a section of keys each. Defaults' sources: :mod:`pretrain.recipes.recipe`."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.recipes.checks import number_range, require, require_momentum
from scenebench.errors import UserError, require_choice

SALIENCY_BASES = ("moco", "byol")
SALIENCY_SOURCES = ("activation", "contracam", "attention", "uniform", "random", "shuffled", "mask")


@dataclass
class MocoRecipe:
    """InfoNCE against a queue. Used by ``moco`` and by ``saliency`` on the base ``moco``."""

    queue_size: int = 65536  # MOCO, ORL
    temperature: float = 0.2  # MOCO
    momentum: float = 0.999  # of the key encoder; MOCO

    def __post_init__(self) -> None:
        require(self.queue_size >= 1, "moco.queue_size", self.queue_size, "at least 1")
        require(self.temperature > 0, "moco.temperature", self.temperature, "positive")
        require_momentum("moco.momentum", self.momentum)


@dataclass
class MlsRecipe:
    """Multi-label self-supervision: eq. (4)-(10) of MLS and its ablations. d_z is ``network.projector.output_dim``."""

    k: int = 20  # pseudo-positives an image; MLS, table 8
    dictionary_size: int = 4096  # D of both dictionaries; MLS, figure 5a
    loss_weight: float = 0.5  # lambda; MLS, eq. (10) and figure 5b
    temperature: float = 0.2  # of InfoNCE and BCE alike; MLS
    momentum: float = 0.995  # of the key encoder; MLS
    # Table 6. infonce: the baseline; the others add a term: knn_softmax (eq. 2), bce_positives, bce (eq. 9).
    loss: str = "bce"
    # Table 7. paired: labels from Q_g, logits against Q_z; g_only, z_only: both from the one dictionary.
    dictionaries: str = "paired"
    # before: both products, then enqueue. after: enqueue, then both products. slot_shifted: logits before and labels
    # after the enqueue, as the authors' code seems to do. The paper does not say; "before" is the consistent one.
    order: str = "before"
    own_view: str = "out"  # in: the image's own second view counts among its pseudo-positives; not stated in MLS
    queue_init: str = "random"  # unit Gaussian vectors (as figure 3a shows); keys: of images, before the first step
    warmup_epochs: int = 0  # epochs of InfoNCE alone; MLS trains jointly from the start

    def __post_init__(self) -> None:
        require(self.dictionary_size >= 1, "mls.dictionary_size", self.dictionary_size, "at least 1")
        require(self.k >= 1, "mls.k", self.k, "at least 1")
        if self.k > self.dictionary_size:
            raise UserError(f"mls.k: {self.k} is more than mls.dictionary_size = {self.dictionary_size}; lower mls.k")
        require(self.loss_weight >= 0, "mls.loss_weight", self.loss_weight, "0 or more")
        require(self.temperature > 0, "mls.temperature", self.temperature, "positive")
        require_momentum("mls.momentum", self.momentum)
        require_choice("mls.loss", self.loss, ["infonce", "knn_softmax", "bce_positives", "bce"])
        require_choice("mls.dictionaries", self.dictionaries, ["paired", "g_only", "z_only"])
        require_choice("mls.order", self.order, ["before", "after", "slot_shifted"])
        require_choice("mls.own_view", self.own_view, ["out", "in"])
        require_choice("mls.queue_init", self.queue_init, ["random", "keys"])
        require(self.warmup_epochs >= 0, "mls.warmup_epochs", self.warmup_epochs, "0 or more")


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


@dataclass
class RandomInitRecipe:
    """Random initialisation: only BN's running statistics are estimated, on whole images. Ours."""

    resolution: int = 224  # pixels; the evaluation's
    images: int = 2048  # at most; the first of the list
    batch_size: int = 64

    def __post_init__(self) -> None:
        require(self.resolution >= 32, "random_init.resolution", self.resolution, "at least 32 (the backbone's stride)")
        require(self.images >= 2, "random_init.images", self.images, "at least 2")
        require(self.batch_size >= 2, "random_init.batch_size", self.batch_size, "at least 2 (batch normalisation)")


@dataclass
class ByolRecipe:
    """A predictor maps the online encoder's embedding to that of a momentum ("target") encoder; no negatives."""

    predictor_hidden_dim: int = 4096  # ORL
    momentum: float = 0.99  # of the target encoder at the start; ORL
    momentum_schedule: str = "cosine"  # to 1 at the last step; ORL. constant: as it starts

    def __post_init__(self) -> None:
        require(self.predictor_hidden_dim >= 1, "byol.predictor_hidden_dim", self.predictor_hidden_dim, "at least 1")
        require_momentum("byol.momentum", self.momentum)
        require_choice("byol.momentum_schedule", self.momentum_schedule, ["cosine", "constant"])


@dataclass
class DenseClRecipe:
    """MoCo-v2 with a second InfoNCE between matched cells of the feature maps (Wang et al., CVPR 2021)."""

    queue_size: int = 65536  # of both queues; DenseCL's COCO recipe
    temperature: float = 0.2  # DenseCL
    momentum: float = 0.999  # of the key encoder; DenseCL
    loss_weight: float = 0.5  # lambda: (1 - lambda) L_global + lambda L_dense; DenseCL
    warmup_epochs: int = 0  # epochs with lambda = 0; ours: DenseCL has none

    def __post_init__(self) -> None:
        require(self.queue_size >= 1, "densecl.queue_size", self.queue_size, "at least 1")
        require(self.temperature > 0, "densecl.temperature", self.temperature, "positive")
        require_momentum("densecl.momentum", self.momentum)
        require(0 <= self.loss_weight <= 1, "densecl.loss_weight", self.loss_weight, "in [0, 1]")
        require(self.warmup_epochs >= 0, "densecl.warmup_epochs", self.warmup_epochs, "0 or more")


@dataclass
class ProbeRecipe:
    """A multi-label kNN probe while training, where ``data.annotations`` gives labels; the run is the same without."""

    every_epochs: int | None = None  # None: never
    images: int = 2000  # labelled images at most; four in five are the bank, the fifth is judged
    resolution: int = 224  # pixels of the whole image; the evaluation's
    k: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.every_epochs is not None:
            require(self.every_epochs >= 1, "probe.every_epochs", self.every_epochs, "at least 1, or null")
        require(self.images >= 10, "probe.images", self.images, "at least 10")
        require(self.resolution >= 32, "probe.resolution", self.resolution, "at least 32 (the backbone's stride)")
        require(self.k >= 1, "probe.k", self.k, "at least 1")
        require(self.temperature > 0, "probe.temperature", self.temperature, "positive")


@dataclass
class DiagnosticsRecipe:
    """Pseudo-labels and saliency maps held against ``data.annotations``; the run is the same without. Ours."""

    every_epochs: int | None = None  # None: never
    images: int = 512  # queries, or images whose maps are looked at
    ks: list[int] = field(default_factory=lambda: [1, 2, 5, 10, 20, 40])  # of pseudo-labels, beside mls.k
    causes: bool = False  # MLS: also without stale keys, without changed colours, without crops

    def __post_init__(self) -> None:
        if self.every_epochs is not None:
            require(self.every_epochs >= 1, "diagnostics.every_epochs", self.every_epochs, "at least 1, or null")
        require(self.images >= 2, "diagnostics.images", self.images, "at least 2")
        require(bool(self.ks) and min(self.ks) >= 1, "diagnostics.ks", self.ks, "numbers of at least 1")
