"""PSANet: the one MMSegmentation head here that needs mmcv's compiled operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.cell import Cell
from benchmarks.protocols.protocol import SegmentationProtocol, load_protocol
from benchmarks.segmentation.config import build_config
from benchmarks.segmentation.layout import semantic_layout
from benchmarks.segmentation.run import run
from transfer.backbone_file import BackboneInfo, read_info
from transfer.exporters.mmcv_ops import missing_mmcv_ops
from transfer.networks.resnet import Architecture

WITHOUT = missing_mmcv_ops()
OVERRIDES = ("settings.head=psanet", "settings.head_channels=16")


@pytest.mark.parametrize(
    ("crop", "output_stride", "reach"),
    [(128, 8, 15), (64, 16, 3), (512, 8, 63), (100, 8, 13)],
)
def test_the_attention_reaches_every_place_of_a_crop(crop: int, output_stride: int, reach: int, tmp_path: Path) -> None:
    """From one corner of the shrunk map to the other: n places aside need 2n - 1."""
    settings = [f"settings.crop_size={crop}", f"settings.output_stride={output_stride}"]
    protocol = load_protocol("pspnet_demo", [*OVERRIDES, *settings])
    assert isinstance(protocol, SegmentationProtocol)
    info = BackboneInfo(Architecture(depth=18, stem_width=16))
    layout = semantic_layout("", tmp_path, "train", tmp_path / "train.txt")
    head = build_config(protocol, info, ["background", "a"], layout, layout, 0, tmp_path)["model"]["decode_head"]
    assert (head["type"], head["mask_size"], head["shrink_factor"]) == ("PSAHead", (reach, reach), 2)
    assert head["in_channels"] == 128


@pytest.mark.skipif(WITHOUT is not None, reason=f"mmcv's compiled operators are {WITHOUT}; 'make mmcv-ops'")
def test_psanet_trains_and_is_judged(tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    small = ["settings.iterations=2", "settings.batch_size=2", "settings.short_side=64", "settings.crop_size=64"]
    protocol = load_protocol("pspnet_demo", [*OVERRIDES, *small, "data.max_test_images=2"])
    outcome = run(Cell(tiny_backbone, read_info(tiny_backbone), protocol, tiny_scenes, 0, tmp_path))
    assert outcome.metrics["mIoU"] is not None
    assert outcome.test_images == 2
