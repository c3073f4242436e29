"""MMDetection's configuration of a protocol: plain data, so it is judged without the toolbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.detection.data import Split
from benchmarks.detection.detectron2_config import build_config as detectron2_config
from benchmarks.detection.mmdet_config import build_config
from benchmarks.protocols.protocol import DetectionProtocol, load_protocol
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.networks.resnet import Architecture

INFO = BackboneInfo(architecture=Architecture(depth=18, stem_width=16))


def build(
    *overrides: str, name: str = "mask_rcnn_fpn_mmdet_demo", info: BackboneInfo = INFO, masks: bool = True
) -> Any:
    protocol = load_protocol(name, overrides)
    assert isinstance(protocol, DetectionProtocol)
    split = Split("name", Path("instances_test.json"), Path("images/test"), 4, [4], 0)
    return build_config(protocol, info, split, split, ["object"], masks, 5, Path("work"))


def test_settings_arrive() -> None:
    config = build("settings.iterations=40", "settings.train_short_sides=[96,128]")
    assert config["train_cfg"]["max_iters"] == 40
    assert config["train_dataloader"]["batch_size"] == 4
    assert config["train_dataloader"]["dataset"]["pipeline"][2]["scales"] == [(192, 96), (192, 128)]
    assert config["test_dataloader"]["dataset"]["pipeline"][1]["scale"] == (192, 128)
    masks = [build(*o)["train_dataloader"]["dataset"]["pipeline"][1] for o in ((), ("settings.mask_format=polygon",))]
    assert [one["poly2mask"] for one in masks] == [True, False]
    assert config["randomness"]["seed"] == config["train_dataloader"]["sampler"]["seed"] == 5
    wrapper = config["optim_wrapper"]
    assert wrapper["optimizer"] == {"type": "AdamW", "lr": 0.003, "weight_decay": 0.05}
    assert wrapper["clip_grad"] == {"max_norm": 5.0}
    assert wrapper["paramwise_cfg"] == {"norm_decay_mult": 0.0}
    warmup, cosine = config["param_scheduler"]
    assert (warmup["type"], warmup["end"], cosine["type"], cosine["T_max"]) == ("LinearLR", 15, "CosineAnnealingLR", 40)
    steps = build("settings.config.lr_schedule=steps", "settings.steps=[60,100,300]", "settings.warmup_iterations=0")
    assert steps["param_scheduler"] == [
        {"type": "MultiStepLR", "milestones": [60, 100], "gamma": 0.1, "begin": 0, "by_epoch": False}
    ]


def test_both_engines_are_given_the_same_detector() -> None:
    """As far as both toolboxes have a word for it."""
    quiet_detectron2()
    protocol = load_protocol("mask_rcnn_fpn_demo")
    other = load_protocol("mask_rcnn_fpn_mmdet_demo")
    assert isinstance(protocol, DetectionProtocol)
    assert isinstance(other, DetectionProtocol)
    for name, value in vars(protocol.settings).items():
        assert name == "config" or getattr(other.settings, name) == value
    assert (protocol.data, protocol.metrics) == (other.data, other.metrics)
    theirs = detectron2_config(protocol, INFO, 1, True, 5, "cpu").MODEL
    model = build()["model"]
    anchors = model["rpn_head"]["anchor_generator"]
    assert [[stride * scale for scale in anchors["scales"]] for stride in anchors["strides"]] == (
        theirs.ANCHOR_GENERATOR.SIZES
    )
    assert [anchors["ratios"]] == theirs.ANCHOR_GENERATOR.ASPECT_RATIOS
    assert [f"p{2 + model['neck']['start_level'] + i}" for i in range(model["neck"]["num_outs"])] == (
        theirs.RPN.IN_FEATURES
    )
    assert model["neck"]["out_channels"] == theirs.FPN.OUT_CHANNELS
    assert model["neck"]["norm_cfg"]["type"] == theirs.FPN.NORM
    roi, heads = model["roi_head"], theirs.ROI_HEADS
    levels = {8: "p3", 16: "p4", 32: "p5"}
    for kind, head in (("bbox", theirs.ROI_BOX_HEAD), ("mask", theirs.ROI_MASK_HEAD)):
        extractor = roi[f"{kind}_roi_extractor"]
        assert [levels[stride] for stride in extractor["featmap_strides"]] == heads.IN_FEATURES
        assert extractor["roi_layer"]["sampling_ratio"] == head.POOLER_SAMPLING_RATIO
        assert extractor["roi_layer"]["output_size"] == head.POOLER_RESOLUTION
        assert extractor["out_channels"] == model["neck"]["out_channels"]
    assert roi["bbox_head"]["fc_out_channels"] == theirs.ROI_BOX_HEAD.FC_DIM
    assert (roi["mask_head"]["num_convs"], roi["mask_head"]["conv_out_channels"]) == (
        theirs.ROI_MASK_HEAD.NUM_CONV,
        theirs.ROI_MASK_HEAD.CONV_DIM,
    )
    train, test = model["train_cfg"], model["test_cfg"]
    sampler = train["rcnn"]["sampler"]
    assert (sampler["num"], sampler["pos_fraction"]) == (heads.BATCH_SIZE_PER_IMAGE, heads.POSITIVE_FRACTION)
    assert [train["rcnn"]["assigner"]["pos_iou_thr"]] == heads.IOU_THRESHOLDS
    assert train["rpn"]["sampler"]["num"] == theirs.RPN.BATCH_SIZE_PER_IMAGE
    assert [train["rpn"]["assigner"][key] for key in ("neg_iou_thr", "pos_iou_thr")] == theirs.RPN.IOU_THRESHOLDS
    proposals = train["rpn_proposal"]
    assert (proposals["nms_pre"], proposals["max_per_img"], proposals["nms"]["iou_threshold"]) == (
        theirs.RPN.PRE_NMS_TOPK_TRAIN,
        theirs.RPN.POST_NMS_TOPK_TRAIN,
        theirs.RPN.NMS_THRESH,
    )
    assert (test["rpn"]["nms_pre"], test["rpn"]["max_per_img"]) == (
        theirs.RPN.PRE_NMS_TOPK_TEST,
        theirs.RPN.POST_NMS_TOPK_TEST,
    )
    assert test["rcnn"]["max_per_img"] == 30
    assert (test["rcnn"]["score_thr"], test["rcnn"]["nms"]["iou_threshold"]) == (
        heads.SCORE_THRESH_TEST,
        heads.NMS_THRESH_TEST,
    )


def test_what_the_weights_decide_comes_from_the_backbone_file() -> None:
    odd = BackboneInfo(
        architecture=Architecture(depth=50, stride_in="1x1"),
        preprocessing=Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 255.0, "BGR"),
    )
    model = build(info=odd)["model"]
    assert model["data_preprocessor"]["mean"] == [1.0, 2.0, 3.0]
    assert model["data_preprocessor"]["std"] == [4.0, 5.0, 6.0]
    assert model["data_preprocessor"]["bgr_to_rgb"] is False
    assert (model["backbone"]["style"], model["backbone"]["depth"]) == ("caffe", 50)
    assert model["neck"]["in_channels"] == [256, 512, 1024, 2048]


def test_faster_rcnn_has_boxes_only() -> None:
    for config in (build(masks=False), build(name="faster_rcnn_fpn_mmdet_demo", masks=False)):
        assert config["model"]["type"] == "FasterRCNN"
        assert not any(key.startswith("mask_") for key in config["model"]["roi_head"])
        assert config["train_dataloader"]["dataset"]["pipeline"][1]["with_mask"] is False
    protocol = load_protocol("faster_rcnn_fpn_mmdet_demo")
    assert isinstance(protocol, DetectionProtocol)
    assert protocol.settings.predicts_masks is False


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("settings.config.model.backbone.depth=50", "is written from the backbone file"),
        ("settings.config.model.data_preprocessor.mean=[0,0,0]", "is written from the backbone file"),
        ("settings.config.model.neck.in_channels=[1]", "is written from the backbone file"),
        ("settings.config.model.type=FasterRCNN", "is written from the protocol's settings"),
        ("settings.config.model.roi_head.bbox_head.num_classes=5", "is written from the data"),
        ("settings.config.model.rpn_heed.in_channels=5", "model.rpn_heed: .*did you mean 'rpn_head'"),
        ("settings.config.model.test_cfg.rcnn.nms.iou_treshold=0.5", "did you mean 'iou_threshold'"),
        ("settings.config.model.rpn_head=5", "model.rpn_head: must be a mapping"),
        ("settings.config.model=5", "model: must be a mapping"),
        ("settings.config.modle.neck=5", "did you mean 'model'"),
        ("settings.config.lr_schedule=cosin", "did you mean 'cosine'"),
    ],
)
def test_mistaken_keys_are_named(override: str, message: str) -> None:
    with pytest.raises(UserError, match=f"mask_rcnn_fpn_mmdet_demo: settings.config.*{message}"):
        build(override)
