"""Protocols: how a backbone is evaluated, as data. One YAML file a protocol, one typed dataclass a task.

Everything that can change a number is in ``Protocol.resolved`` and so in its hash; wording is not. A protocol's number
may change only together with its ``version``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.protocols.classification import CLASSIFICATION_METRICS, ClassificationSettings
from benchmarks.protocols.dense import (
    DENSE_METRICS,
    DISCOVERY_METRICS,
    METRICS_OF,
    REGION_METRICS,
    REGION_PROBES,
    DenseSettings,
)
from benchmarks.protocols.detection import PYCOCOTOOLS, DetectionSettings
from benchmarks.protocols.saliency import SALIENCY_METRICS, SALIENCY_REFERENCES, SaliencySettings
from benchmarks.protocols.schema import later, to_resolved
from benchmarks.protocols.segmentation import SegmentationSettings
from scenebench.config import config_hash, load_config, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError, did_you_mean, require_choice

PROTOCOLS = Path(__file__).parent
_WORDING = ("title", "description", "seeds", "published", "ambiguities", "notes", "sizes", "overridden")
_SIZED = ("backbone", "data", "settings", "metrics", "seeds")
DETECTION_METRICS = ("box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75")


@dataclass
class DataSettings:
    """Which images train and test, and what is told apart in them.

    Attributes:
        dataset: name in the registry of data sets, whose official layout is read; empty: a prepared data set of any
            name (one that ``scenebench data scenes`` or ``data coco`` wrote).
        classes: their number where the protocol is about it; None: whatever the data set has.
        max_train_images, max_test_images: None for all; a limit picks the same images for every backbone and seed.
        merge_categories: all categories count as one, ``object`` (detection and segmentation): class-agnostic metrics,
            which ask where objects are and not which. For schedules too short to learn to tell many categories apart.
    """

    train_split: str = "train"
    val_split: str = "val"
    test_split: str = "test"
    max_train_images: int | None = None
    max_test_images: int | None = None
    merge_categories: bool = False
    dataset: str = later("")
    classes: int | None = later(None)

    def __post_init__(self) -> None:
        for name in ("max_train_images", "max_test_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"data.{name}: {value} is not a positive number of images")


@dataclass
class PublishedRows:
    """Which values of ``published/*.csv`` were measured by this protocol, or by one that cannot be told from it.

    Attributes:
        table: of the CSV, ``table1``.
        task: of the CSV; empty: any. Needed where several protocols of a table share their name.
        protocol: name that the CSV gives the protocol; empty: this protocol's id.
        tolerance: in percent points; a result this near counts as reproduced. None: the source gives no spread to
            take one from.
        note: why it may be another protocol after all.
    """

    table: str
    task: str = ""
    protocol: str = ""
    tolerance: float | None = None
    note: str = ""


@dataclass
class Protocol:
    """What every protocol says, whatever its task.

    Attributes:
        seeds: one run each; their number is that of the runs that the published values are means of.
        published: rows that this protocol is compared with.
        backbone: architecture that it is about, ``resnet50``; empty: any that the task can take.
        ambiguities: what the source leaves open, and what was taken.
        sizes: other values by name, ``{demo: {settings: {iterations: 4}}}``; see :func:`load_protocol`.
        overridden: the ``key=value`` pairs given on top of the file, and ``size=demo`` for a section of ``sizes``.
    """

    TASK: ClassVar[str]
    METRICS: ClassVar[tuple[str, ...]]
    TOOLBOXES: ClassVar[tuple[str, ...]]
    REFERENCES: ClassVar[tuple[str, ...]] = ()
    """Rows that evaluate no backbone, which a suite may ask for; ``references`` narrows them to a protocol."""
    MANDATORY_REFERENCES: ClassVar[tuple[str, ...]] = ()
    """Those without which a table of this task says nothing: every suite has them."""
    TAKES_TRANSFORMERS: ClassVar[bool] = False

    id: str
    version: int
    task: str
    toolbox: str
    title: str
    description: str = ""
    data: DataSettings = field(default_factory=DataSettings)
    metrics: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    published: list[PublishedRows] = field(default_factory=list)
    backbone: str = later("")
    ambiguities: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: dict[str, Any] = field(default_factory=dict)
    overridden: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_choice("toolbox", self.toolbox, self.TOOLBOXES)
        for metric in self.metrics:
            require_choice("metrics", metric, self.METRICS)
        self.metrics = self.metrics or list(self.METRICS)

    def require_backbone(self, architecture: str) -> None:
        """Refuse a backbone that this protocol is not about, by the name of its architecture.

        Raises:
            UserError: another architecture; a number of it would stand under a title that it has no right to.
        """
        if self.backbone and architecture != self.backbone:
            raise UserError(
                f"protocol '{self.id}' is about a {self.backbone}, and this backbone is a {architecture}; "
                "backbone='' evaluates it all the same, under another hash"
            )

    @property
    def references(self) -> tuple[str, ...]:
        """Those of :attr:`REFERENCES` that this protocol can evaluate."""
        return self.REFERENCES

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value that can change a number, as plain data."""
        return {key: value for key, value in to_resolved(self).items() if key not in _WORDING}

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that name :attr:`resolved`."""
        return config_hash(self.resolved)


@dataclass
class ClassificationProtocol(Protocol):
    """A probe of frozen features, or a network fine-tuned to tell classes apart."""

    TASK: ClassVar[str] = "classification"
    METRICS: ClassVar[tuple[str, ...]] = CLASSIFICATION_METRICS
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("scikit-learn", "torch")
    REFERENCES: ClassVar[tuple[str, ...]] = ("scene_type_oracle", "colour_histogram", "chance")
    TAKES_TRANSFORMERS: ClassVar[bool] = True
    settings: ClassificationSettings = field(default_factory=ClassificationSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.merge_categories:
            raise UserError("data.merge_categories: images are classified by category; merged there is nothing to tell")

    @property
    def references(self) -> tuple[str, ...]:
        """The scene type and the colours, for probes of stored features; chance, where the metric is multi-label."""
        if self.settings.probe == "train":
            return ()
        of_multi_label = self.settings.probe in ("knn", "linear", "low_shot")
        return tuple(name for name in self.REFERENCES if of_multi_label or name != "chance")


@dataclass
class DenseProtocol(Protocol):
    """A probe of a frozen backbone's maps: objects in their boxes, semantic maps, where objects are."""

    TASK: ClassVar[str] = "dense"
    METRICS: ClassVar[tuple[str, ...]] = (*REGION_METRICS, *DENSE_METRICS, *DISCOVERY_METRICS)
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("torch",)
    REFERENCES: ClassVar[tuple[str, ...]] = ("box_shape", "colour_histogram")
    TAKES_TRANSFORMERS: ClassVar[bool] = True
    settings: DenseSettings = field(default_factory=DenseSettings)

    def __post_init__(self) -> None:
        self.settings.settle_sections()
        own = METRICS_OF[self.settings.probe]
        self.metrics = self.metrics or list(own)
        super().__post_init__()
        for metric in self.metrics:
            require_choice(f"metrics of probe '{self.settings.probe}'", metric, own)
        if self.data.merge_categories:
            raise UserError("data.merge_categories: frozen probes tell categories apart; remove the key")

    @property
    def references(self) -> tuple[str, ...]:
        """A box's shape and the colours in it, where objects in boxes are told apart."""
        return self.REFERENCES if self.settings.probe in REGION_PROBES else ()


@dataclass
class DetectionProtocol(Protocol):
    """Object detection and instance segmentation."""

    TASK: ClassVar[str] = "detection"
    METRICS: ClassVar[tuple[str, ...]] = DETECTION_METRICS
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("detectron2", "mmdetection")
    settings: DetectionSettings = field(default_factory=DetectionSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.published and self.settings.evaluator != PYCOCOTOOLS:
            raise UserError(
                f"settings.evaluator: protocol '{self.id}' has published values, which {PYCOCOTOOLS} evaluated; "
                f"leave it at {PYCOCOTOOLS}"
            )


@dataclass
class SegmentationProtocol(Protocol):
    """Semantic segmentation."""

    TASK: ClassVar[str] = "segmentation"
    METRICS: ClassVar[tuple[str, ...]] = ("mIoU", "mAcc", "aAcc")
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("mmsegmentation",)
    REFERENCES: ClassVar[tuple[str, ...]] = ("chance",)
    settings: SegmentationSettings = field(default_factory=SegmentationSettings)


@dataclass
class SaliencyProtocol(Protocol):
    """Saliency maps against what people find salient."""

    TASK: ClassVar[str] = "saliency"
    METRICS: ClassVar[tuple[str, ...]] = SALIENCY_METRICS
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("torch",)
    REFERENCES: ClassVar[tuple[str, ...]] = SALIENCY_REFERENCES
    MANDATORY_REFERENCES: ClassVar[tuple[str, ...]] = SALIENCY_REFERENCES
    TAKES_TRANSFORMERS: ClassVar[bool] = True
    settings: SaliencySettings = field(default_factory=SaliencySettings)


_SCHEMAS: dict[str, type[Protocol]] = {
    schema.TASK: schema
    for schema in (ClassificationProtocol, DenseProtocol, DetectionProtocol, SegmentationProtocol, SaliencyProtocol)
}
REFERENCES = tuple(dict.fromkeys(name for schema in _SCHEMAS.values() for name in schema.REFERENCES))
"""Every row that evaluates no backbone but what can be had without one, whatever the task."""


def list_protocols() -> list[str]:
    """Ids of the protocols that come with the suite."""
    return sorted(path.stem for path in PROTOCOLS.glob("*.yaml"))


def load_protocol(id_or_path: str | Path, overrides: Sequence[str] = (), size: str = "") -> Protocol:
    """Read a protocol by id, or from a YAML file of one's own.

    Args:
        overrides: ``["settings.iterations=10", ...]``; they change the hash, and the record says them.
        size: takes the values of the file's section ``sizes.<size>`` on top of its own, under the overrides. A file
            that has no such section is of that size itself.

    Raises:
        UserError: no such protocol (with the nearest id), unknown key, wrong type or impossible value.
    """
    path = _find(str(id_or_path))
    content = read_yaml(path)
    task = content.get("task")
    require_choice(f"{path.name}: task", str(task), _SCHEMAS)
    given = parse_overrides(overrides)
    for key in ("id", "task", "version", "toolbox", "sizes"):
        if key in given:
            raise UserError(f"{key}: names the protocol and cannot be overridden; copy {path.name} under a new id")
    section = _section(content, size, path.name)
    said = [*([f"size={size}"] if section else []), *overrides]
    layers = [content, section, given, {"overridden": said}]
    protocol = load_config(_SCHEMAS[str(task)], *layers, where=path.name)
    if protocol.id != path.stem:
        raise UserError(f"{path}: id '{protocol.id}' must equal the file's name")
    return protocol


def describe(protocol: Protocol) -> dict[str, Any]:
    """Everything a protocol says, in the order of its fields, with the hash: what ``protocol show`` prints."""
    return {"hash": protocol.hash, **{f.name: to_plain(protocol)[f.name] for f in dataclasses.fields(protocol)}}


def _section(content: dict[str, Any], size: str, where: str) -> dict[str, Any]:
    sizes = content.get("sizes") or {}
    section = sizes.get(size) if isinstance(sizes, dict) else None
    if section is None:
        return {}
    if not isinstance(section, dict) or not set(section) <= set(_SIZED):
        raise UserError(f"{where}: sizes.{size}: a section of {', '.join(_SIZED)} is expected")
    return section


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    path = PROTOCOLS / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"unknown protocol '{name}'{did_you_mean(name, list_protocols())}")
    return path
