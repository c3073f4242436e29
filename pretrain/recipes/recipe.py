"""The recipe: everything that decides how a backbone is learnt, one typed tree with one default for each key.

Defaults are those of the papers (COCO, ResNet-50); the comment beside a default names its source:

* MLS: Zhu, Fu, Wu, "Multi-Label Self-Supervised Learning with Scene Images", ICCV 2023
* SAL: Chen et al., "Saliency Guided Contrastive Learning on Scene Images", arXiv 2302.11461. Only its abstract is known
  to us, so "SAL, ours" marks a choice of this re-implementation.
* MOCO: MoCo-v2's released code; ORL: the COCO recipes released with ORL (MoCo-v2 and BYOL on COCO)

A file in ``pretrain/recipes`` holds what departs from them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from omegaconf import OmegaConf

from pretrain.recipes.checks import require
from pretrain.recipes.data import DataRecipe, ViewsRecipe, at_home
from pretrain.recipes.identity import KEYS_WITHOUT_EFFECT, PLACES, departures
from pretrain.recipes.method_registry import method_class, method_names
from pretrain.recipes.network import NetworkRecipe, VitRecipe, require_patches
from pretrain.recipes.optimisation import OptimiserRecipe, ScheduleRecipe
from pretrain.recipes.recipe_files import RECIPE_FOLDER, find_recipe, names_kept
from pretrain.recipes.run import RunRecipe
from pretrain.recipes.watching import DiagnosticsRecipe, ProbeRecipe
from scenebench.config import load_config, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError

Section = TypeVar("Section")


class LocalCrops(NamedTuple):
    """The local crops of an image: so many pairs, each crop a square of ``size`` pixels."""

    pairs: int
    size: int


class MethodTraits:
    """What a method says of itself before it is built: its keys, and what it needs.

    Attributes:
        sections: its sections of keys in a recipe: name to dataclass; every default stands in the dataclass.
        needs_resnet: why a vision transformer does not serve; empty where it does.
        one_pass: whether every encoder sees one batch a step, so that shuffle-BN can be parted among processes.
        trains: False where there is nothing to optimise.
    """

    sections: ClassVar[Mapping[str, type]] = {}
    needs_resnet: ClassVar[str] = ""
    one_pass: ClassVar[bool] = False
    trains: ClassVar[bool] = True

    @classmethod
    def sections_used(cls, recipe: Recipe) -> tuple[str, ...]:
        """The sections that have a say in this recipe; they are part of a run's identity."""
        return tuple(cls.sections)

    @classmethod
    def check(cls, recipe: Recipe) -> None:
        """Raise UserError for keys that do not fit together, naming one; a section checks its single keys itself."""

    @classmethod
    def reads_labels(cls, recipe: Recipe) -> bool:
        """Whether ``data.annotations`` has a say in what is learnt."""
        return False

    @classmethod
    def image_sizes(cls, recipe: Recipe) -> dict[str, int]:
        """Sides in pixels of what the network is given, by the key that says so."""
        return {"views.crop_size": recipe.views.crop_size}

    @classmethod
    def local_crops(cls, recipe: Recipe) -> LocalCrops:
        """Local crops beside the two views of an image."""
        return LocalCrops(0, 0)


@dataclass
class Recipe:
    """One pretraining run, without its method's own sections; :func:`resolve_recipe` makes one with them.

    ``name`` is the file's stem unless the file gives another.
    """

    name: str = ""
    method: str = "mls"
    seed: int = 0
    # The weights that training begins with: the folder of another run, one of its checkpoints, or a backbone file.
    # "": random ones. Optimiser and schedule begin anew in any case.
    init_from: str = ""
    init_hash: str = ""  # of those weights; found where the run begins; where it is given, they must be these
    network: NetworkRecipe = field(default_factory=NetworkRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    views: ViewsRecipe = field(default_factory=ViewsRecipe)
    probe: ProbeRecipe = field(default_factory=ProbeRecipe)
    diagnostics: DiagnosticsRecipe = field(default_factory=DiagnosticsRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        self.init_from = at_home(self.init_from)
        if self.init_from and not self.about.trains:
            raise UserError(f"init_from: method {self.method} trains nothing, and starts from nothing; remove it")
        if self.init_hash and not self.init_from:
            raise UserError(f"init_hash: {self.init_hash} says nothing without init_from; add it, or remove init_hash")
        _check_family(self)
        self.about.check(self)
        batch = self.schedule.batch_size
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

    def __reduce__(self) -> tuple[Any, ...]:
        return resolve_recipe, (self.to_plain(),)  # the class is made at run time, which pickle could not find

    @property
    def about(self) -> type[MethodTraits]:
        """The method's class."""
        return method_class(self.method)

    def section(self, keys: type[Section]) -> Section:
        """The method's section of keys of this type, for example ``recipe.section(MocoRecipe)``."""
        (name,) = (name for name, kind in self.about.sections.items() if issubclass(kind, keys))
        return getattr(self, name)  # type: ignore[no-any-return]

    def to_plain(self) -> dict[str, Any]:
        """Nested dicts, lists and scalars, for YAML, JSON and the backbone file."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def reads_labels(self) -> bool:
        """Whether ``data.annotations`` has a say in what is learnt."""
        return self.about.reads_labels(self)

    def steps_per_epoch(self, images: int) -> int:
        """Whole batches in an epoch over so many images; what is left over is dropped."""
        return (self.data.images_per_epoch or images) // self.schedule.batch_size

    def identity(self) -> dict[str, Any]:
        """What decides the weights: with equal data, equal identities mean the same run.

        Keys of :data:`KEYS_WITHOUT_EFFECT`, :data:`PLACES`, sections that the method does not use and values that are
        the default are left out, so that a new method or a new key changes no identity. The price: a default never
        changes; where another value becomes better, the recipes say so.
        """
        plain, defaults = self.to_plain(), _defaults(self.method)
        unused = set(self.about.sections) - set(self.about.sections_used(self))
        named = {"name": plain.pop("name"), "method": plain.pop("method")}
        return named | departures(plain, defaults, unused | {*KEYS_WITHOUT_EFFECT, *PLACES})

    def places(self) -> dict[str, str]:
        """Where the data lie that are learnt from; annotations that only the probe or the diagnostics read are not.

        Returns:
            By the names of the keys within ``data``.
        """
        data = self.data
        labels = {"annotations": data.annotations} if self.reads_labels() else {}
        return {"root": data.root, "images": data.images, **labels}


def _check_family(recipe: Recipe) -> None:
    """What belongs to one family of networks must not be given, or asked for, with the other.

    Raises:
        UserError: naming the first key that does not fit.
    """
    if recipe.network.family == "vit":
        _check_vit(recipe)
        return
    if recipe.network.vit != VitRecipe():
        raise UserError("network.vit: has no effect with network.family=resnet; remove it, or set network.family=vit")


def _check_vit(recipe: Recipe) -> None:
    network = recipe.network
    for key, default in (("depth", 50), ("stem_width", 64)):
        if getattr(network, key) != default:
            raise UserError(
                f"network.{key}: {getattr(network, key)} is a ResNet's and has no effect with network.family=vit; "
                f"remove it, or set it to its default {default} (a vision transformer's keys are network.vit.*)"
            )
    reason = recipe.about.needs_resnet
    if reason:
        raise UserError(f"network.family: vit does not go with method {recipe.method}, which {reason}; use resnet")
    if network.bn_groups > 1 and network.projector.batch_norm == "none":
        raise UserError(
            f"network.bn_groups: {network.bn_groups} parts have nothing to act on: neither a vision transformer nor "
            "this projector has batch normalisation; set network.bn_groups=1"
        )
    if recipe.run.channels_last and network.vit.width % 8:
        raise UserError(
            f"network.vit.width: {network.vit.width} is not a multiple of 8, which run.channels_last needs; "
            "change it, or set run.channels_last=false"
        )
    probed = {} if recipe.probe.every_epochs is None else {"probe.resolution": recipe.probe.resolution}
    for key, size in (recipe.about.image_sizes(recipe) | probed).items():
        require_patches(key, size, network.vit.patch)


def load_recipe(name_or_path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by name (a file of ``pretrain/recipes`` without ``.yaml``) or by path, and apply overrides.

    Args:
        overrides: ``["optimiser.lr=0.1", ...]``; the last wins.

    Raises:
        UserError: unknown recipe, key or value (each with the nearest right one), a key of another method, or values
            that do not fit together.
    """
    path = find_recipe(str(name_or_path))
    where = f"recipe {path.name}" if path.parent == RECIPE_FOLDER else str(path)
    given = parse_overrides([names_kept(pair) for pair in overrides or []])
    return resolve_recipe({"name": path.stem}, read_yaml(path), given, where=where)


def resolve_recipe(*layers: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """The recipe that nested mappings give, later ones before earlier ones, over the defaults.

    Raises:
        UserError: as :func:`load_recipe`.
    """
    names = [layer["method"] for layer in layers if "method" in layer]
    name = str(names[-1]) if names else Recipe.method
    about = method_class(name)
    for layer in layers:
        _refuse_foreign(layer, about, where)
    return load_config(_schema(name), *layers, where=where)


def read_saved_recipe(content: Mapping[str, Any], where: str) -> Recipe:
    """A recipe that was saved as resolved, by this version or one that saved the sections of every method.

    Raises:
        UserError: as :func:`load_recipe`.
    """
    about = method_class(str(content.get("method", Recipe.method)))
    foreign = _owners().keys() - about.sections.keys()
    return resolve_recipe({key: value for key, value in content.items() if key not in foreign}, where=where)


@functools.cache
def _schema(method: str) -> type[Recipe]:
    """:class:`Recipe` with the sections of a method."""
    sections = [(name, kind, field(default_factory=kind)) for name, kind in method_class(method).sections.items()]
    return make_dataclass("Recipe", sections, bases=(Recipe,))


@functools.cache
def _defaults(method: str) -> dict[str, Any]:
    plain = OmegaConf.to_container(OmegaConf.structured(_schema(method)))
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _owners() -> dict[str, list[str]]:
    """Every section of a method, and whose it is."""
    owners: dict[str, list[str]] = {}
    for name in method_names():
        for section in method_class(name).sections:
            owners.setdefault(section, []).append(name)
    return owners


def _refuse_foreign(layer: Mapping[str, Any], about: type[MethodTraits], where: str) -> None:
    general = {one.name for one in fields(Recipe)}
    own = {f"{section}.{key.name}" for section, kind in about.sections.items() for key in fields(kind)}
    for section in layer.keys() - general - about.sections.keys():
        owners = _owners().get(section)
        if owners is None:
            continue  # no method's: the schema's own check names the nearest key
        keys = layer[section]
        key = f"{section}.{next(iter(keys))}" if isinstance(keys, Mapping) and keys else section
        alike = [name for name in sorted(own) if name.partition(".")[2] == key.partition(".")[2]]
        nearest = f" (did you mean '{alike[0]}'?)" if alike else ""
        raise UserError(f"{where}: '{key}' is a key of {' and '.join(owners)}, not of this method{nearest}; remove it")
