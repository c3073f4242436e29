"""A protocol and a backbone as one Detectron2 configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.protocols.detection import DetectionSettings
from benchmarks.protocols.protocol import DetectionProtocol
from scenebench.errors import UserError, did_you_mean
from transfer.backbone_file import BackboneInfo

if TYPE_CHECKING:
    from detectron2.config import CfgNode

_BASES = {
    "mask_rcnn_fpn": ("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml", "fpn"),
    "faster_rcnn_fpn": ("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml", "fpn"),
    "mask_rcnn_c4": ("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.yaml", "c4"),
    "faster_rcnn_c4": ("COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.yaml", "c4"),  # but for the mask head the same
}
# Written from the backbone file by the exporter; a protocol that set them could contradict the weights.
_FROM_THE_WEIGHTS = (
    "INPUT.FORMAT", "MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "MODEL.WEIGHTS", "MODEL.BACKBONE", "MODEL.RESNETS",
)  # fmt: skip
# Written from the protocol's typed settings.
_FROM_THE_SETTINGS = (
    "DATASETS", "INPUT.MIN_SIZE_TRAIN", "INPUT.MAX_SIZE_TRAIN", "INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST",
    "INPUT.MASK_FORMAT", "SOLVER.MAX_ITER", "SOLVER.IMS_PER_BATCH", "SOLVER.BASE_LR", "SOLVER.WEIGHT_DECAY",
    "SOLVER.WARMUP_ITERS", "SOLVER.STEPS", "SOLVER.GAMMA", "SOLVER.CLIP_GRADIENTS", "SEED", "OUTPUT_DIR",
    "MODEL.DEVICE", "MODEL.MASK_ON",
)  # fmt: skip


def build_config(
    protocol: DetectionProtocol, info: BackboneInfo, categories: int, with_masks: bool, seed: int, device: str
) -> CfgNode:
    """Everything but the data sets' names and the output folder.

    The protocol's values come first and the backbone's last, so that normalisation, channel order and stride style are
    those of the weights.

    Raises:
        UserError: a key of ``settings.config`` is unknown, or is not a protocol's to give.
    """
    from detectron2 import model_zoo

    from transfer.exporters.detectron2.build import configure, register_extra_norm

    register_extra_norm()
    settings = protocol.settings
    base, neck = _BASES[settings.model]
    cfg = model_zoo.get_config(base)
    _apply_settings(cfg, settings)
    cfg.MODEL.MASK_ON = with_masks and settings.predicts_masks
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = categories
    cfg.MODEL.DEVICE = device
    cfg.SEED = seed
    cfg.DATALOADER.NUM_WORKERS = settings.workers
    cfg.TEST.EVAL_PERIOD = 0  # once, at the end
    for key, value in _flatten(settings.config):
        _set(cfg, key, value, protocol.id)
    configure(cfg, info, neck, settings.norm)
    return cfg


def _apply_settings(cfg: CfgNode, settings: DetectionSettings) -> None:
    cfg.INPUT.MIN_SIZE_TRAIN = tuple(settings.train_short_sides) or (settings.short_side,)
    cfg.INPUT.MAX_SIZE_TRAIN = cfg.INPUT.MAX_SIZE_TEST = settings.max_side
    cfg.INPUT.MIN_SIZE_TEST = settings.short_side
    cfg.INPUT.MASK_FORMAT = settings.mask_format
    cfg.SOLVER.IMS_PER_BATCH = settings.batch_size
    cfg.SOLVER.MAX_ITER = settings.iterations
    cfg.SOLVER.BASE_LR = settings.learning_rate
    cfg.SOLVER.WEIGHT_DECAY = settings.weight_decay
    # A schedule shorter than its warm-up (a test's) warms up all the way; Detectron2 would assert.
    cfg.SOLVER.WARMUP_ITERS = min(settings.warmup_iterations, settings.iterations - 1)
    cfg.SOLVER.STEPS = tuple(step for step in settings.steps if step < settings.iterations)
    cfg.SOLVER.GAMMA = settings.step_factor


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _set(cfg: CfgNode, key: str, value: Any, where: str) -> None:
    for owner, keys in (("the backbone file", _FROM_THE_WEIGHTS), ("the protocol's settings", _FROM_THE_SETTINGS)):
        if any(key == owned or key.startswith(f"{owned}.") for owned in keys):
            raise UserError(f"{where}: settings.config.{key}: is written from {owner}; remove it")
    node = cfg
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(node, Mapping) or part not in node:
            known = node.keys() if isinstance(node, Mapping) else []
            raise UserError(
                f"{where}: settings.config.{'.'.join(parts[: depth + 1])}: Detectron2 has no such key"
                f"{did_you_mean(part, known)}"
            )
        node = node[part]
    try:
        cfg.merge_from_list([key, value])
    except (ValueError, AssertionError) as error:
        raise UserError(f"{where}: settings.config.{key}: {' '.join(str(error).split())}") from error
