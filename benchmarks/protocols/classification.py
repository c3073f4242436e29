"""What a classification protocol can say: the probe, how images are shown to it, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.protocols.schema import later, require_positive
from scenebench.errors import UserError, require_choice

PROBES = ("knn", "linear", "low_shot", "knn_classes", "linear_grid", "svm", "svm_low_shot", "train")
_SECTIONS = {
    "low_shot": ("low_shot",),
    "linear_grid": ("linear_grid",),
    "svm": ("svm",),
    "svm_low_shot": ("svm",),
    "train": ("train", "views"),
}
FEATURES = ("layer1", "layer2", "layer3", "layer4")
STAGES = ("stem", *FEATURES)
LOW_SHOTS = (1, 2, 4, 8, 16, 32, 64, 96)
CLASSIFICATION_METRICS = (
    "mAP",
    "mAP_best_epoch",
    "mAP_11point",
    "top1",
    "top5",
    "top1_best_epoch",
    "mAP_low_shot",
    *(f"mAP_k{k}" for k in LOW_SHOTS),
)
"""``mAP_11point``: by VOC 2007's rule, beside ``mAP`` by the protocol's. ``*_best_epoch``: the best of all evaluated
epochs on the test images, as some papers report: it peeks."""


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
class LowShotSettings:
    """Logistic regression as ``linear``, on few labelled images; the mean over draws (see ``low_shot``).

    Attributes:
        per_category: labelled images of every category; 0: ``share`` of all images instead.
        l2: strength of L2; fixed, since few labels leave none to choose it on.
    """

    per_category: int = 0
    share: float = 0.0
    draws: int = 10
    l2: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self, "draws", "l2")
        if self.per_category < 0 or not 0 <= self.share <= 1 or bool(self.per_category) == bool(self.share):
            raise UserError(
                f"settings.low_shot: per_category {self.per_category} and share {self.share:g}; give either a number "
                "of images a category or a share of all images, in (0, 1]"
            )


@dataclass
class LinearGridSettings:
    """A linear classifier on stored features by SGD (momentum 0.9, cosine), one for every learning rate, in one pass.

    The best on ``holdout`` of the training images (a fixed choice, not trained on) is the one that is tested.
    """

    learning_rates: list[float] = field(default_factory=lambda: [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0])
    epochs: int = 30
    batch_size: int = 256
    weight_decay: float = 0.0
    holdout: float = 0.1

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "batch_size")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UserError("settings.linear_grid.learning_rates: give at least one, all positive")
        if not 0 < self.holdout < 1:
            raise UserError(f"settings.linear_grid.holdout: {self.holdout} is not between 0 and 1")


@dataclass
class SVMSettings:
    """One linear SVM (L2 penalty, squared hinge, dual) a class on features of unit length.

    Attributes:
        costs: candidates for C; full data: the best by ``folds``-fold average precision on the training images.
        positive_weight: of class +1; -1 weighs 1.
        shots: low-shot: positives a class; (classes - 1) times as many negatives are drawn with them.
        samples: low-shot: independent draws whose test mAP is averaged.
    """

    costs: list[float] = field(default_factory=lambda: [1.0, 10.0, 100.0, *(0.5**power for power in range(4, 20))])
    positive_weight: float = 2.0
    folds: int = 3
    max_iterations: int = 2000
    shots: list[int] = field(default_factory=lambda: list(LOW_SHOTS))
    samples: int = 5

    def __post_init__(self) -> None:
        require_positive(self, "positive_weight", "max_iterations", "samples")
        if not self.costs or min(self.costs) <= 0:
            raise UserError("settings.svm.costs: give at least one, all positive")
        if self.folds < 2:
            raise UserError(f"settings.svm.folds: {self.folds} is below 2")
        for k in self.shots:
            require_choice("settings.svm.shots", str(k), [str(shot) for shot in LOW_SHOTS])


@dataclass
class ViewSettings:
    """How an image is shown: to the training at random, to the test always alike.

    Attributes:
        size: side in pixels of the square that the network sees.
        resize: the short side is resized to this before a random or central crop; 0: the whole image is squeezed.
        train: ``random_resized_crop`` (area ``min_scale`` to 1, aspect 3/4 to 4/3), ``random_crop``, or ``test``
            (as in the test).
        flip: mirror every other training image. jitter: of brightness, contrast and saturation.
        lighting: standard deviation of AlexNet's colour noise along the principal axes of ImageNet's pixels.
    """

    size: int = 224
    resize: int = 256
    train: str = "random_resized_crop"
    min_scale: float = 0.08
    flip: bool = True
    jitter: float = 0.0
    lighting: float = 0.0

    def __post_init__(self) -> None:
        require_choice("settings.views.train", self.train, ["random_resized_crop", "random_crop", "test"])
        require_positive(self, "size")
        if self.resize and self.resize < self.size:
            raise UserError(f"settings.views.resize: {self.resize} is below settings.views.size {self.size}")
        if not 0 < self.min_scale <= 1:
            raise UserError(f"settings.views.min_scale: {self.min_scale} is not in (0, 1]")


@dataclass
class TrainSettings:
    """Training by SGD on images: all weights (fine-tuning, semi-supervised) or linear heads on a frozen backbone.

    Attributes:
        frozen: the backbone stays as it is, its norms in eval mode; only heads are trained. One head for every stage
            and learning rate, all in one pass: their losses do not touch each other.
        stages: stages with a head each; fine-tuning takes ``layer4`` alone. The best on ``choose_on`` is reported.
        cells: 1: a stage's map is averaged; n > 1: ``layer4``'s n x n cells, and so many of the other stages that the
            head sees about as many numbers (the multi-stage probe); a norm without weights stands before such a head.
        frozen_norms: fine-tuning: batch norm keeps its running statistics (its weights are trained).
        learning_rates, head_lr_factors: of the backbone, and of the head over it. More than one of either is a grid:
            fine-tuning trains each pair from the start.
        weight_decay: of everything; ``norm_weight_decay`` of norms where it is given.
        decay: ``cosine`` to 0, by iteration, or ``step``: times ``step_factor`` at each epoch of ``steps``.
        warmup_epochs: linear, from 0, by iteration.
        choose_on: the split that chooses from the grid: ``val`` or ``test``. Papers use the test; it is named in the
            protocol's ambiguities where it is so.
        evaluate_every: epochs between tests, for ``*_best_epoch``; 0: only at the end.
    """

    frozen: bool = False
    stages: list[str] = field(default_factory=lambda: ["layer4"])
    cells: int = 1
    frozen_norms: bool = False
    learning_rates: list[float] = field(default_factory=lambda: [0.01])
    head_lr_factors: list[float] = field(default_factory=lambda: [1.0])
    epochs: int = 60
    batch_size: int = 64
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    norm_weight_decay: float | None = None
    decay: str = "cosine"
    steps: list[int] = field(default_factory=list)
    step_factor: float = 0.1
    warmup_epochs: float = 0.0
    choose_on: str = "test"
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "batch_size", "cells")
        require_choice("settings.train.decay", self.decay, ["cosine", "step"])
        require_choice("settings.train.choose_on", self.choose_on, ["val", "test"])
        for stage in self.stages:
            require_choice("settings.train.stages", stage, STAGES)
        for name in ("learning_rates", "head_lr_factors"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise UserError(f"settings.train.{name}: give at least one, all positive")
        if not self.frozen and self.stages != ["layer4"]:
            raise UserError("settings.train.stages: fine-tuning has one head, on layer4; stages need frozen=true")
        if self.decay == "cosine" and self.steps:
            raise UserError("settings.train.steps: only with decay=step")

    @property
    def is_grid(self) -> bool:
        """Whether something is chosen."""
        return len(self.stages) * len(self.learning_rates) * len(self.head_lr_factors) > 1


@dataclass
class ClassificationSettings:
    """How frozen features are probed, or a network is fine-tuned.

    Attributes:
        probe: ``knn``, ``linear``, ``low_shot`` (multi-label, of this suite), ``knn_classes`` and ``linear_grid`` (one
            class an image; stored features), ``svm``, ``svm_low_shot`` (multi-label), or ``train`` (SGD on images;
            multi-label by binary cross-entropy, else by cross-entropy).
        image_size: side in pixels of the image whose features are stored; the whole image is squeezed.
        crop_from: stored features: not squeezed; the short side is resized to this and the centre cut out.
        feature: the stage that is pooled, ``layer1`` .. ``layer4``; of a vision transformer ``layer4``, its output.
        average_precision: ``sum`` (non-interpolated), ``area`` (VOC 2010 on) or ``eleven_point`` (VOC 2007).
        difficult: of training images where a class has difficult objects only: ``negative``, ``positive`` or
            ``ignored``. In the test they are left out for that class, always.
        train_list: file of training images instead of the whole split (ImageNet; a published list, prepared or not),
            below the data's root if it is relative.
        train_share: of ``train``: a share of the training images, drawn by the run's seed alone; 0: all of them.
    """

    probe: str = "linear"
    image_size: int = 128
    feature: str = "layer4"
    batch_size: int = 64
    knn: KNNSettings = field(default_factory=KNNSettings)
    linear: LinearSettings = field(default_factory=LinearSettings)
    crop_from: int = later(0)
    average_precision: str = later("sum")
    difficult: str = later("negative")
    train_list: str = later("")
    train_share: float = later(0.0)
    low_shot: LowShotSettings | None = later(None)
    linear_grid: LinearGridSettings | None = later(None)
    svm: SVMSettings | None = later(None)
    views: ViewSettings | None = later(None)
    train: TrainSettings | None = later(None)

    def __post_init__(self) -> None:
        require_choice("settings.probe", self.probe, PROBES)
        require_choice("settings.feature", self.feature, FEATURES)
        require_choice("settings.average_precision", self.average_precision, ["sum", "area", "eleven_point"])
        require_choice("settings.difficult", self.difficult, ["negative", "positive", "ignored"])
        require_positive(self, "image_size", "batch_size")
        for section in _SECTIONS.get(self.probe, ()):
            if getattr(self, section) is None:
                raise UserError(f"settings.{section}: the probe '{self.probe}' needs this section")
        if not 0 <= self.train_share < 1:
            raise UserError(f"settings.train_share: {self.train_share:g} is not in [0, 1)")
        if self.train_share and self.train_list:
            raise UserError("settings.train_share: goes without settings.train_list, which names the images; keep one")
        if self.train_share and self.probe != "train":
            raise UserError(f"settings.train_share: belongs to probe 'train'; '{self.probe}' has low_shot.share")
        if self.crop_from and self.crop_from < self.image_size:
            raise UserError(f"settings.crop_from: {self.crop_from} is below settings.image_size {self.image_size}")
        if self.knn.k < 1 or self.knn.temperature <= 0:
            raise UserError("settings.knn: k and temperature must be positive")
        if not self.linear.l2 or min([*self.linear.l2, self.linear.default_l2]) <= 0:
            raise UserError("settings.linear: l2 and default_l2 must be positive")
