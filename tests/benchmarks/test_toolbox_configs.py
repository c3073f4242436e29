"""The resolved configurations of the paper-size protocols, key by key against what their sources state.

Facts: the public configuration files that the fact sheet of the MLS paper (section 3.1) and the notes on weights (B.2,
B.3) name. Values are typed here once more on purpose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.protocols.protocol import load_protocol
from benchmarks.toolbox_config import toolbox_config
from scenebench.cli import main
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing
from transfer.networks.resnet import Architecture

COMMON = {
    "INPUT.FORMAT": "RGB",
    "MODEL.PIXEL_MEAN": [123.675, 116.28, 103.53],
    "MODEL.PIXEL_STD": [58.395, 57.12, 57.375],
    "MODEL.RESNETS.DEPTH": 50,
    "MODEL.RESNETS.STRIDE_IN_1X1": False,
    "MODEL.RESNETS.NORM": "SyncBN",
    "MODEL.BACKBONE.FREEZE_AT": 0,
    "MODEL.WEIGHTS": "",
    "TEST.PRECISE_BN.ENABLED": True,
    "INPUT.MAX_SIZE_TRAIN": 1333,
    "INPUT.MIN_SIZE_TEST": 800,
    "INPUT.MAX_SIZE_TEST": 1333,
    "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice",
    "SOLVER.IMS_PER_BATCH": 16,
    "SOLVER.BASE_LR": 0.02,
    "SOLVER.MOMENTUM": 0.9,
    "SOLVER.GAMMA": 0.1,
    "SOLVER.LR_SCHEDULER_NAME": "WarmupMultiStepLR",
    "SOLVER.AMP.ENABLED": False,
}
COCO = COMMON | {
    "INPUT.MIN_SIZE_TRAIN": [640, 672, 704, 736, 768, 800],
    "INPUT.MASK_FORMAT": "polygon",
    "SOLVER.STEPS": [60000, 80000],
    "SOLVER.MAX_ITER": 90000,
    "SOLVER.WARMUP_ITERS": 1000,
    "SOLVER.WEIGHT_DECAY": 0.0001,
    "MODEL.MASK_ON": True,
    "MODEL.ROI_HEADS.NUM_CLASSES": 80,
    "DATASETS.TRAIN": ["coco2017_train"],
    "DATASETS.TEST": ["coco2017_val"],
}
FPN = COCO | {
    "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
    "MODEL.FPN.NORM": "SyncBN",
    "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.ANCHOR_GENERATOR.SIZES": [[32], [64], [128], [256], [512]],
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_MASK_HEAD.NUM_CONV": 4,
}
P2 = FPN | {
    "MODEL.ROI_BOX_HEAD.NUM_CONV": 4,
    "MODEL.ROI_BOX_HEAD.NUM_FC": 1,
    "MODEL.ROI_BOX_HEAD.NORM": "SyncBN",
    "MODEL.ROI_MASK_HEAD.NORM": "SyncBN",
}
P1 = FPN | {
    "MODEL.ROI_BOX_HEAD.NUM_CONV": 0,
    "MODEL.ROI_BOX_HEAD.NUM_FC": 2,
    "MODEL.ROI_BOX_HEAD.FC_DIM": 1024,
    "MODEL.ROI_BOX_HEAD.NORM": "",
    "MODEL.ROI_MASK_HEAD.NORM": "",
}
C4_HEAD = {
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.RESNETS.OUT_FEATURES": ["res4"],
    "MODEL.ROI_HEADS.NAME": "Res5ROIHeadsExtraNorm",
    "MODEL.RPN.PRE_NMS_TOPK_TEST": 6000,
    "MODEL.RPN.POST_NMS_TOPK_TEST": 1000,
}
VOC = (
    COMMON
    | C4_HEAD
    | {
        "INPUT.MIN_SIZE_TRAIN": [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800],
        "SOLVER.STEPS": [18000, 22000],
        "SOLVER.MAX_ITER": 24000,
        "SOLVER.WARMUP_ITERS": 100,
        "SOLVER.WEIGHT_DECAY": 0.0001,
        "MODEL.MASK_ON": False,
        "MODEL.ROI_HEADS.NUM_CLASSES": 20,
        "DATASETS.TRAIN": ["voc0712_trainval"],
        "DATASETS.TEST": ["voc0712_test"],
    }
)
DETECTION = {
    "mask_rcnn_r50_fpn_1x": P2,
    "mask_rcnn_r50_fpn_1x_p1": P1,
    "mask_rcnn_r50_fpn_1x_p3": P2 | {"SOLVER.WEIGHT_DECAY": 0.000025},
    "mask_rcnn_r50_c4_1x": COCO | C4_HEAD,
    "faster_rcnn_r50_c4_24k": VOC,
}

STOCK = {
    "model.type": "EncoderDecoder",
    "model.backbone.type": "ResNet",
    "model.backbone.pretrained": None,
    "model.backbone.depth": 50,
    "model.backbone.style": "pytorch",
    "model.backbone.norm_eval": False,
    "model.backbone.frozen_stages": -1,
    "model.backbone.contract_dilation": True,
    "model.backbone.norm_cfg.type": "SyncBN",
    "model.decode_head.norm_cfg.type": "SyncBN",
    "model.decode_head.in_channels": 2048,
    "model.decode_head.loss_decode.loss_weight": 1.0,
    "model.data_preprocessor.mean": [123.675, 116.28, 103.53],
    "model.data_preprocessor.std": [58.395, 57.12, 57.375],
    "model.data_preprocessor.bgr_to_rgb": True,
    "model.data_preprocessor.seg_pad_val": 255,
    "optim_wrapper.optimizer.type": "SGD",
    "optim_wrapper.optimizer.momentum": 0.9,
    "optim_wrapper.clip_grad": None,
    "optim_wrapper.paramwise_cfg.norm_decay_mult": 1.0,
    "train_cfg.type": "IterBasedTrainLoop",
    "test_evaluator.type": "IoUMetric",
    "test_evaluator.ignore_index": 255,
}
D8 = STOCK | {
    "model.backbone.strides": [1, 2, 1, 1],
    "model.backbone.dilations": [1, 1, 2, 4],
    "model.decode_head.channels": 512,
    "model.decode_head.dropout_ratio": 0.1,
    "model.decode_head.align_corners": False,
    "model.auxiliary_head.type": "FCNHead",
    "model.auxiliary_head.in_channels": 1024,
    "model.auxiliary_head.in_index": 2,
    "model.auxiliary_head.channels": 256,
    "model.auxiliary_head.num_convs": 1,
    "model.auxiliary_head.concat_input": False,
    "model.auxiliary_head.loss_decode.loss_weight": 0.4,
    "model.test_cfg.mode": "whole",
    "optim_wrapper.optimizer.lr": 0.01,
    "optim_wrapper.optimizer.weight_decay": 0.0005,
    "param_scheduler.0.type": "PolyLR",
    "param_scheduler.0.power": 0.9,
    "param_scheduler.0.eta_min": 0.0001,
    "param_scheduler.0.begin": 0,
    "train.2.type": "RandomResize",
    "train.2.ratio_range": [0.5, 2.0],
    "train.2.keep_ratio": True,
    "train.3.cat_max_ratio": 0.75,
    "train.4.type": "RandomFlip",
    "train.4.prob": 0.5,
    "train.5.type": "PhotoMetricDistortion",
    "test.1.type": "Resize",
    "test.1.keep_ratio": True,
}
CITYSCAPES = {
    "model.decode_head.num_classes": 19,
    "train_dataloader.dataset.img_suffix": "_leftImg8bit.png",
    "train_dataloader.dataset.seg_map_suffix": "_gtFine_labelTrainIds.png",
    "train_dataloader.dataset.data_prefix.seg_map_path": "data/cityscapes/gtFine/train",
    "test_dataloader.dataset.data_prefix.img_path": "data/cityscapes/leftImg8bit/val",
}
CITYSCAPES_40K = D8 | CITYSCAPES
CITYSCAPES_40K |= {
    "train_cfg.max_iters": 40000,
    "param_scheduler.0.end": 40000,
    "train_dataloader.batch_size": 8,
    "model.data_preprocessor.size": [512, 1024],
    "train.2.scale": [2048, 1024],
    "train.3.crop_size": [512, 1024],
    "test.1.scale": [2048, 1024],
}
VOC12AUG = {
    "model.decode_head.num_classes": 21,
    "train_dataloader.dataset.data_prefix.seg_map_path": "data/VOCdevkit/VOC2012/SegmentationClassAug",
    "test_dataloader.dataset.data_prefix.seg_map_path": "data/VOCdevkit/VOC2012/SegmentationClass",
    "test_dataloader.dataset.metainfo.classes.0": "background",
}
FCN = {
    "model.decode_head.type": "FCNHead",
    "model.decode_head.num_convs": 2,
    "model.decode_head.dilation": 1,
    "model.decode_head.concat_input": True,
}
MOCO_STYLE = STOCK | {
    "model.backbone.strides": [1, 2, 2, 1],
    "model.backbone.dilations": [1, 1, 1, 2],
    "model.decode_head.type": "FCNHead",
    "model.decode_head.channels": 256,
    "model.decode_head.num_convs": 2,
    "model.decode_head.dilation": 6,
    "model.decode_head.concat_input": False,
    "model.decode_head.dropout_ratio": 0.0,
    "model.decode_head.align_corners": True,
    "model.auxiliary_head": None,
    "optim_wrapper.optimizer.weight_decay": 0.0001,
    "param_scheduler.0.type": "MultiStepLR",
    "param_scheduler.0.gamma": 0.1,
    "param_scheduler.0.by_epoch": False,
    "train_dataloader.batch_size": 16,
    "train.2.ratio_range": [0.5, 2.0],
    "train.5.type": "PackSegInputs",
}
SEGMENTATION: dict[str, dict[str, Any]] = {
    "pspnet_r50_d8_40k": CITYSCAPES_40K
    | {"model.decode_head.type": "PSPHead", "model.decode_head.pool_scales": [1, 2, 3, 6]},
    "psanet_r50_d8_40k": CITYSCAPES_40K
    | {
        "model.decode_head.type": "PSAHead",
        "model.decode_head.mask_size": [97, 97],
        "model.decode_head.psa_type": "bi-direction",
        "model.decode_head.shrink_factor": 2,
        "model.decode_head.compact": False,
        "model.decode_head.psa_softmax": True,
        "model.decode_head.normalization_factor": 1.0,
    },
    "fcn_r50_d8_40k_cityscapes": CITYSCAPES_40K | FCN,
    "fcn_r50_d8_20k_voc12aug": D8
    | FCN
    | VOC12AUG
    | {
        "train_cfg.max_iters": 20000,
        "param_scheduler.0.end": 20000,
        "train_dataloader.batch_size": 16,
        "train.2.scale": [2048, 512],
        "train.3.crop_size": [512, 512],
        "test.1.scale": [2048, 512],
    },
    "fcn_d6_r50_d16_90k_cityscapes": MOCO_STYLE
    | CITYSCAPES
    | {
        "train_cfg.max_iters": 90000,
        "optim_wrapper.optimizer.lr": 0.01,
        "param_scheduler.0.milestones": [63000, 81000],
        "train.2.scale": [2049, 1025],
        "train.3.crop_size": [769, 769],
        "test.1.scale": [2049, 1025],
        "model.test_cfg.mode": "slide",
        "model.test_cfg.crop_size": [769, 769],
        "model.test_cfg.stride": [513, 513],
    },
    "fcn_d6_r50_d16_30k_voc12aug": MOCO_STYLE
    | VOC12AUG
    | {
        "train_cfg.max_iters": 30000,
        "optim_wrapper.optimizer.lr": 0.003,
        "param_scheduler.0.milestones": [21000, 27000],
        "train.2.scale": [2049, 513],
        "train.3.crop_size": [513, 513],
        "test.1.scale": [2049, 513],
        "model.test_cfg.mode": "whole",
    },
}


def value_at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree[int(part)] if isinstance(tree, list | tuple) else tree[part]
    return list(tree) if isinstance(tree, tuple) else tree


def differences(tree: Any, expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    found = {key: value_at(tree, key) for key in expected}
    return {key: (found[key], value) for key, value in expected.items() if not is_equal(found[key], value)}


def is_equal(found: Any, value: Any) -> bool:
    """Numbers up to rounding: a standard deviation of 0.224 on the 0-255 scale is 57.120000000000005."""
    values = value if isinstance(value, list) else [value]
    if all(isinstance(item, float) for item in values):
        return bool(found == pytest.approx(value, rel=1e-9))
    return bool(found == value)


@pytest.mark.parametrize("name", DETECTION)
def test_detectron2_configurations_key_by_key(name: str) -> None:
    file, text = toolbox_config(load_protocol(name))
    assert file == "config.yaml"
    assert differences(yaml.safe_load(text), DETECTION[name]) == {}


@pytest.mark.parametrize("name", SEGMENTATION)
def test_mmseg_configurations_key_by_key(name: str) -> None:
    file, text = toolbox_config(load_protocol(name))
    assert file == "config.py"
    config = run_python(text)
    config["train"] = config["train_dataloader"]["dataset"]["pipeline"]
    config["test"] = config["test_dataloader"]["dataset"]["pipeline"]
    assert differences(config, SEGMENTATION[name]) == {}


def run_python(text: str) -> dict[str, Any]:
    """An mmengine configuration is a Python file of plain assignments."""
    names: dict[str, Any] = {}
    exec(compile(text, "config.py", "exec"), {}, names)
    return names


def test_the_variants_differ_where_they_are_said_to_and_nowhere_else() -> None:
    flat = {name: flatten(yaml.safe_load(toolbox_config(load_protocol(name))[1])) for name in DETECTION}
    base = flat["mask_rcnn_r50_fpn_1x"]
    first = {key for key, value in flat["mask_rcnn_r50_fpn_1x_p1"].items() if base[key] != value}
    assert first == {
        "MODEL.ROI_BOX_HEAD.NUM_CONV",
        "MODEL.ROI_BOX_HEAD.NUM_FC",
        "MODEL.ROI_BOX_HEAD.NORM",
        "MODEL.ROI_MASK_HEAD.NORM",
    }
    third = {key for key, value in flat["mask_rcnn_r50_fpn_1x_p3"].items() if base[key] != value}
    assert third == {"SOLVER.WEIGHT_DECAY"}


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def test_what_the_weights_decide_follows_the_backbone() -> None:
    odd = BackboneInfo(
        architecture=Architecture(depth=50, stride_in="1x1"),
        preprocessing=Preprocessing((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), 255.0, "RGB"),
    )
    config = yaml.safe_load(toolbox_config(load_protocol("mask_rcnn_r50_c4_1x"), odd)[1])
    assert value_at(config, "MODEL.PIXEL_STD") == [255.0, 255.0, 255.0]
    assert value_at(config, "MODEL.RESNETS.STRIDE_IN_1X1") is True
    segmentor = run_python(toolbox_config(load_protocol("pspnet_r50_d8_40k"), odd)[1])
    assert value_at(segmentor, "model.data_preprocessor.mean") == [0.0, 0.0, 0.0]
    assert value_at(segmentor, "model.backbone.style") == "caffe"


def test_show_writes_files_or_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocol", "show", "faster_rcnn_r50_c4_24k", "--out", str(tmp_path / "voc")]) == 0
    assert yaml.safe_load((tmp_path / "voc/config.yaml").read_text())["SOLVER"]["MAX_ITER"] == 24000
    assert yaml.safe_load((tmp_path / "voc/protocol.yaml").read_text())["seeds"] == [0, 1, 2]
    capsys.readouterr()
    assert main(["protocol", "show", "faster_rcnn_r50_c4_24k", "--toolbox", "--size", "demo"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["SOLVER"]["MAX_ITER"] == 3
    with pytest.raises(UserError, match="scikit-learn has no configuration"):
        toolbox_config(load_protocol("multilabel_knn"))
    with pytest.raises(UserError, match="give data.classes=N"):
        toolbox_config(load_protocol("fcn_demo", ["data.merge_categories=false"]))
