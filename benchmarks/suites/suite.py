"""Suites: which backbones x protocols x seeds make one table, as data; a YAML file each, in ``benchmarks/suites``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from benchmarks.datasets.scenes import ScenesSpec
from benchmarks.protocols.protocol import load_protocol
from benchmarks.suites.controls import Controls, column_name, read_controls, require_fitting
from benchmarks.suites.sweep import check_free, expand
from scenebench.config import load_config, read_yaml
from scenebench.errors import UserError, did_you_mean, require_choice

SUITES = Path(__file__).parent
SCENE_TYPE_ORACLE, CHANCE = "scene_type_oracle", "chance"
REFERENCES = (SCENE_TYPE_ORACLE, "colour_histogram", CHANCE)

# What a suite may say of the generated data: what 'scenebench data scenes' takes.
GENERATOR_KEYS = ("images", "size", "seed", "cooccurrence", "objects_min", "objects_max", "variant")

_LATER = ("controls", "user_data_order")
"""Keys that came later: where a suite says nothing of them, it is the suite that it was."""

Schema = TypeVar("Schema")


@dataclass
class UserDataSpec:
    """How much of a user's own data takes part (None: all of it)."""

    max_train: int | None = None
    max_test: int | None = None


@dataclass
class BackboneRow:
    """A row of the tables: one recipe, pretrained once a seed; in a file one row may stand for many (``sweep``).

    Attributes:
        recipe: a recipe's name, or the path of a YAML file (relative to the suite's file).
        label: how the row is called; of a sweep a template, such as ``k {mls.k}``.
        seeds: of the pretraining; the evaluation of a backbone takes its seed over.
        overrides: ``key=value`` pairs for the recipe.
        user_data_overrides: more of them where the suite runs on the user's own data.
        sweep: recipe key -> list of values; the row becomes one row for each combination (:mod:`.sweep`), all else
            shared. Empty in every row of a :class:`Suite`.
        labels: the pretraining is given the annotations of its images, for methods that learn from labels and for the
            oracle ``saliency.source=mask``.
        seconds: what one pretraining takes on one core, roughly: for the order of jobs and the first estimate of time.
        gpus: devices for one pretraining; more than one start by torchrun. 0: none of its own.
        gpu_hours: what one takes, over all its devices; None, where ``gpus`` are given: estimated from the recipe.
        disk_mb: what one leaves: weights, checkpoint, logs.
    """

    recipe: str
    label: str
    seeds: list[int] = field(default_factory=lambda: [0])
    overrides: list[str] = field(default_factory=list)
    user_data_overrides: list[str] = field(default_factory=list)
    sweep: dict[str, Any] = field(default_factory=dict)
    labels: bool = False
    seconds: float = 60.0
    gpus: int = 0
    gpu_hours: float | None = None
    disk_mb: float = 20.0

    def __post_init__(self) -> None:
        _check_cost(f"backbone '{self.label}'", self.gpus, self.gpu_hours, self.disk_mb)


@dataclass
class GivenRow(BackboneRow):
    """A row whose weights are there: nothing is pretrained, and one file is judged with every seed.

    No suite's file has one; :mod:`benchmarks.submission` puts it in the place of the suite's own rows.

    Attributes:
        file: the backbone file, relative to the results folder; its path says which weights they are.
    """

    file: str = ""


@dataclass
class ProtocolColumn:
    """A group of columns of the tables: one protocol.

    Attributes:
        protocol: a protocol's id, or the path of a YAML file (relative to the suite's file).
        overrides: ``key=value`` pairs for the protocol.
        user_data_overrides: more of them where the suite runs on the user's own data.
        seeds: judge only the backbones pretrained with these seeds (None: all), where a protocol is dear.
        seconds: what one evaluation takes on one core, roughly.
        gpus, gpu_hours, disk_mb: of one evaluation, as those of a row.
    """

    protocol: str
    overrides: list[str] = field(default_factory=list)
    user_data_overrides: list[str] = field(default_factory=list)
    seeds: list[int] | None = None
    seconds: float = 60.0
    gpus: int = 0
    gpu_hours: float | None = None
    disk_mb: float = 3.0

    def __post_init__(self) -> None:
        _check_cost(f"protocol '{self.protocol}'", self.gpus, self.gpu_hours, self.disk_mb)


def _check_cost(what: str, gpus: int, gpu_hours: float | None, disk_mb: float) -> None:
    for key, value in (("gpus", gpus), ("gpu_hours", gpu_hours or 0.0), ("disk_mb", disk_mb)):
        if value < 0:
            raise UserError(f"{what}: {key}: {value} is negative")


@dataclass
class Suite:
    """One suite. ``baseline`` is the label of the row that the tables take differences to.

    ``pretrain_data``: name in the registry of data sets; empty: the generated scenes, or the user's own images.
    ``pictures``: what is shown of the pretrainings, by the names that they give them in their folder ``figures``.
    ``controls``: by which the tables say whether a column can tell; None: they do not say.
    ``user_data_order``: protocols that come first in the tables where the suite runs on the user's own data.
    """

    name: str
    size: str
    title: str
    baseline: str
    data: ScenesSpec
    user_data: UserDataSpec
    backbones: list[BackboneRow]
    protocols: list[ProtocolColumn]
    references: list[str]
    pretrain_data: str = ""
    pictures: list[str] = field(default_factory=list)
    controls: Controls | None = None
    user_data_order: list[str] = field(default_factory=list)

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value, sweeps expanded, as plain data; a file of one's own by its name, wherever it lies."""
        values = asdict(self)
        for key, entries in (("recipe", values["backbones"]), ("protocol", values["protocols"])):
            for entry in entries:
                entry[key] = Path(entry[key]).name
        return {key: value for key, value in values.items() if value or key not in _LATER}

    def __post_init__(self) -> None:
        labels = [row.label for row in self.backbones]
        for label in labels:
            if labels.count(label) > 1:
                raise UserError(f"suite {self.name}: backbones: the label '{label}' is given twice; rename one")
        require_choice(f"suite {self.name}: baseline", self.baseline, labels)
        for reference in self.references:
            require_choice(f"suite {self.name}: references", reference, REFERENCES)
        for row in self.backbones:
            if not row.seeds or len(set(row.seeds)) < len(row.seeds):
                raise UserError(
                    f"suite {self.name}: backbone '{row.label}': seeds must be one or more different numbers"
                )
        for name in self.user_data_order:
            known = [Path(column.protocol).stem for column in self.protocols]
            require_choice(f"suite {self.name}: user_data_order", name, known)
        seeds = {seed for row in self.backbones for seed in row.seeds}
        for column in self.protocols:
            unknown = set(column.seeds or []) - seeds
            if unknown:
                raise UserError(
                    f"suite {self.name}: protocol '{column.protocol}': no backbone has the seed {min(unknown)}; "
                    f"the backbones' seeds are {sorted(seeds)}"
                )


@dataclass
class _File:
    """A suite's file as it stands; the lists are read element by element so that an error can name the element."""

    name: str = ""
    size: str = ""
    title: str = ""
    baseline: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    user_data: UserDataSpec = field(default_factory=UserDataSpec)
    backbones: list[Any] = field(default_factory=list)
    protocols: list[Any] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    pretrain_data: str = ""
    pictures: list[str] = field(default_factory=list)
    controls: dict[str, Any] = field(default_factory=dict)
    user_data_order: list[str] = field(default_factory=list)


def suite_names() -> list[str]:
    """Names of the suites that come with scenebench."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a suite by name, or from a YAML file of one's own.

    Raises:
        UserError: no such suite (with the nearest name), unknown key, wrong type, or lists that do not fit together.
    """
    path = find_suite(str(name_or_path))
    content = load_config(_File, {"name": path.stem}, read_yaml(path), where=str(path.name))
    if not content.backbones or not (content.protocols or content.pictures):
        raise UserError(
            f"{path.name}: a suite needs at least one entry under 'backbones' and one under 'protocols' (or 'pictures')"
        )
    backbones = _elements(BackboneRow, content.backbones, f"{path.name}: backbones", required=("recipe", "label"))
    protocols = _elements(ProtocolColumn, content.protocols, f"{path.name}: protocols", required=("protocol",))
    for row in backbones:
        row.recipe = _beside(path, row.recipe)
    backbones = [
        one for number, row in enumerate(backbones) for one in _expanded(row, f"{path.name}: backbones[{number}]")
    ]
    for column in protocols:
        column.protocol = _beside(path, column.protocol)
    controls = None
    if content.controls:
        where = f"{path.name}: controls"
        controls = read_controls(content.controls, where)
        require_fitting(controls, [row.label for row in backbones], _column_names(protocols), where)
    return Suite(
        name=content.name,
        size=content.size or content.name,
        title=content.title or content.name,
        baseline=content.baseline or backbones[0].label,
        data=scenes_spec(content.data, f"{path.name}: data"),
        user_data=content.user_data,
        backbones=backbones,
        protocols=protocols,
        references=content.references,
        pretrain_data=content.pretrain_data,
        pictures=content.pictures,
        controls=controls,
        user_data_order=content.user_data_order,
    )


def _column_names(protocols: Sequence[ProtocolColumn]) -> list[str]:
    """``PROTOCOL.METRIC`` of every column of the tables."""
    found = [load_protocol(column.protocol) for column in protocols]
    return [column_name(protocol.id, metric) for protocol in found for metric in protocol.metrics]


def scenes_spec(values: dict[str, Any], where: str) -> ScenesSpec:
    """What a suite or a size says of the generated data, checked; ``where`` names it in an error."""
    hints = get_type_hints(ScenesSpec)
    for key, value in values.items():
        if key not in GENERATOR_KEYS:
            raise UserError(f"{where}: unknown key '{key}'{did_you_mean(key, GENERATOR_KEYS)}")
        if isinstance(value, bool) or not isinstance(value, (int, hints[key])):
            raise UserError(f"{where}: {key} is '{value}', expected {hints[key].__name__}")
    return ScenesSpec(**values)


def find_suite(name: str) -> Path:
    """The file of a suite by name, or the path that was given."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)  # read_yaml says so where it is missing
    if name not in suite_names():
        raise UserError(f"unknown suite '{name}'{did_you_mean(name, suite_names())}")
    return SUITES / f"{name}.yaml"


def _elements(schema: type[Schema], items: list[Any], where: str, required: tuple[str, ...]) -> list[Schema]:
    elements = []
    for number, item in enumerate(items):
        place = f"{where}[{number}]"
        if not isinstance(item, dict):
            raise UserError(f"{place}: expected a mapping of keys, found '{item}'")
        for key in required:
            if key not in item:
                raise UserError(f"{place}: '{key}' is missing")
        elements.append(load_config(schema, item, where=place))
    return elements


def _expanded(row: BackboneRow, where: str) -> list[BackboneRow]:
    """The rows that a row stands for: itself, or those of its sweep."""
    if not row.sweep:
        return [row]
    check_free(row.sweep, [*row.overrides, *row.user_data_overrides], where)
    return [
        replace(row, label=one.label, overrides=[*row.overrides, *one.overrides], sweep={})
        for one in expand(row.sweep, row.label, where)
    ]


def _beside(suite: Path, name: str) -> str:
    """A file named in a suite is looked for beside the suite's file; a plain name stays as it is."""
    return str((suite.parent / name).resolve()) if name.endswith((".yaml", ".yml")) else name
