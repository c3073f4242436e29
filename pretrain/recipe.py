"""The recipe: everything that decides how a backbone is learnt, one typed tree with one default for each key.

Defaults are those of the papers (COCO, ResNet-50); the comment beside a default names its source:

* MLS: Zhu, Fu, Wu, "Multi-Label Self-Supervised Learning with Scene Images", ICCV 2023
* SAL: Chen et al., "Saliency Guided Contrastive Learning on Scene Images", arXiv 2302.11461. Only its abstract is known
  to us, so "SAL, ours" marks a choice of this re-implementation.
* MOCO: MoCo-v2's released code; ORL: the COCO recipes released with ORL (MoCo-v2 and BYOL on COCO)

A file in ``pretrain/recipes`` holds what departs from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scenebench.config import load_config, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError, did_you_mean, require_choice

RECIPE_FOLDER = Path(__file__).parent / "recipes"
METHODS = ("random_init", "moco", "mls", "saliency")
SALIENCY_BASES = ("moco",)
SALIENCY_SOURCES = ("activation", "uniform", "random", "shuffled")

# Keys that change neither the data, nor the batches, nor the mathematics: two runs that differ in them are one run.
KEYS_WITHOUT_EFFECT = (
    "data.workers",
    "data.cache",
    "run.log_every",
    "run.checkpoint_every_epochs",
    "run.checkpoint_every_steps",
    "run.tensorboard",
    "run.threads",
)


@dataclass
class ProjectorRecipe:
    """The MLP ``f`` from the pooled backbone feature g to the embedding z."""

    hidden_dim: int | None = None  # None: as wide as the backbone feature (2048 for a ResNet-50); MOCO
    output_dim: int = 128  # MOCO; MLS states d_z = 256, BYOL 256: set by their recipes
    batch_norm: bool = False  # MOCO has none; small networks on small data need it

    def __post_init__(self) -> None:
        if self.hidden_dim is not None:
            _require(self.hidden_dim >= 1, "network.projector.hidden_dim", self.hidden_dim, "at least 1, or null")
        _require(self.output_dim >= 2, "network.projector.output_dim", self.output_dim, "at least 2")


@dataclass
class NetworkRecipe:
    """Backbone and projector."""

    depth: int = 50  # MLS
    stem_width: int = 64  # torchvision's standard network
    projector: ProjectorRecipe = field(default_factory=ProjectorRecipe)
    # Batch statistics are over so many equal parts of the batch, the keys shuffled between them: shuffle-BN. 8 at batch
    # 256 is MOCO's 8 GPUs; 1 normalises over the whole batch.
    bn_groups: int = 1

    def __post_init__(self) -> None:
        _require(self.depth in (18, 34, 50, 101, 152), "network.depth", self.depth, "18, 34, 50, 101 or 152")
        _require(self.stem_width >= 1, "network.stem_width", self.stem_width, "a positive number of channels")
        _require(self.bn_groups >= 1, "network.bn_groups", self.bn_groups, "at least 1")


@dataclass
class DataRecipe:
    """Which images, and how they are read."""

    root: str = ""  # a folder, searched recursively; no default is right for everybody
    images_per_epoch: int | None = None  # None: every image once an epoch (the last, incomplete batch is dropped)
    workers: int = 8  # loader processes; 0 decodes in the training process
    max_bad_share: float = 0.01  # more undecodable images than this share stop the run
    cache: str = "none"  # "ram": decode all at the start and keep them (3 bytes a pixel): for small images only

    def __post_init__(self) -> None:
        if self.images_per_epoch is not None:
            _require(self.images_per_epoch >= 2, "data.images_per_epoch", self.images_per_epoch, "at least 2, or null")
        _require(self.workers >= 0, "data.workers", self.workers, "0 or more")
        _require(0 <= self.max_bad_share < 1, "data.max_bad_share", self.max_bad_share, "in [0, 1)")
        require_choice("data.cache", self.cache, ["none", "ram"])


@dataclass
class SecondViewRecipe:
    """What the second view does otherwise; None: as the first view. BYOL: ``blur_p: 0.1, solarise_p: 0.2``."""

    jitter_p: float | None = None
    grey_p: float | None = None
    blur_p: float | None = None
    solarise_p: float | None = None

    def __post_init__(self) -> None:
        for key in ("jitter_p", "grey_p", "blur_p", "solarise_p"):
            if getattr(self, key) is not None:
                _require_probability(f"views.view2.{key}", getattr(self, key))


@dataclass
class ViewsRecipe:
    """How two views are made of one image. Defaults: MoCo-v2's (MOCO, ORL), which MLS follows."""

    crop_size: int = 224  # pixels; 112 for scenes of 128 px
    scale: tuple[float, float] = (0.2, 1.0)  # area of a crop as a share of the image
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height
    flip_p: float = 0.5
    jitter_p: float = 0.8
    brightness: float = 0.4  # a factor from [1 - b, 1 + b]; contrast and saturation alike
    contrast: float = 0.4
    saturation: float = 0.4  # BYOL: 0.2
    hue: float = 0.1  # a shift from [-h, h] of the whole circle
    grey_p: float = 0.2
    blur_p: float = 0.5  # BYOL: 1.0, second view 0.1
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # pixels of the crop
    blur_kernel: int | None = None  # pixels, odd; None: the odd number nearest to a tenth of the crop (SimCLR)
    solarise_p: float = 0.0  # BYOL: second view 0.2
    solarise_threshold: int = 128  # pixels at or above it are inverted
    view2: SecondViewRecipe = field(default_factory=SecondViewRecipe)
    augment: str = "batched"  # "reference": torchvision's operators image by image, slow, the same result

    def __post_init__(self) -> None:
        _require(self.crop_size >= 32, "views.crop_size", self.crop_size, "at least 32 (the backbone's stride)")
        self.scale = _range("views.scale", self.scale, high=1.0)
        self.ratio = _range("views.ratio", self.ratio)
        self.blur_sigma = _range("views.blur_sigma", self.blur_sigma)
        for key in ("flip_p", "jitter_p", "grey_p", "blur_p", "solarise_p"):
            _require_probability(f"views.{key}", getattr(self, key))
        for key in ("brightness", "contrast", "saturation"):
            _require(0 <= getattr(self, key) <= 1, f"views.{key}", getattr(self, key), "in [0, 1]")
        _require(0 <= self.hue <= 0.5, "views.hue", self.hue, "in [0, 0.5]")
        if self.blur_kernel is not None:
            odd = self.blur_kernel >= 1 and self.blur_kernel % 2 == 1
            _require(odd, "views.blur_kernel", self.blur_kernel, "odd and positive, or null")
            _require(
                self.blur_kernel <= self.crop_size, "views.blur_kernel", self.blur_kernel, "at most views.crop_size"
            )
        _require(0 <= self.solarise_threshold <= 255, "views.solarise_threshold", self.solarise_threshold, "in 0..255")
        require_choice("views.augment", self.augment, ["batched", "reference"])


@dataclass
class MocoRecipe:
    """InfoNCE against a queue. Used by ``moco`` and by ``saliency`` on the base ``moco``."""

    queue_size: int = 65536  # MOCO, ORL
    temperature: float = 0.2  # MOCO
    momentum: float = 0.999  # of the key encoder; MOCO

    def __post_init__(self) -> None:
        _require(self.queue_size >= 1, "moco.queue_size", self.queue_size, "at least 1")
        _require(self.temperature > 0, "moco.temperature", self.temperature, "positive")
        _require_momentum("moco.momentum", self.momentum)


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
    warmup_epochs: int = 0  # epochs of InfoNCE alone; MLS trains jointly from the start

    def __post_init__(self) -> None:
        _require(self.dictionary_size >= 1, "mls.dictionary_size", self.dictionary_size, "at least 1")
        _require(self.k >= 1, "mls.k", self.k, "at least 1")
        if self.k > self.dictionary_size:
            raise UserError(f"mls.k: {self.k} is more than mls.dictionary_size = {self.dictionary_size}; lower mls.k")
        _require(self.loss_weight >= 0, "mls.loss_weight", self.loss_weight, "0 or more")
        _require(self.temperature > 0, "mls.temperature", self.temperature, "positive")
        _require_momentum("mls.momentum", self.momentum)
        require_choice("mls.loss", self.loss, ["infonce", "knn_softmax", "bce_positives", "bce"])
        require_choice("mls.dictionaries", self.dictionaries, ["paired", "g_only", "z_only"])
        require_choice("mls.order", self.order, ["before", "after", "slot_shifted"])
        require_choice("mls.own_view", self.own_view, ["out", "in"])
        _require(self.warmup_epochs >= 0, "mls.warmup_epochs", self.warmup_epochs, "0 or more")


@dataclass
class SaliencyRecipe:
    """Saliency-guided crops and loss weights. Every default is "SAL, ours": the abstract gives none."""

    base: str = "moco"  # what learns from the global views
    source: str = "activation"  # of the maps; uniform, random and shuffled are controls
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
        _require(self.map_input_size >= 32, "saliency.map_input_size", self.map_input_size, "at least 32")
        _require(0 <= self.warmup_share <= 1, "saliency.warmup_share", self.warmup_share, "in [0, 1]")
        _require(0 < self.refresh_share <= 1, "saliency.refresh_share", self.refresh_share, "in (0, 1]")
        _require(self.pairs >= 1, "saliency.pairs", self.pairs, "at least 1")
        _require(self.crop_size >= 32, "saliency.crop_size", self.crop_size, "at least 32 (the backbone's stride)")
        for key in ("gamma", "partner_shift", "loss_weight", "beta"):
            _require(getattr(self, key) >= 0, f"saliency.{key}", getattr(self, key), "0 or more")
        self.area = _range("saliency.area", self.area, high=1.0)
        for key in ("ratio", "partner_area", "partner_ratio"):
            setattr(self, key, _range(f"saliency.{key}", getattr(self, key)))
        for key in ("min_side", "anchor_max_iou", "partner_min_iou"):
            _require(0 <= getattr(self, key) <= 1, f"saliency.{key}", getattr(self, key), "in [0, 1]")
        for key in ("anchor_tries", "partner_tries"):
            _require(getattr(self, key) >= 1, f"saliency.{key}", getattr(self, key), "at least 1")
        _require(self.epsilon > 0, "saliency.epsilon", self.epsilon, "positive")
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
        _require(
            self.resolution >= 32, "random_init.resolution", self.resolution, "at least 32 (the backbone's stride)"
        )
        _require(self.images >= 2, "random_init.images", self.images, "at least 2")
        _require(self.batch_size >= 2, "random_init.batch_size", self.batch_size, "at least 2 (batch normalisation)")


@dataclass
class OptimiserRecipe:
    """How the weights are updated."""

    name: str = "sgd"  # adamw: small networks on small data
    lr: float = 0.3  # at the given batch size; MLS (ORL: 0.4 for BYOL)
    weight_decay: float = 1e-4  # MLS, ORL
    momentum: float = 0.9  # of SGD and LARS; MOCO, ORL

    def __post_init__(self) -> None:
        require_choice("optimiser.name", self.name, ["sgd", "adamw"])
        _require(self.lr > 0 and math.isfinite(self.lr), "optimiser.lr", self.lr, "positive")
        _require(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "0 or more")
        _require(0 <= self.momentum < 1, "optimiser.momentum", self.momentum, "in [0, 1)")


@dataclass
class ScheduleRecipe:
    """How long, in which batches, and how the learning rate falls."""

    epochs: int = 400  # MLS trains 400 or 800
    batch_size: int = 256  # global; not stated in MLS, 256 in MOCO and ORL wherever lr = 0.3
    warmup_epochs: float = 0.0  # linear warm-up of the learning rate; BYOL 4 (ORL)
    cosine: bool = True  # to 0; False keeps the rate constant

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "schedule.epochs", self.epochs, "at least 1")
        _require(self.batch_size >= 2, "schedule.batch_size", self.batch_size, "at least 2 (batch normalisation)")
        _require(self.warmup_epochs >= 0, "schedule.warmup_epochs", self.warmup_epochs, "0 or more")
        if self.warmup_epochs > self.epochs:
            raise UserError(
                f"schedule.warmup_epochs: {self.warmup_epochs} is more than schedule.epochs = {self.epochs}"
            )


@dataclass
class RunRecipe:
    """The machine's side."""

    device: str = "auto"  # cuda where there is one
    precision: str = "bf16"  # autocast of the convolutions; losses and normalisations stay in float32
    channels_last: bool = True
    compile: bool = False  # does not pay on the CPU
    threads: int | None = None  # of torch in this process; None: torch's choice
    log_every: int = 50  # steps
    checkpoint_every_epochs: int = 1
    checkpoint_every_steps: int | None = None  # within an epoch, besides; None: only at ends of epochs
    tensorboard: bool = True

    def __post_init__(self) -> None:
        require_choice("run.device", self.device, ["auto", "cpu", "cuda"])
        require_choice("run.precision", self.precision, ["float32", "bf16"])
        if self.threads is not None:
            _require(self.threads >= 1, "run.threads", self.threads, "at least 1, or null")
        _require(self.log_every >= 1, "run.log_every", self.log_every, "at least 1")
        _require(
            self.checkpoint_every_epochs >= 1, "run.checkpoint_every_epochs", self.checkpoint_every_epochs, "1 or more"
        )
        if self.checkpoint_every_steps is not None:
            _require(
                self.checkpoint_every_steps >= 1,
                "run.checkpoint_every_steps",
                self.checkpoint_every_steps,
                "1 or more, or null",
            )


@dataclass
class Recipe:
    """One pretraining run. ``name`` is the file's stem unless the file gives another."""

    name: str = ""
    method: str = "mls"
    seed: int = 0
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    views: ViewsRecipe = field(default_factory=ViewsRecipe)
    moco: MocoRecipe = field(default_factory=MocoRecipe)
    mls: MlsRecipe = field(default_factory=MlsRecipe)
    saliency: SaliencyRecipe = field(default_factory=SaliencyRecipe)
    random_init: RandomInitRecipe = field(default_factory=RandomInitRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        require_choice("method", self.method, METHODS)
        _require(self.seed >= 0, "seed", self.seed, "0 or more")
        batch = self.schedule.batch_size
        if self.method in ("moco", "saliency"):
            _require_multiple("moco.queue_size", self.moco.queue_size, batch)
        if self.method == "mls":
            _require_multiple("mls.dictionary_size", self.mls.dictionary_size, batch)
        if self.run.channels_last and self.network.stem_width % 8:
            # oneDNN's backward convolution on the CPU writes past its buffers there (torch 2.14, 4 and 6 channels).
            raise UserError(
                f"network.stem_width: {self.network.stem_width} is not a multiple of 8, which run.channels_last needs; "
                "change it, or set run.channels_last=false"
            )
        if batch % self.network.bn_groups or batch // self.network.bn_groups < 2:
            raise UserError(
                f"network.bn_groups: {self.network.bn_groups} does not part schedule.batch_size = {batch} into equal "
                "parts of at least 2 images"
            )
        images = self.data.images_per_epoch
        if images is not None and images < batch:
            raise UserError(
                f"data.images_per_epoch: {images} is less than one batch (schedule.batch_size = {batch}); raise it"
            )

    def to_plain(self) -> dict[str, Any]:
        """Nested dicts, lists and scalars, for YAML, JSON and the backbone file."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def identity(self) -> dict[str, Any]:
        """:meth:`to_plain` without :data:`KEYS_WITHOUT_EFFECT`: equal identities mean the same run."""
        plain = self.to_plain()
        for key in KEYS_WITHOUT_EFFECT:
            section, _, leaf = key.partition(".")
            del plain[section][leaf]
        return plain


def load_recipe(name_or_path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by name (a file of ``pretrain/recipes`` without ``.yaml``) or by path, and apply overrides.

    Args:
        overrides: ``["optimiser.lr=0.1", ...]``; the last wins.

    Raises:
        UserError: unknown recipe, key or value (each with the nearest right one), or values that do not fit together.
    """
    path = _find_recipe(str(name_or_path))
    defaults = {"name": path.stem}
    where = f"recipe {path.name}" if path.parent == RECIPE_FOLDER else str(path)
    return load_config(Recipe, defaults, read_yaml(path), parse_overrides(overrides or []), where=where)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the suite."""
    return sorted(path.stem for path in RECIPE_FOLDER.glob("*.yaml"))


def _find_recipe(name_or_path: str) -> Path:
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)  # read_yaml says so where it is missing
    if name_or_path not in recipe_names():
        nearest = did_you_mean(name_or_path, recipe_names())
        raise UserError(f"unknown recipe '{name_or_path}'{nearest}; a name, or the path of a .yaml file")
    return RECIPE_FOLDER / f"{name_or_path}.yaml"


def _require(condition: bool, key: str, value: object, expected: str) -> None:
    if not condition:
        raise UserError(f"{key}: {value} must be {expected}")


def _require_probability(key: str, value: float) -> None:
    _require(0 <= value <= 1, key, value, "a probability in [0, 1]")


def _require_momentum(key: str, value: float) -> None:
    _require(0 <= value <= 1, key, value, "in [0, 1]")


def _require_multiple(key: str, value: int, batch: int) -> None:
    # Keys enter the queue in whole batches, so that a slot's age and the pairing of the dictionaries are exact.
    if value % batch != 0:
        nearest = max(batch, round(value / batch) * batch)
        raise UserError(f"{key}: {value} is not a multiple of schedule.batch_size = {batch}; use {nearest}")


def _range(key: str, values: Any, high: float = math.inf) -> tuple[float, float]:
    """``values`` as (smaller, larger) within (0, high]."""
    pair = tuple(float(value) for value in values)
    if len(pair) != 2:
        raise UserError(f"{key}: expected two numbers [min, max], found {len(pair)}")
    first, second = pair
    _require(0 < first <= second <= high, key, list(pair), f"[min, max] with 0 < min <= max <= {high:g}")
    return first, second
