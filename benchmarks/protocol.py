"""Protocols: how a backbone is judged, as data. One YAML file a protocol, one typed dataclass a task.

Everything that can change a number is in ``Protocol.resolved`` and so in its hash; wording is not. A protocol's number
may change only together with its ``version``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from scenebench.config import config_hash, load_config, parse_overrides, read_yaml, to_plain
from scenebench.errors import UserError, did_you_mean, require_choice

PROTOCOLS = Path(__file__).parent / "protocols"
_WORDING = ("title", "description", "seeds", "published", "notes", "overridden")
DETECTION_METRICS = ("box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75")


@dataclass
class DataSettings:
    """Which images train and test, and what is told apart in them.

    Attributes:
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

    def __post_init__(self) -> None:
        for name in ("max_train_images", "max_test_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"data.{name}: {value} is not a positive number of images")


@dataclass
class Published:
    """A number that a paper printed for this protocol; ``value`` None where it is not known."""

    method: str
    metric: str
    value: float | None
    source: str
    tolerance: float | None = None
    note: str = ""


@dataclass
class KNNSettings:
    """Weighted k-nearest neighbours by cosine similarity, votes weighted by exp(similarity / temperature)."""

    k: int = 20
    temperature: float = 0.07


@dataclass
class LinearSettings:
    """Multi-label logistic regression on standardised features, fitted to convergence.

    ``l2`` are candidate strengths (of ``l2/2 * |w|^2`` beside the mean loss); the best on the validation split is
    taken, or ``default_l2`` where the data has no validation split.
    """

    l2: list[float] = field(default_factory=lambda: [10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01])
    default_l2: float = 0.1
    max_iterations: int = 200


@dataclass
class ClassificationSettings:
    """A probe of frozen, globally average-pooled features.

    Attributes:
        probe: ``knn`` or ``linear``.
        image_size: side in pixels to which the whole image is resized (squeezed, not cropped).
        feature: the stage that is pooled, ``layer1`` .. ``layer4``; of a vision transformer ``layer4``, its output.
    """

    probe: str = "linear"
    image_size: int = 128
    feature: str = "layer4"
    batch_size: int = 64
    knn: KNNSettings = field(default_factory=KNNSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)

    def __post_init__(self) -> None:
        require_choice("settings.probe", self.probe, ["knn", "linear"])
        require_choice("settings.feature", self.feature, ["layer1", "layer2", "layer3", "layer4"])
        _require_positive(self, "image_size", "batch_size")
        if self.knn.k < 1 or self.knn.temperature <= 0:
            raise UserError("settings.knn: k and temperature must be positive")
        if not self.linear.l2 or min([*self.linear.l2, self.linear.default_l2]) <= 0:
            raise UserError("settings.linear: l2 and default_l2 must be positive")


@dataclass
class DetectionSettings:
    """Fine-tuning of a Detectron2 or MMDetection model.

    Attributes:
        model: ``mask_rcnn_fpn`` or ``faster_rcnn_fpn``.
        short_side, max_side: an image is resized so that its short side is ``short_side`` unless the long one exceeds
            ``max_side`` pixels; in training one of ``train_short_sides`` is drawn (empty: ``short_side``).
        iterations, batch_size: of the schedule; the learning rate is multiplied by ``step_factor`` at ``steps``.
        optimiser: ``adamw`` or ``sgd`` (momentum 0.9).
        clip_norm: largest gradient norm, 0 for none.
        config: further keys of the toolbox's own configuration, checked against its defaults: Detectron2's
            (``MODEL: {ROI_HEADS: {...}}``), or for MMDetection see :mod:`benchmarks.detection.mmdet_config`. What
            depends on the weights is written from the backbone file and cannot be given here.
    """

    model: str = "mask_rcnn_fpn"
    short_side: int = 128
    max_side: int = 213
    train_short_sides: list[int] = field(default_factory=list)
    iterations: int = 75
    batch_size: int = 4
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_iterations: int = 15
    steps: list[int] = field(default_factory=list)
    step_factor: float = 0.1
    clip_norm: float = 5.0
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_choice("settings.model", self.model, ["mask_rcnn_fpn", "faster_rcnn_fpn"])
        require_choice("settings.optimiser", self.optimiser, ["adamw", "sgd"])
        _require_positive(self, "short_side", "iterations", "batch_size", "learning_rate")
        if self.max_side < self.short_side:
            raise UserError(f"settings.max_side: {self.max_side} is below settings.short_side {self.short_side}")

    @property
    def predicts_masks(self) -> bool:
        """Mask R-CNN does, Faster R-CNN does not."""
        return self.model.startswith("mask_")


@dataclass
class SegmentationSettings:
    """Fine-tuning of an MMSegmentation model.

    Attributes:
        head: ``fcn``, ``pspnet`` or ``psanet`` (which needs mmcv's compiled operators: ``make mmcv-ops``),
            ``head_channels`` wide; ``auxiliary_head`` adds an FCN head on layer3, weight 0.4.
        output_stride: of the backbone, 8, 16 or 32 (by dilating the last stages).
        short_side, max_side: an image is resized so that its short side is ``short_side`` unless the long one exceeds
            ``max_side`` pixels; in training one of ``train_short_sides`` is drawn (empty: ``short_side``). Test images
            are predicted whole, and judged at their own size.
        crop_size: side of the square training crop.
        iterations, batch_size: of the schedule; the learning rate decays as (1 - t/T)^poly_power, after a linear
            warm-up, to ``min_lr_factor`` of itself.
        optimiser: ``adamw`` or ``sgd`` (momentum 0.9).
        head_lr_factor: learning rate of the heads over that of the backbone.
        clip_norm: largest gradient norm, 0 for none.
    """

    head: str = "fcn"
    head_channels: int = 64
    auxiliary_head: bool = False
    dropout: float = 0.1
    output_stride: int = 8
    short_side: int = 128
    max_side: int = 213
    train_short_sides: list[int] = field(default_factory=list)
    crop_size: int = 128
    iterations: int = 80
    batch_size: int = 8
    optimiser: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    head_lr_factor: float = 1.0
    warmup_iterations: int = 10
    poly_power: float = 0.9
    min_lr_factor: float = 0.01
    clip_norm: float = 0.0

    def __post_init__(self) -> None:
        require_choice("settings.head", self.head, ["fcn", "pspnet", "psanet"])
        require_choice("settings.optimiser", self.optimiser, ["adamw", "sgd"])
        _require_positive(self, "short_side", "crop_size", "iterations", "batch_size", "learning_rate", "head_channels")
        if self.output_stride not in (8, 16, 32):
            raise UserError(f"settings.output_stride: {self.output_stride} is not one of 8, 16, 32")
        if self.head == "pspnet" and self.batch_size < 2:
            raise UserError("settings.batch_size: PSPNet's global pooling needs at least 2 images a batch for its BN")
        if self.max_side < self.short_side:
            raise UserError(f"settings.max_side: {self.max_side} is below settings.short_side {self.short_side}")


@dataclass
class Protocol:
    """What every protocol says, whatever its task. ``overridden``: the ``key=value`` pairs given on top of the file."""

    TASK: ClassVar[str]
    METRICS: ClassVar[tuple[str, ...]]
    TOOLBOXES: ClassVar[tuple[str, ...]]

    id: str
    version: int
    task: str
    toolbox: str
    title: str
    description: str = ""
    data: DataSettings = field(default_factory=DataSettings)
    metrics: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    published: list[Published] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    overridden: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_choice("toolbox", self.toolbox, self.TOOLBOXES)
        for metric in self.metrics:
            require_choice("metrics", metric, self.METRICS)
        self.metrics = self.metrics or list(self.METRICS)

    @property
    def resolved(self) -> dict[str, Any]:
        """Every value that can change a number, as plain data."""
        return {key: value for key, value in to_plain(self).items() if key not in _WORDING}

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that name :attr:`resolved`."""
        return config_hash(self.resolved)


@dataclass
class ClassificationProtocol(Protocol):
    """A probe of frozen features."""

    TASK: ClassVar[str] = "classification"
    METRICS: ClassVar[tuple[str, ...]] = ("mAP",)
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    settings: ClassificationSettings = field(default_factory=ClassificationSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.merge_categories:
            raise UserError("data.merge_categories: images are classified by category; merged there is nothing to tell")


@dataclass
class DetectionProtocol(Protocol):
    """Object detection and instance segmentation."""

    TASK: ClassVar[str] = "detection"
    METRICS: ClassVar[tuple[str, ...]] = DETECTION_METRICS
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("detectron2", "mmdetection")
    settings: DetectionSettings = field(default_factory=DetectionSettings)


@dataclass
class SegmentationProtocol(Protocol):
    """Semantic segmentation."""

    TASK: ClassVar[str] = "segmentation"
    METRICS: ClassVar[tuple[str, ...]] = ("mIoU", "mAcc", "aAcc")
    TOOLBOXES: ClassVar[tuple[str, ...]] = ("mmsegmentation",)
    settings: SegmentationSettings = field(default_factory=SegmentationSettings)


_SCHEMAS: dict[str, type[Protocol]] = {
    schema.TASK: schema for schema in (ClassificationProtocol, DetectionProtocol, SegmentationProtocol)
}


def list_protocols() -> list[str]:
    """Ids of the protocols that come with the suite."""
    return sorted(path.stem for path in PROTOCOLS.glob("*.yaml"))


def load_protocol(id_or_path: str | Path, overrides: Sequence[str] = ()) -> Protocol:
    """Read a protocol by id, or from a YAML file of one's own.

    Args:
        overrides: ``["settings.iterations=10", ...]``; they change the hash, and the record says them.

    Raises:
        UserError: no such protocol (with the nearest id), unknown key, wrong type or impossible value.
    """
    path = _find(str(id_or_path))
    content = read_yaml(path)
    task = content.get("task")
    require_choice(f"{path.name}: task", str(task), _SCHEMAS)
    layers = [content, parse_overrides(overrides), {"overridden": list(overrides)}]
    for key in ("id", "task", "version", "toolbox"):
        if key in layers[1]:
            raise UserError(f"{key}: names the protocol and cannot be overridden; copy {path.name} under a new id")
    protocol = load_config(_SCHEMAS[str(task)], *layers, where=path.name)
    if protocol.id != path.stem:
        raise UserError(f"{path}: id '{protocol.id}' must equal the file's name")
    return protocol


def describe(protocol: Protocol) -> dict[str, Any]:
    """Everything a protocol says, in the order of its fields, with the hash: what ``protocol show`` prints."""
    return {"hash": protocol.hash, **{f.name: to_plain(protocol)[f.name] for f in dataclasses.fields(protocol)}}


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    path = PROTOCOLS / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"unknown protocol '{name}'{did_you_mean(name, list_protocols())}")
    return path


def _require_positive(settings: Any, *names: str) -> None:
    for name in names:
        if getattr(settings, name) <= 0:
            raise UserError(f"settings.{name}: {getattr(settings, name)} is not positive")
