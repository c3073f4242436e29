"""The resolved configurations beside the files that the toolboxes ship: what differs is meant, and is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.protocols.protocol import load_protocol
from benchmarks.toolbox_config import toolbox_config
from transfer.exporters.silenced_logs import quiet_detectron2, quiet_mmseg

PLAIN_STEM = {
    "backbone.type",  # ResNet, for the weights have no deep stem
    "pretrained",
    "backbone.pretrained",
    "backbone.init_cfg",
    "backbone.frozen_stages",
    "backbone.in_channels",
    "backbone.stem_channels",
    "backbone.base_channels",
}
SAID = {  # said here, default there
    "decode_head.ignore_index",
    "auxiliary_head.ignore_index",
    "decode_head.dilation",
}
STOCK = {
    "pspnet_r50_d8_40k": "pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "psanet_r50_d8_40k": "psanet/psanet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "fcn_r50_d8_40k_cityscapes": "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "fcn_r50_d8_20k_voc12aug": "fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py",
}


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(tree, dict):
        return {k: v for key, value in tree.items() for k, v in flatten(value, f"{prefix}{key}.").items()}
    if isinstance(tree, list | tuple) and any(isinstance(item, dict) for item in tree):
        return {k: v for key, value in enumerate(tree) for k, v in flatten(value, f"{prefix}{key}.").items()}
    return {prefix[:-1]: list(tree) if isinstance(tree, list | tuple) else tree}


def differing(ours: dict[str, Any], theirs: dict[str, Any]) -> set[str]:
    missing = object()
    keys = ours.keys() | theirs.keys()
    return {key for key in keys if not equal(ours.get(key, missing), theirs.get(key, missing))}


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and all(isinstance(value, float) for value in one):
        return bool(one == pytest.approx(other))
    return bool(one == other)


def stock_mmseg(file: str) -> dict[str, Any]:
    quiet_mmseg()
    import mmseg
    from mmengine.config import Config

    path = Path(mmseg.__file__).parent / ".mim" / "configs" / file
    if not path.is_file():
        pytest.skip("this MMSegmentation ships no configuration files")
    config: dict[str, Any] = Config.fromfile(path).to_dict()
    return config


@pytest.mark.parametrize("name", STOCK)
def test_mmseg(name: str) -> None:
    stock = stock_mmseg(STOCK[name])
    ours: dict[str, Any] = {}
    exec(compile(toolbox_config(load_protocol(name))[1], "config.py", "exec"), {}, ours)
    model = differing(flatten(ours["model"]), flatten(stock["model"]))
    assert model <= PLAIN_STEM | SAID
    assert {"backbone.type", "pretrained"} <= model
    assert ours["optim_wrapper"]["optimizer"] == stock["optim_wrapper"]["optimizer"]
    assert flatten(ours["param_scheduler"]) == flatten(stock["param_scheduler"])
    assert ours["train_cfg"]["max_iters"] == stock["train_cfg"]["max_iters"]
    gpus = 4
    assert ours["train_dataloader"]["batch_size"] == gpus * stock["train_dataloader"]["batch_size"]
    # The stock crop is padded by a step of the VOC pipeline; here the preprocessor does it, as stock does elsewhere.
    theirs = [step for step in stock["train_pipeline"] if step["type"] != "Pad"]
    assert flatten(ours["train_dataloader"]["dataset"]["pipeline"]) == flatten(theirs)
    assert flatten(ours["test_dataloader"]["dataset"]["pipeline"]) == flatten(stock["test_pipeline"])


def test_the_moco_style_head_beside_the_stock_one() -> None:
    """The toolbox ships an FCN with dilation 6 too, with 512 channels, concatenation and an auxiliary head."""
    stock = stock_mmseg("fcn/fcn-d6_r50-d16_4xb2-40k_cityscapes-512x1024.py")
    ours: dict[str, Any] = {}
    exec(compile(toolbox_config(load_protocol("fcn_d6_r50_d16_90k_cityscapes"))[1], "c.py", "exec"), {}, ours)
    both, theirs = flatten(ours["model"]), flatten(stock["model"])
    backbone = {key for key in differing(both, theirs) if key.startswith("backbone.")}
    assert backbone <= PLAIN_STEM
    head = {key for key in differing(both, theirs) if key.startswith("decode_head.")}
    assert head == {
        "decode_head.channels",
        "decode_head.concat_input",
        "decode_head.dropout_ratio",
        "decode_head.align_corners",
        "decode_head.ignore_index",
    }


WEIGHTS = {
    "INPUT.FORMAT",
    "MODEL.PIXEL_MEAN",
    "MODEL.PIXEL_STD",
    "MODEL.WEIGHTS",
    "MODEL.BACKBONE.FREEZE_AT",
    "MODEL.RESNETS.NORM",
    "MODEL.RESNETS.STRIDE_IN_1X1",
}
OWN = {"DATASETS.TRAIN", "DATASETS.TEST", "OUTPUT_DIR", "SEED", "TEST.PRECISE_BN.ENABLED"}
DETECTRON2 = {
    "mask_rcnn_r50_fpn_1x_p1": (
        "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml",
        WEIGHTS | OWN | {"MODEL.FPN.NORM"},
    ),
    "mask_rcnn_r50_c4_1x": (
        "COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x.yaml",
        WEIGHTS | OWN | {"MODEL.ROI_HEADS.NAME"},
    ),
    "faster_rcnn_r50_c4_24k": (
        "PascalVOC-Detection/faster_rcnn_R_50_C4.yaml",
        WEIGHTS | OWN | {"MODEL.ROI_HEADS.NAME", "SOLVER.STEPS", "SOLVER.MAX_ITER", "INPUT.MASK_FORMAT"},
    ),
}


@pytest.mark.parametrize("name", DETECTRON2)
def test_detectron2(name: str) -> None:
    quiet_detectron2()
    from detectron2 import model_zoo

    file, meant = DETECTRON2[name]
    stock = flatten(yaml.safe_load(model_zoo.get_config(file).dump()))
    ours = flatten(yaml.safe_load(toolbox_config(load_protocol(name))[1]))
    assert differing(ours, stock) == meant


def test_the_optimiser_is_detectron2s_own() -> None:
    """Same groups, rates and switches as the toolbox's builder gives under the same configuration."""
    quiet_detectron2()
    from detectron2.modeling import build_model
    from detectron2.solver import build_optimizer

    from benchmarks.detection.detectron2_config import build_config
    from benchmarks.detection.optimiser import build_optimiser
    from benchmarks.protocols.protocol import DetectionProtocol
    from transfer.backbone_file import BackboneInfo
    from transfer.networks.resnet import Architecture

    protocol = load_protocol("mask_rcnn_r50_fpn_1x_p3", ["settings.learning_rate=0.02"], "demo")
    assert isinstance(protocol, DetectionProtocol)
    info = BackboneInfo(architecture=Architecture(depth=18, stem_width=8))
    cfg = build_config(protocol, info, 80, True, 0, "cpu")
    model = build_model(cfg)
    ours, stock = build_optimiser(cfg, model, protocol.settings), build_optimizer(cfg, model)
    assert type(ours) is type(stock)
    assert len(ours.param_groups) == len(stock.param_groups)
    for mine, theirs in zip(ours.param_groups, stock.param_groups, strict=True):
        assert [id(p) for p in mine["params"]] == [id(p) for p in theirs["params"]]
        assert {k: v for k, v in mine.items() if k != "params"} == {k: v for k, v in theirs.items() if k != "params"}
