"""What a segmentation protocol can say: the head, the sizes, the schedule."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.protocols.schema import later, require_positive
from scenebench.errors import UserError, require_choice


@dataclass
class SegmentationSettings:
    """Fine-tuning of an MMSegmentation model.

    Attributes:
        head: ``fcn``, ``pspnet`` or ``psanet`` (which needs mmcv's compiled operators: ``make mmcv-ops``),
            ``head_channels`` wide; ``auxiliary_head`` adds an FCN head on layer3, weight 0.4.
        output_stride: of the backbone, 8, 16 or 32 (by dilating the last stages).
        short_side, max_side: an image is resized so that its short side is ``short_side`` unless the long one exceeds
            ``max_side`` pixels; in training one of ``train_short_sides`` is drawn (empty: ``short_side``). Test images
            are predicted whole, and evaluated at their own size.
        crop_size: side of the square training crop.
        iterations, batch_size: of the schedule; the learning rate decays as (1 - t/T)^poly_power, after a linear
            warm-up, to ``min_lr_factor`` of itself.
        optimiser: ``adamw`` or ``sgd`` (momentum 0.9).
        head_lr_factor: learning rate of the heads over that of the backbone.
        clip_norm: largest gradient norm, 0 for none.
        norm: of backbone and heads, ``BN`` or ``SyncBN``; ``norm_weight_decay``: whether norms decay, as stock does.
        crop_width: None for a square crop; else the width, and ``crop_size`` the height.
        resize: ``shortest_edge`` as above; ``ratio`` (stock): an image is fitted into ``max_side`` x ``short_side``,
            in training times a ratio drawn from ``ratio_range``.
        cat_max_ratio: a crop in which one class takes more than this share is drawn again, up to ten times.
        photometric: random brightness, contrast, saturation and hue.
        schedule: ``poly``, or ``step``: the learning rate times ``step_factor`` at ``steps``.
        convs, dilation, concat_input: of the FCN head's 3x3 convolutions.
        align_corners: of every resizing of features and scores.
        psa_mask_size: side of PSANet's attention masks, at half the resolution of the features; None: as far as from
            one corner of a crop to the other.
        slide_stride: test in windows of the crop's size this many pixels apart; None: the whole image at once.
        workers: processes that load images; 0: none beside the training's own.
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
    norm: str = later("BN")
    norm_weight_decay: bool = later(False)
    crop_width: int | None = later(None)
    resize: str = later("shortest_edge")
    ratio_range: list[float] = later([0.5, 2.0])
    cat_max_ratio: float = later(1.0)
    photometric: bool = later(False)
    schedule: str = later("poly")
    steps: list[int] = later([])
    step_factor: float = later(0.1)
    convs: int = later(2)
    dilation: int = later(1)
    concat_input: bool = later(True)
    align_corners: bool = later(False)
    psa_mask_size: int | None = later(None)
    slide_stride: int | None = later(None)
    workers: int = later(0)

    def __post_init__(self) -> None:
        require_choice("settings.head", self.head, ["fcn", "pspnet", "psanet"])
        require_choice("settings.norm", self.norm, ["BN", "SyncBN"])
        require_choice("settings.resize", self.resize, ["shortest_edge", "ratio"])
        require_choice("settings.schedule", self.schedule, ["poly", "step"])
        require_choice("settings.optimiser", self.optimiser, ["adamw", "sgd"])
        require_positive(self, "short_side", "crop_size", "iterations", "batch_size", "learning_rate", "head_channels")
        require_positive(self, "convs", "dilation", "cat_max_ratio", "step_factor")
        if self.output_stride not in (8, 16, 32):
            raise UserError(f"settings.output_stride: {self.output_stride} is not one of 8, 16, 32")
        if self.head == "pspnet" and self.batch_size < 2:
            raise UserError("settings.batch_size: PSPNet's global pooling needs at least 2 images a batch for its BN")
        if self.max_side < self.short_side:
            raise UserError(f"settings.max_side: {self.max_side} is below settings.short_side {self.short_side}")
        if len(self.ratio_range) != 2 or not 0 < self.ratio_range[0] <= self.ratio_range[1]:
            raise UserError(f"settings.ratio_range: {self.ratio_range} is not a smallest and a largest ratio")
        for name in ("crop_width", "slide_stride", "psa_mask_size"):
            if getattr(self, name) is not None:
                require_positive(self, name)

    @property
    def crop(self) -> tuple[int, int]:
        """Height and width of the training crop."""
        return self.crop_size, self.crop_width or self.crop_size
