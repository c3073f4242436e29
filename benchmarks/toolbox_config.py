"""The configuration that a protocol gives its toolbox, without data: what ``protocol show --toolbox`` writes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.folder import BACKGROUND_NAME
from benchmarks.datasets.photos.entries import ade20k_classes
from benchmarks.datasets.photos.sets import SETS
from benchmarks.datasets.registry import describe
from benchmarks.protocols.protocol import DetectionProtocol, Protocol, SegmentationProtocol
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo
from transfer.networks.resnet import Architecture

_WITHOUT_BACKGROUND = ("ade20k", "cityscapes", *(one.name for one in SETS.values() if not one.background))
DEFAULT_BACKBONE = BackboneInfo(architecture=Architecture(depth=50))
"""What a backbone file of a torchvision-style ResNet-50 says."""


def toolbox_config(protocol: Protocol, info: BackboneInfo = DEFAULT_BACKBONE) -> tuple[str, str]:
    """File name and text of the resolved configuration: Detectron2's YAML, or mmengine's Python.

    Data lie under ``data/<usual folder>``, and results go to ``work``; a run has its own places for both.

    Args:
        info: of the backbone file; what depends on the weights is written from it.

    Raises:
        UserError: the toolbox has no configuration, or the protocol leaves the number of classes to the data.
    """
    if info is not DEFAULT_BACKBONE:
        protocol.require_backbone(info.architecture.name)
    if isinstance(protocol, DetectionProtocol):
        return "config.yaml", _detectron2(protocol, info)
    if isinstance(protocol, SegmentationProtocol):
        return "config.py", _mmseg(protocol, info)
    raise UserError(f"protocol '{protocol.id}': {protocol.toolbox} has no configuration beside the protocol's own")


def _detectron2(protocol: DetectionProtocol, info: BackboneInfo) -> str:
    from benchmarks.detection.detectron2_config import build_config
    from transfer.exporters.silenced_logs import quiet_detectron2

    quiet_detectron2()
    data = protocol.data
    with_masks = protocol.settings.predicts_masks
    cfg = build_config(protocol, info, len(_categories(protocol)), with_masks, protocol.seeds[0], "cuda")
    name = data.dataset or "prepared"
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (f"{name}_{data.train_split}",), (f"{name}_{data.test_split}",)
    cfg.OUTPUT_DIR = "work"
    return str(cfg.dump())


def _mmseg(protocol: SegmentationProtocol, info: BackboneInfo) -> str:
    from benchmarks.segmentation.config import build_config
    from benchmarks.segmentation.layout import semantic_layout
    from transfer.exporters.silenced_logs import quiet_mmseg

    quiet_mmseg()
    from mmengine.config import Config

    data, work = protocol.data, Path("work")
    root = Path("data") / _usual_folder(data.dataset)
    splits = (data.train_split, data.test_split)
    train, test = (semantic_layout(data.dataset, root, split, work / f"{split}.txt") for split in splits)
    names = _categories(protocol)
    classes = names if data.dataset in _WITHOUT_BACKGROUND else [BACKGROUND_NAME, *names]
    config = build_config(protocol, info, classes, train, test, protocol.seeds[0], work)
    config["test_evaluator"] = {"type": "IoUMetric", "iou_metrics": ["mIoU"], "ignore_index": 255}
    return str(Config(config).pretty_text)


def _categories(protocol: Protocol) -> list[str]:
    """Names of the categories, or numbers where the data alone know the names."""
    data = protocol.data
    if data.merge_categories:
        return ["object"]
    if data.dataset == "cityscapes":
        from benchmarks.datasets.readers.cityscapes import CLASSES

        return list(CLASSES)
    if data.dataset in ("ade20k", "ade20k_small"):
        return ade20k_classes()
    if data.dataset.startswith("voc20") or data.dataset in ("voc0712", "voc_small"):
        from benchmarks.datasets.readers.voc import VOC_CLASSES

        return list(VOC_CLASSES)
    count = data.classes or _published_classes(data.dataset)
    if count is None:
        raise UserError(f"protocol '{protocol.id}': the number of classes is the data's; give data.classes=N")
    return [f"class {index}" for index in range(count)]


def _usual_folder(dataset: str) -> str:
    if not dataset:
        return "prepared"
    return dataset if dataset in SETS else describe(dataset).folder


def _published_classes(dataset: str) -> int | None:
    if dataset in SETS:
        return SETS[dataset].classes
    return describe(dataset).classes if dataset else None
