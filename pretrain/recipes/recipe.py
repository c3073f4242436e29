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

from pretrain.recipes.checks import require, require_multiple
from pretrain.recipes.data import PATH_KEYS, DataRecipe, ViewsRecipe
from pretrain.recipes.methods import (
    ByolRecipe,
    DenseClRecipe,
    DiagnosticsRecipe,
    MlsRecipe,
    MocoRecipe,
    ProbeRecipe,
    RandomInitRecipe,
    SaliencyRecipe,
)
from pretrain.recipes.vit import VitRecipe, check_family
from scenebench.config import load_config, override, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError, did_you_mean, require_choice

RECIPE_FOLDER = Path(__file__).parent
METHODS = ("random_init", "supervised", "moco", "densecl", "byol", "mls", "saliency")

# Keys that change neither the data, nor the batches, nor the mathematics: two runs that differ in them are one run.
KEYS_WITHOUT_EFFECT = (
    "data.workers",
    "data.cache",
    "probe",
    "diagnostics",
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
    # MOCO has none. hidden: in the hidden layer (BYOL). all: after the last layer too, there without scale and shift
    # (as MoCo-v3 and SimSiam), which small networks on small data need.
    batch_norm: str = "none"

    def __post_init__(self) -> None:
        if self.hidden_dim is not None:
            require(self.hidden_dim >= 1, "network.projector.hidden_dim", self.hidden_dim, "at least 1, or null")
        require(self.output_dim >= 2, "network.projector.output_dim", self.output_dim, "at least 2")
        require_choice("network.projector.batch_norm", self.batch_norm, ["none", "hidden", "all"])


@dataclass
class NetworkRecipe:
    """Backbone and projector."""

    family: str = "resnet"  # vit: a vision transformer, described by ``vit``
    depth: int = 50  # of a ResNet; MLS
    stem_width: int = 64  # of a ResNet; torchvision's standard network
    vit: VitRecipe = field(default_factory=VitRecipe)
    projector: ProjectorRecipe = field(default_factory=ProjectorRecipe)
    # Batch statistics are over so many equal parts of the batch, the keys shuffled between them: shuffle-BN. 8 at batch
    # 256 is MOCO's 8 GPUs; 1 normalises over the whole batch.
    bn_groups: int = 1

    def __post_init__(self) -> None:
        require_choice("network.family", self.family, ["resnet", "vit"])
        require(self.depth in (18, 34, 50, 101, 152), "network.depth", self.depth, "18, 34, 50, 101 or 152")
        require(self.stem_width >= 1, "network.stem_width", self.stem_width, "a positive number of channels")
        require(self.bn_groups >= 1, "network.bn_groups", self.bn_groups, "at least 1")


@dataclass
class OptimiserRecipe:
    """How the weights are updated."""

    name: str = "sgd"  # adamw: small networks on small data
    lr: float = 0.3  # MLS (ORL: 0.4 for BYOL)
    # None: ``lr`` is the rate at ``schedule.batch_size``, whatever that is. A number: ``lr`` is meant for so many
    # images a step and grows in proportion to ``schedule.batch_size``. The number of processes never matters.
    lr_batch_size: int | None = None
    weight_decay: float = 1e-4  # MLS, ORL
    momentum: float = 0.9  # of SGD and LARS; MOCO, ORL

    def __post_init__(self) -> None:
        require_choice("optimiser.name", self.name, ["sgd", "adamw"])
        require(self.lr > 0 and math.isfinite(self.lr), "optimiser.lr", self.lr, "positive")
        if self.lr_batch_size is not None:
            require(self.lr_batch_size >= 1, "optimiser.lr_batch_size", self.lr_batch_size, "at least 1, or null")
        require(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.momentum < 1, "optimiser.momentum", self.momentum, "in [0, 1)")


@dataclass
class ScheduleRecipe:
    """How long, in which batches, and how the learning rate falls."""

    epochs: int = 400  # MLS trains 400 or 800
    batch_size: int = 256  # global; not stated in MLS, 256 in MOCO and ORL wherever lr = 0.3
    warmup_epochs: float = 0.0  # linear warm-up of the learning rate; BYOL 4 (ORL)
    cosine: bool = True  # to 0; False keeps the rate constant

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "schedule.epochs", self.epochs, "at least 1")
        require(self.batch_size >= 2, "schedule.batch_size", self.batch_size, "at least 2 (batch normalisation)")
        require(self.warmup_epochs >= 0, "schedule.warmup_epochs", self.warmup_epochs, "0 or more")
        if self.warmup_epochs > self.epochs:
            raise UserError(
                f"schedule.warmup_epochs: {self.warmup_epochs} is more than schedule.epochs = {self.epochs}"
            )


@dataclass
class RunRecipe:
    """The machine's side."""

    device: str = "auto"  # cuda where there is one
    # bf16: autocast of the convolutions; losses and normalisations stay in float32. float64: to test equalities.
    precision: str = "bf16"
    channels_last: bool = True
    compile: bool = False  # does not pay on the CPU
    threads: int | None = None  # of torch in this process; None: torch's choice
    log_every: int = 50  # steps
    checkpoint_every_epochs: int = 1
    checkpoint_every_steps: int | None = None  # within an epoch, besides; None: only at ends of epochs
    tensorboard: bool = True

    def __post_init__(self) -> None:
        require_choice("run.device", self.device, ["auto", "cpu", "cuda"])
        require_choice("run.precision", self.precision, ["float64", "float32", "bf16"])
        if self.threads is not None:
            require(self.threads >= 1, "run.threads", self.threads, "at least 1, or null")
        require(self.log_every >= 1, "run.log_every", self.log_every, "at least 1")
        require(
            self.checkpoint_every_epochs >= 1, "run.checkpoint_every_epochs", self.checkpoint_every_epochs, "1 or more"
        )
        if self.checkpoint_every_steps is not None:
            require(
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
    densecl: DenseClRecipe = field(default_factory=DenseClRecipe)
    byol: ByolRecipe = field(default_factory=ByolRecipe)
    mls: MlsRecipe = field(default_factory=MlsRecipe)
    saliency: SaliencyRecipe = field(default_factory=SaliencyRecipe)
    random_init: RandomInitRecipe = field(default_factory=RandomInitRecipe)
    probe: ProbeRecipe = field(default_factory=ProbeRecipe)
    diagnostics: DiagnosticsRecipe = field(default_factory=DiagnosticsRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        require_choice("method", self.method, METHODS)
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        check_family(self)
        batch = self.schedule.batch_size
        on_moco = self.method == "saliency" and self.saliency.base == "moco"
        if self.method == "moco" or on_moco:
            require_multiple("moco.queue_size", self.moco.queue_size, batch)
        if self.method == "saliency" and self.saliency.source == "mask" and not self.data.annotations:
            raise UserError(
                "saliency.source: mask needs the objects of the images; set data.annotations=INSTANCES.json (COCO)"
            )
        if self.method == "densecl":
            require_multiple("densecl.queue_size", self.densecl.queue_size, batch)
        if self.method == "mls":
            require_multiple("mls.dictionary_size", self.mls.dictionary_size, batch)
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

    def steps_per_epoch(self, images: int) -> int:
        """Whole batches in an epoch over so many images; what is left over is dropped."""
        return (self.data.images_per_epoch or images) // self.schedule.batch_size

    def reads_labels(self) -> bool:
        """Whether ``data.annotations`` has a say in what is learnt."""
        return self.method == "supervised" or (self.method == "saliency" and self.saliency.source == "mask")

    def identity(self) -> dict[str, Any]:
        """:meth:`to_plain` without :data:`KEYS_WITHOUT_EFFECT`: equal identities mean the same run."""
        plain = self.to_plain()
        for key in KEYS_WITHOUT_EFFECT:
            section, _, leaf = key.partition(".")
            if leaf:
                del plain[section][leaf]
            else:
                del plain[section]
        if not self.reads_labels():
            del plain["data"]["annotations"]  # at most the probe and the diagnostics read them
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
    given = parse_overrides([_names_kept(pair) for pair in overrides or []])
    return load_config(Recipe, defaults, read_yaml(path), given, where=where)


def _names_kept(pair: str) -> str:
    """An override whose value is the name of a file in quotes, where YAML would read something else in it."""
    key, _, value = pair.partition("=")
    return override(key, value) if key in PATH_KEYS and value[:1] not in ("'", '"') else pair


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
