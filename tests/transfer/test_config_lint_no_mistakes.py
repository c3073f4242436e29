"""What people's files rightly have: none of it is told as a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from config_lint_examples import DETECTOR, FPN, SEGMENTOR, lint_text, pickled, write

from transfer.config_lint.lint import lint_config
from transfer.config_lint.weights_files import weights_named


def rules(folder: Path, text: str) -> list[str]:
    return [one.rule for one in lint_text(folder, text)]


@pytest.mark.parametrize(
    "name",
    [
        "output/model_final.pth",
        "./output/model_0089999.pth",
        "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection/x/137849458/model_final_280758.pkl",
        "detectron2://COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl",
        "work_dirs/mask_rcnn/epoch_12.pth",
        "work_dirs/fcn/latest.pth",
        "work_dirs/fcn/best_mIoU_iter_20000.pth",
        "https://example.org/weights/some_backbone.pth",
        "open-mmlab://resnest50",
        "detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl",
    ],
)
def test_whole_models_and_unknown_addresses_say_nothing(name: str, tmp_path: Path) -> None:
    assert weights_named(name, tmp_path) is None
    stock = FPN.replace("FREEZE_AT: 0", "FREEZE_AT: 2").replace("NORM: SyncBN", "NORM: FrozenBN")
    assert rules(tmp_path, stock.replace("moco_r50.pkl", name)) == []


@pytest.mark.parametrize(
    ("name", "order", "depth"),
    [
        ("R-50.pkl", "BGR", 50),
        ("/data/ImageNetPretrained/MSRA/R-101.pkl", "BGR", 101),
        ("https://dl.fbaipublicfiles.com/detectron2/ImageNetPretrained/MSRA/R-50.pkl", "BGR", 50),
        ("detectron2://ImageNetPretrained/torchvision/R-50.pkl", "RGB", 50),
        ("torchvision://resnet101", "RGB", 101),
        ("https://download.pytorch.org/models/resnet50-11ad3fa6.pth", "RGB", 50),
        ("checkpoints/resnet18-f37072fd.pth", "RGB", 18),
        ("supervised_r50.pth", "RGB", 50),
    ],
)
def test_supervised_weights_are_none_that_are_self_supervised(
    name: str, order: str, depth: int, tmp_path: Path
) -> None:
    weights = weights_named(name, tmp_path)
    assert weights is not None
    assert (weights.self_supervised, weights.channel_order, weights.depth) == (False, order, depth)


@pytest.mark.parametrize(
    "name", ["moco_v2_800ep.pkl", "https://dl.fbaipublicfiles.com/moco/moco_v2_800ep.pth.tar", "backbone.pkl",
             "work_dirs/selfsup/densecl/epoch_200.pth", "checkpoint_0199.pth.tar", "selfsupervised.pth"],
)  # fmt: skip
def test_self_supervised_weights_are_known_by_name_or_inferred(name: str, tmp_path: Path) -> None:
    weights = weights_named(name, tmp_path)
    assert weights is not None
    assert weights.self_supervised
    assert not weights.certain


PRETRAINING = """\
img_norm_cfg = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
train_pipeline = [dict(type='RandomResizedCrop', size=224)]
prefetch = False
if not prefetch:
    train_pipeline.extend([dict(type='ToTensor'), dict(type='Normalize', **img_norm_cfg)])
test_pipeline = [dict(type='Resize', size=256), dict(type='ToTensor'), dict(type='Normalize', **img_norm_cfg)]
model = dict(type='MOCO', backbone=dict(type='ResNet', depth=50))
"""


def test_statistics_after_to_tensor_are_on_its_scale(tmp_path: Path) -> None:
    assert rules(tmp_path, PRETRAINING) == []
    torchvision = (
        "a = [dict(type='torchvision/ToTensor'), dict(type='torchvision/Normalize', mean=[.5, .5, .5], std=[.2])]\n"
    )
    assert rules(tmp_path, torchvision) == []
    albumentations = (
        "a = [dict(type='Albu', transforms=[dict(type='Normalize', mean=[.5, .5, .5], std=[.2, .2, .2])])]\n"
    )
    assert rules(tmp_path, albumentations) == []
    without = PRETRAINING.replace("dict(type='ToTensor'), ", "").replace("406]", "406], to_rgb=True")
    assert "statistics-scale" in rules(tmp_path, without)


def test_other_dicts_with_mean_and_std_are_not_the_inputs(tmp_path: Path) -> None:
    others = """
bbox_coder = dict(type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[.1, .1, .2, .2])
depth = dict(type='DepthHead', mean=[0.1, 0.2, 0.3], std=[0.5, 0.5, 0.5])
crop = [dict(type='RandomCenterCropPad', mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True)]
init_cfg = dict(type='Normal', mean=0, std=0.01)
"""
    assert rules(tmp_path, SEGMENTOR + others) == []


@pytest.mark.parametrize(
    "text",
    [
        "data_root = 'a/'\nx = data_root\ndata_root = 'b/'\n",
        "data_root = 'a/'\ndata_root = 'a/'\n",
        "p = [dict(type='A')]\nx = dict(pipeline=p)\np = [dict(type='B')]\ny = dict(pipeline=p)\n",
        "model = dict(a=1)\nmodel.update(b=2)\nmodel = dict(a=3, **model)\n",
        "x = 1\ndef f():\n    return x\nx = 2\n",
        "x = 1\nif True:\n    x = 2\nx = 3\n",
        "x = [1]\nx.append(2)\nx = [3]\n",
        "x = 1\ndel x\nx = 2\n",
        "x = 1\nx += 1\nx = 3\n",
        "x = dict(a=1)\nx['a'] = 2\nx = dict(a=3)\n",
    ],
)
def test_an_assignment_that_was_used_or_is_the_same_is_not_lost(text: str, tmp_path: Path) -> None:
    assert rules(tmp_path, text) == []


def test_a_base_is_not_an_assignment(tmp_path: Path) -> None:
    files = {"a.py": "_base_ = 'b.py'\nmax_epochs = 24\n", "b.py": "max_epochs = 12\n"}
    assert lint_config(write(tmp_path, files)) == []
    lazy = {"a.py": "with read_base():\n    from .b import *\nmax_epochs = 24\n", "b.py": "max_epochs = 12\n"}
    assert lint_config(write(tmp_path, lazy)) == []


def test_what_the_command_line_is_to_fill_is_not_random(tmp_path: Path) -> None:
    frozen = SEGMENTOR.replace("frozen_stages=-1", "frozen_stages=1")
    assert "frozen-random" not in rules(tmp_path, frozen.replace("'moco_r50.pth'", "''"))
    random = frozen[: frozen.index("init_cfg=")] + "init_cfg=None))\nload_from = None\n"
    assert rules(tmp_path, random) == ["frozen-random"]
    assert rules(tmp_path, random.replace("load_from = None", "load_from = 'whole.pth'")) == []


@pytest.mark.parametrize(
    ("prefix", "stated", "expected"),
    [
        ("", "", []),
        ("module.", "", []),
        ("backbone.", ", prefix='backbone.'", []),
        ("backbone.", ", prefix='backbone'", []),
        ("module.encoder_q.", ", prefix='module.encoder_q.'", []),
        ("backbone.", "", ["prefix"]),
        ("", ", prefix='backbone.'", ["prefix"]),
        ("encoder.", ", prefix='backbone.'", ["prefix"]),
    ],
)
def test_the_prefix_is_that_of_the_files_names(prefix: str, stated: str, expected: list[str], tmp_path: Path) -> None:
    names = ("layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.running_mean")
    torch.save({"state_dict": {prefix + name: torch.zeros(1) for name in names}}, tmp_path / "w.pth")
    text = DETECTOR.replace(", prefix='backbone.'", stated).replace("'moco_r50.pth'", "'w.pth'")
    assert rules(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("prefix", "heuristics", "neck", "expected"),
    [
        ("backbone.bottom_up.", False, "fpn", []),
        ("", True, "fpn", []),
        ("", False, "fpn", ["names"]),
        ("backbone.", False, "fpn", ["names"]),
        ("backbone.", True, "fpn", ["names"]),
        ("backbone.", False, "c4", []),
        ("backbone.bottom_up.", True, "c4", ["names"]),
    ],
)
def test_detectron2s_names(prefix: str, heuristics: bool, neck: str, expected: list[str], tmp_path: Path) -> None:
    arrays = {prefix + "res2.0.conv1.weight": np.zeros((64, 64, 1, 1), np.float32)}
    write(tmp_path, {"moco_r50.pkl": pickled(arrays, heuristics)})
    text = FPN if neck == "fpn" else FPN.replace("build_resnet_fpn_backbone", "build_resnet_backbone")
    text = text.replace("  FPN:\n", "  ROI_HEADS:\n    NAME: Res5ROIHeadsExtraNorm\n  FPN:\n")
    assert rules(tmp_path, text) == expected


def test_the_network_is_read_off_the_shapes(tmp_path: Path) -> None:
    """ResNeXt's groups and group norm, of a file with names of torchvision's."""
    shapes = {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv2.weight": (128, 4, 3, 3), "layer1.0.bn1.weight": (128,)}
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        shapes |= {f"layer{stage}.{block}.conv3.weight": (256, 128, 1, 1) for block in range(blocks)}
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "moco_r101.pth")
    text = DETECTOR.replace(", prefix='backbone.'", "").replace("moco_r50", "moco_r101")
    found = {(one.rule, one.severity) for one in lint_text(tmp_path, text)}
    assert found == {("groups", "error"), ("norm-type", "error")}
    grouped = text.replace("type='ResNet'", "type='ResNeXt', groups=32, base_width=4")
    assert rules(tmp_path, grouped.replace("type='SyncBN'", "type='GN', num_groups=32")) == []


def test_advice_on_an_inherited_init_cfg_does_not_load_the_bases_weights(tmp_path: Path) -> None:
    base = "model = dict(type='RetinaNet', backbone=dict(type='ResNet', depth=50, frozen_stages=1, init_cfg=dict(\n"
    base += "    type='Pretrained', checkpoint='torchvision://resnet50')))\n"
    child = "_base_ = 'b.py'\nmodel = dict(\n    pretrained='torchvision://resnet101', backbone=dict(depth=101))\n"
    findings = lint_config(write(tmp_path, {"a.py": child, "b.py": base}))
    (one,) = [found for found in findings if found.rule == "pretrained-inherited"]
    assert (one.place.file.name, one.place.line) == ("a.py", 3)
    assert one.fix.startswith("Name these weights in backbone=dict(init_cfg=")
    mended = child.replace("pretrained='torchvision://resnet101', backbone=dict(depth=101)", "backbone=dict(depth=101, "
                           "init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))")  # fmt: skip
    assert lint_config(write(tmp_path, {"a.py": mended})) == []
    kept = child.replace("pretrained='torchvision://resnet101'", "pretrained=None")
    assert [found.rule for found in lint_config(write(tmp_path, {"a.py": kept}))] == ["architecture"]


def test_stock_bases_under_their_own_weights(tmp_path: Path) -> None:
    frozen = DETECTOR.replace("norm_eval=False", "norm_eval=True, frozen_stages=1").replace(
        "'FPN',\n        norm_cfg=norm_cfg", "'FPN'"
    )
    stock = frozen.replace("moco_r50.pth', prefix='backbone.'", "torchvision://resnet50'")
    assert rules(tmp_path, stock) == []
    assert set(rules(tmp_path, frozen)) == {"frozen-stages", "neck-norm", "norm-eval"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("DEPTH: 50\n", "DEPTH: 50\n    RES4_DILATION: 1\n    RES5_DILATION: 1\n    RES5_MULTI_GRID: [1, 1, 1]\n"),
        ("SOLVER:\n", "SOLVER:\n  WEIGHT_DECAY_EMBED: 0.0\n  POLY_LR_POWER: 0.9\n  OPTIMIZER: SGD\n"),
        ("  FPN:\n", "  POINT_HEAD:\n    NUM_CLASSES: 3\n  FCOS:\n    NORM: GN\n  FPN:\n"),
        ("  FORMAT: RGB\n", "  FORMAT: RGB\n  SIZE_DIVISIBILITY: 32\n  CROP:\n    SINGLE_CATEGORY_MAX_AREA: 0.75\n"),
        (
            "DEPTH: 50\n",
            "DEPTH: 50\n    STEM_OUT_CHANNELS: 128\n    WIDTH_PER_GROUP: 128\n",
        ),
    ],
)
def test_keys_of_extensions_and_wide_networks(old: str, new: str, tmp_path: Path) -> None:
    assert FPN.count(old) == 1
    assert rules(tmp_path, FPN.replace(old, new)) == []
