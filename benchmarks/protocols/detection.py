"""What a detection protocol can say: the model, the sizes, the schedule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.protocols.schema import later, require_positive
from scenebench.errors import UserError, require_choice

PYCOCOTOOLS, FASTER = "pycocotools", "faster_coco_eval"
EVALUATORS = (PYCOCOTOOLS, FASTER)
"""What evaluates by COCO's rule: the reference, and what gives the same numbers sooner."""
MODELS = ("mask_rcnn_fpn", "faster_rcnn_fpn", "mask_rcnn_c4", "faster_rcnn_c4")


@dataclass
class DetectionSettings:
    """Fine-tuning of a Detectron2 or MMDetection model.

    Attributes:
        model: ``mask_rcnn_fpn``, ``faster_rcnn_fpn``, ``mask_rcnn_c4`` or ``faster_rcnn_c4``; C4 is the detector
            without a neck, whose RoI head is the backbone's last stage.
        short_side, max_side: an image is resized so that its short side is ``short_side`` unless the long one exceeds
            ``max_side`` pixels; in training one of ``train_short_sides`` is drawn (empty: ``short_side``).
        iterations, batch_size: of the schedule; the learning rate is multiplied by ``step_factor`` at ``steps``.
        optimiser: ``adamw`` or ``sgd`` (momentum 0.9).
        clip_norm: largest gradient norm, 0 for none.
        norm: of the backbone: ``BN``, ``SyncBN``, ``naiveSyncBN`` or ``FrozenBN``.
        mask_format: ``bitmask`` (polygons and run lengths, also mixed) or ``polygon`` (polygons only).
        metric: ``coco``; ``voc07`` (AP by the 11-point rule of VOC 2007) or ``voc`` (area under the curve).
        evaluator: of COCO's rule: ``pycocotools``, or ``faster_coco_eval``, which says the same sooner; what has
            published values is evaluated by pycocotools.
        workers: processes that load images; 0: none beside the training's own.
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
    norm: str = later("BN")
    mask_format: str = later("bitmask")
    metric: str = later("coco")
    workers: int = later(0)
    evaluator: str = later(PYCOCOTOOLS)

    def __post_init__(self) -> None:
        require_choice("settings.model", self.model, list(MODELS))
        require_choice("settings.norm", self.norm, ["BN", "SyncBN", "naiveSyncBN", "FrozenBN"])
        require_choice("settings.mask_format", self.mask_format, ["bitmask", "polygon"])
        require_choice("settings.metric", self.metric, ["coco", "voc07", "voc"])
        require_choice("settings.evaluator", self.evaluator, list(EVALUATORS))
        if self.evaluator == FASTER and self.metric != "coco":
            raise UserError(
                f"settings.evaluator: {FASTER} evaluates by COCO's rule, not by {self.metric}; remove the key"
            )
        require_choice("settings.optimiser", self.optimiser, ["adamw", "sgd"])
        require_positive(self, "short_side", "iterations", "batch_size", "learning_rate")
        if self.max_side < self.short_side:
            raise UserError(f"settings.max_side: {self.max_side} is below settings.short_side {self.short_side}")
        if self.workers < 0:
            raise UserError(f"settings.workers: {self.workers} is not a number of processes")

    @property
    def predicts_masks(self) -> bool:
        """Whether the model has a mask head (it is built where the data have masks)."""
        return self.model.startswith("mask_")
