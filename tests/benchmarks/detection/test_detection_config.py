from pathlib import Path

import pytest

from benchmarks.detection.detectron2_config import build_config
from benchmarks.protocols.protocol import DetectionProtocol, load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.networks.resnet import Architecture

INFO = BackboneInfo(architecture=Architecture(depth=18, stem_width=16))


def build(*overrides: str, info: BackboneInfo = INFO):  # type: ignore[no-untyped-def]
    quiet_detectron2()
    protocol = load_protocol("mask_rcnn_fpn_demo", overrides)
    assert isinstance(protocol, DetectionProtocol)
    return build_config(protocol, info, 18, True, 5, "cpu")


def test_settings_arrive() -> None:
    cfg = build("settings.iterations=40", "settings.steps=[20,30,90]", "settings.train_short_sides=[96,128]")
    assert cfg.SOLVER.MAX_ITER == 40
    assert cfg.SOLVER.STEPS == (20, 30)  # a step beyond the end is none
    assert cfg.INPUT.MIN_SIZE_TRAIN == (96, 128)
    assert cfg.INPUT.MIN_SIZE_TEST == 128
    assert cfg.INPUT.MASK_FORMAT == "bitmask"
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 18
    assert (cfg.SEED, cfg.DATALOADER.NUM_WORKERS, cfg.MODEL.DEVICE) == (5, 0, "cpu")
    assert cfg.MODEL.ROI_BOX_HEAD.FC_DIM == 256
    assert cfg.SOLVER.LR_SCHEDULER_NAME == "WarmupCosineLR"


def test_what_the_weights_decide_comes_from_the_backbone_file() -> None:
    odd = BackboneInfo(
        architecture=Architecture(depth=50, stride_in="1x1"),
        preprocessing=Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 255.0, "BGR"),
    )
    cfg = build(info=odd)
    assert cfg.INPUT.FORMAT == "BGR"
    assert cfg.MODEL.PIXEL_MEAN == [1.0, 2.0, 3.0]
    assert cfg.MODEL.PIXEL_STD == [4.0, 5.0, 6.0]
    assert cfg.MODEL.RESNETS.STRIDE_IN_1X1 is True
    assert (cfg.MODEL.RESNETS.DEPTH, cfg.MODEL.RESNETS.NORM) == (50, "BN")
    assert cfg.MODEL.BACKBONE.FREEZE_AT == 0
    assert cfg.MODEL.WEIGHTS == ""
    rgb = build()
    assert rgb.INPUT.FORMAT == "RGB"
    assert pytest.approx([123.675, 116.28, 103.53]) == rgb.MODEL.PIXEL_MEAN
    assert pytest.approx([58.395, 57.12, 57.375]) == rgb.MODEL.PIXEL_STD


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("settings.config.MODEL.PIXEL_MEAN=[0,0,0]", "is written from the backbone file"),
        ("settings.config.MODEL.RESNETS.STRIDE_IN_1X1=true", "is written from the backbone file"),
        ("settings.config.INPUT.FORMAT=BGR", "is written from the backbone file"),
        ("settings.config.SOLVER.MAX_ITER=5", "is written from the protocol's settings"),
        ("settings.config.MODEL.ROI_HEDS.NUM_CLASSES=5", "did you mean 'ROI_HEADS'"),
        ("settings.config.MODEL.RPN.NMS_TRESH=0.5", "did you mean 'NMS_THRESH'"),
        ("settings.config.VIS_PERIOD.FOO=1", "no such key"),
        ("settings.config.MODEL.RPN.NMS_THRESH=[high]", "settings.config.MODEL.RPN.NMS_THRESH"),
    ],
)
def test_mistaken_keys_are_named(override: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        build(override)
    assert message in str(error.value)
    assert "mask_rcnn_fpn_demo" in str(error.value)


def test_a_schedule_shorter_than_its_warm_up(tmp_path: Path) -> None:
    assert build("settings.iterations=3").SOLVER.WARMUP_ITERS == 2
    assert build("settings.iterations=1").SOLVER.WARMUP_ITERS == 0
