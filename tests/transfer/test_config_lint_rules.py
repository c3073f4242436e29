"""Each rule: a configuration that it must find, at the right line, one change away from one without any finding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from config_lint_examples import (
    C4,
    DETECTOR,
    DETECTOR_C4,
    FPN,
    HEAD,
    MOCO,
    SEGMENTOR,
    line_of,
    lint_text,
    pickled,
    write,
)

from transfer.config_lint.detectron2_settings import DEFAULTS
from transfer.config_lint.lint import lint_config
from transfer.config_lint.rules import RULES, RULES_BY_ID
from transfer.config_lint.weights import Weights

GOOD = {"FPN": FPN, "C4": C4, "SEGMENTOR": SEGMENTOR, "DETECTOR": DETECTOR, "DETECTOR_C4": DETECTOR_C4}


@dataclass(frozen=True)
class Case:
    """``old`` replaced by ``new`` in a good configuration must be told as ``rule`` at the line of ``at``.

    ``also`` are other rules that the same change rightly sets off; ``at`` is ``new`` where nothing else is said.
    """

    rule: str
    good: str
    old: str
    new: str
    at: str = ""
    also: frozenset[str] = frozenset()
    weights: Weights | None = None
    severity: str = ""


def case(rule: str, good: str, old: str, new: str, at: str = "", also: str = "", **more: object) -> Case:
    return Case(rule, good, old, new, at, frozenset(also.split()), **more)  # type: ignore[arg-type]


CASES = [
    case("unreadable", FPN, "  FORMAT: RGB", "  FORMAT: [RGB", "SOLVER:"),
    case("unreadable", SEGMENTOR, "type='EncoderDecoder',", "type='EncoderDecoder' =", "type='EncoderDecoder' ="),
    case("duplicate-key", FPN, "    DEPTH: 50\n", "    DEPTH: 50\n    DEPTH : 50\n", "DEPTH : 50"),
    case("duplicate-key", SEGMENTOR, "depth=50,", "depth=50, **{'a': 1,\n 'a' : 2},", "'a' : 2"),
    case("missing-base", FPN, "MODEL:", "_BASE_: none.yaml\nMODEL:", "_BASE_"),
    case("missing-base", SEGMENTOR, "norm_cfg = dict", "_base_ = [\n    'none.py']\nnorm_cfg = dict", "'none.py'"),
    case("base-cycle", FPN, "MODEL:", "_BASE_: ./config.yaml\nMODEL:", "_BASE_"),
    case("base-cycle", SEGMENTOR, "norm_cfg = dict", "_base_ = 'config.py'\nnorm_cfg = dict", "_base_"),
    case("unresolved-base", FPN, "MODEL:", "_BASE_: https://example.org/a.yaml\nMODEL:", "_BASE_"),
    case("unresolved-base", DETECTOR, "norm_cfg = dict", "_base_ = 'mmnone::a/b.py'\nnorm_cfg = dict", "_base_"),
    case("schedule-assigned-twice", SEGMENTOR, "40000)\n", "40000)\ntrain_cfg = dict(a=2)\n", "train_cfg = dict(a"),
    case("assigned-twice", SEGMENTOR, "40000)\n", "40000)\nseed = 1\nseed = 2\n", "seed = 2"),
    case("channel-order", FPN, "FORMAT: RGB", "FORMAT: BGR", also="mean-order"),
    case("channel-order", SEGMENTOR, "bgr_to_rgb=True", "bgr_to_rgb=False", also="mean-order"),
    case("mean-order", FPN, "[123.675, 116.28, 103.53]", "[103.53, 116.28, 123.675]"),
    case("mean-order", DETECTOR, "[123.675, 116.28, 103.53]", "[103.53, 116.28, 123.675]"),
    case("statistics-scale", FPN, "[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
    case("statistics-scale", FPN, "[58.395, 57.12, 57.375]", "[0.229, 0.224, 0.225]"),
    case("statistics-scale", SEGMENTOR, "[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]"),
    case("unit-std", FPN, "[58.395, 57.12, 57.375]", "[1.0, 1.0, 1.0]"),
    case("unit-std", DETECTOR, "[58.395, 57.12, 57.375]", "[1, 1, 1]"),
    case("statistics", FPN, "[123.675, 116.28, 103.53]", "[0.0, 0.0, 0.0]", weights=MOCO, severity="error"),
    case("statistics", SEGMENTOR, "[58.395, 57.12, 57.375]", "[255, 255, 255]", weights=MOCO, severity="error"),
    case("stride-style", FPN, "STRIDE_IN_1X1: false", "STRIDE_IN_1X1: true"),
    case("stride-style", FPN, "    STRIDE_IN_1X1: false\n", "", "RESNETS:"),
    case("stride-style", SEGMENTOR, "style='pytorch'", "style='caffe'"),
    case("deep-stem", SEGMENTOR, "type='ResNet'", "type='ResNetV1c'"),
    case("deep-stem", DETECTOR, "depth=50", "depth=50, deep_stem=True", "depth=50"),
    case("deep-stem", SEGMENTOR, "init_cfg=dict(\n            type='Pretrained',\n"
         "            checkpoint='moco_r50.pth',\n"
         "            prefix='backbone.')", "init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')",
         "type='ResNet'", severity="error"),
    case("architecture", FPN, "DEPTH: 50", "DEPTH: 101", weights=MOCO, severity="error"),
    case("architecture", SEGMENTOR, "depth=50", "depth=50, base_channels=128", "depth=50", weights=MOCO),
    case("frozen-norm", FPN, "DEPTH: 50\n    NORM: SyncBN", "DEPTH: 50\n    NORM: FrozenBN", "NORM: FrozenBN"),
    case("frozen-norm", FPN, "DEPTH: 50\n    NORM: SyncBN", "DEPTH: 50", "RESNETS:"),
    case("frozen-norm", SEGMENTOR, "requires_grad=True", "requires_grad=False"),
    case("norm-eval", SEGMENTOR, "norm_eval=False", "norm_eval=True"),
    case("norm-eval", DETECTOR, "        norm_eval=False,\n", "", "backbone=dict"),
    case("frozen-stages", FPN, "FREEZE_AT: 0", "FREEZE_AT: 2"),
    case("frozen-stages", FPN, "    FREEZE_AT: 0\n", "", "BACKBONE:"),
    case("frozen-stages", SEGMENTOR, "frozen_stages=-1", "frozen_stages=1"),
    case("neck-norm", FPN, "  FPN:\n    NORM: SyncBN\n", "", "MODEL:"),
    case("neck-norm", DETECTOR, "'FPN',\n        norm_cfg=norm_cfg", "'FPN'", "neck=dict"),
    case("neck-norm", DETECTOR, "'FPN',\n        norm_cfg=norm_cfg", "'FPN',\n        norm_cfg=None", "norm_cfg=None"),
    case("c4-extra-norm", C4, "Res5ROIHeadsExtraNorm", "Res5ROIHeads\n"),
    case("c4-extra-norm", DETECTOR_C4, "'ResLayerExtraNorm'", "'ResLayer'"),
    case("precise-bn", FPN, "ENABLED: true", "ENABLED: false"),
    case("sync-bn-alone", FPN, "SOLVER:", "SOLVER:\n  REFERENCE_WORLD_SIZE: 1", "DEPTH: 50\n"),
    case("sync-bn-alone", SEGMENTOR, "norm_cfg = dict", "launcher = 'none'\nnorm_cfg = dict", "norm_cfg = dict"),
    case("heuristics-flag", FPN, "moco_r50.pkl", "moco_r50.pth"),
    case("pretrained-beside-init-cfg", SEGMENTOR, "pretrained=None", "pretrained='torchvision://resnet50'"),
    case("prefix", SEGMENTOR, ",\n            prefix='backbone.'", "", "checkpoint='moco_r50.pth'"),
    case("c4-shared-head", DETECTOR_C4, "norm_cfg,\n            init_cfg=weights", "norm_cfg", "shared_head=dict"),
    case("std-order", FPN, "[58.395, 57.12, 57.375]", "[57.375, 57.12, 58.395]"),
    case("std-order", SEGMENTOR, "[58.395, 57.12, 57.375]", "[57.375, 57.12, 58.395]"),
    case("statistics-shape", FPN, "[123.675, 116.28, 103.53]", "[123.675]", severity="warning"),
    case("statistics-shape", DETECTOR, "[58.395, 57.12, 57.375]", "'imagenet'", severity="error"),
    case("no-mean", FPN, "[123.675, 116.28, 103.53]", "[0, 0, 0]"),
    case("no-mean", SEGMENTOR, "    mean=[123.675, 116.28, 103.53],\n    std=[58.395, 57.12, 57.375],\n", "",
         "data_preprocessor=data"),
    case("groups", FPN, "DEPTH: 50\n", "DEPTH: 50\n    NUM_GROUPS: 32\n", "NUM_GROUPS"),
    case("groups", FPN, "DEPTH: 50\n", "DEPTH: 50\n    WIDTH_PER_GROUP: 128\n", "WIDTH_PER_GROUP", weights=MOCO,
         severity="error"),
    case("groups", SEGMENTOR, "type='ResNet'", "groups=32, type='ResNeXt'", "groups=32"),
    case("norm-type", FPN, "DEPTH: 50\n    NORM: SyncBN", "DEPTH: 50\n    NORM: GN", "NORM: GN"),
    case("norm-type", FPN, "DEPTH: 50\n    NORM: SyncBN", "DEPTH: 50\n    NORM: ''", "NORM: ''", weights=MOCO,
         severity="error"),
    case("norm-type", DETECTOR, "'SyncBN', requires_grad=True", "'GN', num_groups=32"),
    case("norm-eps", SEGMENTOR, "requires_grad=True", "requires_grad=True, eps=1e-3", weights=MOCO, severity="warning"),
    case("misspelt-key", FPN, "DEPTH: 50\n", "DEPTH: 50\n    STRIDE_IN_1x1: false\n", "STRIDE_IN_1x1"),
    case("misspelt-key", SEGMENTOR, "frozen_stages=-1", "frozen_stage=-1"),
    case("init-type", SEGMENTOR, "type='Pretrained'", "type='Kaiming'", "checkpoint="),
    case("load-from", SEGMENTOR, "40000)\n", "40000)\nload_from = 'mask_rcnn.pth'\n", "load_from"),
    case("milestones", FPN, "(60000, 80000)", "(60000, 80000)\n  MAX_ITER: 70000", "STEPS"),
    case("milestones", FPN, "(60000, 80000)", "(80000, 60000)", severity="error"),
    case("schedule-end", SEGMENTOR, "40000)\n", "40000)\nparam_scheduler = dict(\n    type='PolyLR', by_epoch=False, "
         "end=20000)\n", "type='PolyLR'"),
    case("schedule-unit", SEGMENTOR, "40000)\n", "40000)\nparam_scheduler = [dict(\n    type='PolyLR', end=40)]\n",
         "param_scheduler"),
    case("learning-rate", FPN, "SOLVER:", "SOLVER:\n  IMS_PER_BATCH: 2\n  BASE_LR: 0.02", "BASE_LR"),
    case("learning-rate", SEGMENTOR + HEAD, "40000)\n", "40000)\ntrain_dataloader = dict(batch_size=16)\n"
         "optimizer = dict(type='SGD', lr=0.01)\n", "optimizer ="),
    case("crop-size", FPN, "FORMAT: RGB", "FORMAT: RGB\n  CROP:\n    ENABLED: true\n    SIZE: [2, 2]", "SIZE"),
    case("crop-size", SEGMENTOR, "40000)\n", "40000)\ntrain_pipeline = [\n    dict(type='Resize', scale=(512, 256)),\n"
         "    dict(type='RandomCrop', crop_size=(512, 512))]\n", "dict(type='RandomCrop'"),
    case("slide-stride", SEGMENTOR, "pretrained=None,", "test_cfg=dict(mode='slide', crop_size=(512, 512), "
         "stride=(768, 768)),"),
    case("num-classes", FPN, "SOLVER:", "DATASETS:\n  TRAIN: ('voc_2007_trainval',)\nSOLVER:", "MODEL:",
         severity="warning"),
    case("num-classes", SEGMENTOR + HEAD, "num_classes=21", "num_classes=20", severity="error"),
    case("ignored-label", SEGMENTOR + HEAD, "num_classes=21", "num_classes=21, ignore_index=0"),
    case("in-channels", DETECTOR, "type='FPN',", "type='FPN', in_channels=[64, 128, 256, 512],"),
    case("dilation", SEGMENTOR, "depth=50", "depth=50, strides=(1, 2, 1, 1)", "depth=50"),
    case("computed-value", FPN, "DEPTH: 50", "DEPTH: !!python/object/apply:eval ['50']"),
    case("computed-value", SEGMENTOR, "depth=50", "depth=int('50')"),
]  # fmt: skip
LINE_AFTER = {("sync-bn-alone", FPN): 1}  # from the marked line to the finding's


@pytest.mark.parametrize("name", GOOD)
def test_the_good_ones_have_no_finding(name: str, tmp_path: Path) -> None:
    assert lint_text(tmp_path, GOOD[name]) == []
    assert lint_text(tmp_path, GOOD[name], MOCO) == []


@pytest.mark.parametrize("one", CASES, ids=[f"{number}-{one.rule}" for number, one in enumerate(CASES)])
def test_one_change_sets_off_its_rule_at_its_line(one: Case, tmp_path: Path) -> None:
    assert one.good.count(one.old) == 1
    assert lint_text(tmp_path, one.good, one.weights) == []
    text = one.good.replace(one.old, one.new)
    findings = lint_text(tmp_path, text, one.weights)
    assert {found.rule for found in findings} == {one.rule} | one.also
    found = next(found for found in findings if found.rule == one.rule)
    expected = line_of(text, one.at or one.new.strip()) + LINE_AFTER.get((one.rule, one.good), 0)
    assert (found.place.line, found.place.file.parent) == (expected, tmp_path)
    assert found.severity == (one.severity or found.severity)
    assert found.why
    assert found.fix


C4_NAMES = pickled({"backbone.res2.0.conv1.weight": np.zeros((64, 64, 1, 1), np.float32)})
STOCK = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
OTHERS = {
    # rule: (files, the first being linted; file and line of the finding; what in the first file makes it good)
    "frozen-random": ({"a.yaml": "MODEL:\n  WEIGHTS: ''\n"}, ("a.yaml", 2), ("a.yaml", "''", STOCK)),
    "key-in-two-bases": (
        {"a.py": "_base_ = ['b.py', 'c.py']\n", "b.py": "x = 1\n", "c.py": "y = 1\nx = 2\n"},
        ("c.py", 2),
        ("a.py", ", 'c.py'", ""),
    ),
    "deletes-nothing": (
        {"a.py": "_base_ = 'b.py'\nx = dict(\n    z=dict(\n        _delete_=True))\n",
         "b.py": "x = dict(y=dict(a=1))\n"},
        ("a.py", 4),
        ("a.py", "z=dict", "y=dict"),
    ),
    "train-test-normalisation": (
        {"a.py": "train_pipeline = [dict(type='Normalize', mean=[1, 2, 3], std=[4, 5, 6])]\n"
         "test_pipeline = [\n    dict(type='Normalize', mean=[1, 2, 3], std=[4, 5, 7])]\n"},
        ("a.py", 3),
        ("a.py", "7", "6"),
    ),
    "names": (
        {"a.yaml": FPN.replace("moco_r50.pkl", "weights/moco_r50.pkl"), "weights/moco_r50.pkl": C4_NAMES},
        ("a.yaml", 3),
        ("weights/moco_r50.pkl", "backbone.res2", "backbone.bottom_up.res2"),
    ),
    "missing-weights": (
        {"a.yaml": FPN.replace("moco_r50.pkl", "weights/moco_r50.pkl"), "weights/other.txt": ""},
        ("a.yaml", 3),
        ("a.yaml", "weights/moco", "elsewhere/moco"),
    ),
    "cannot-inherit": (
        {"a.py": "_base_ = 'b.py'\nx = dict(\n    y=dict(z=1))\n", "b.py": "x = dict(y=1)\n"},
        ("a.py", 3),
        ("a.py", "y=dict(z=1)", "y=2"),
    ),
    "pretrained-inherited": (
        {"a.py": "_base_ = 'b.py'\nmodel = dict(backbone=dict(type='ResNet', init_cfg=dict(type='Pretrained', "
         "checkpoint='x.pth', prefix='backbone.')))\n",
         "b.py": "model = dict(\n    type='EncoderDecoder',\n    pretrained='open-mmlab://resnet50_v1c',\n"
         "    backbone=dict(type='ResNetV1c', depth=50))\n"},
        ("b.py", 3),
        ("a.py", "model = dict(", "model = dict(pretrained=None, "),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", OTHERS)
def test_rules_that_need_more_than_one_change(rule: str, tmp_path: Path) -> None:
    files, (name, line), (changed, old, new) = OTHERS[rule]
    findings = lint_config(write(tmp_path, files))
    assert [(found.rule, found.place.file.name, found.place.line) for found in findings] == [(rule, name, line)]
    mended = files | {changed: files[changed].replace(old, new)}
    assert lint_config(write(tmp_path, mended)) == []


def test_every_rule_has_a_case() -> None:
    assert {one.rule for one in CASES} | set(OTHERS) == set(RULES_BY_ID)
    assert len(RULES_BY_ID) == len(RULES)
    assert {rule.severity for rule in RULES} == {"error", "warning", "note"}


def test_what_is_inferred_is_told_so_and_no_error(tmp_path: Path) -> None:
    text = FPN.replace("FORMAT: RGB", "FORMAT: BGR")
    guessed = next(found for found in lint_text(tmp_path, text) if found.rule == "channel-order")
    assert (guessed.severity, guessed.inferred) == ("warning", True)
    assert "inferred: moco_r50.pkl is no stock" in guessed.text()
    known = next(found for found in lint_text(tmp_path, text, MOCO) if found.rule == "channel-order")
    assert (known.severity, known.inferred) == ("error", False)
    assert "weights: known for this test" in known.text()


def test_supervised_weights_may_be_frozen_and_caffe_ones_may_be_bgr(tmp_path: Path) -> None:
    supervised = dataclasses.replace(MOCO, self_supervised=False)
    frozen = FPN.replace("FREEZE_AT: 0", "FREEZE_AT: 2").replace("DEPTH: 50\n    NORM: SyncBN", "DEPTH: 50")
    assert lint_text(tmp_path, frozen, supervised) == []
    msra = "MODEL:\n  WEIGHTS: detectron2://ImageNetPretrained/MSRA/R-50.pkl\n"
    assert lint_text(tmp_path, msra) == []
    torchvision = msra.replace("MSRA", "torchvision")
    rules = {found.rule for found in lint_text(tmp_path, torchvision)}
    assert rules == {"channel-order", "unit-std", "stride-style"}
    caffe = DETECTOR.replace("moco_r50.pth", "open-mmlab://detectron2/resnet50_caffe").replace(
        ", prefix='backbone.'", ""
    )
    assert {found.rule for found in lint_text(tmp_path, caffe)} == {"channel-order", "stride-style"}


@pytest.mark.parametrize("weights", ["model_final.pth", "w.pth?matching_heuristics=True", "detectron2://a/b.pth"])
def test_what_needs_no_heuristics_flag(weights: str, tmp_path: Path) -> None:
    assert lint_text(tmp_path, FPN.replace("moco_r50.pkl", weights)) == []


def test_basic_blocks_have_no_stride_style(tmp_path: Path) -> None:
    assert (
        lint_text(
            tmp_path,
            FPN.replace("r50.pkl", "r18.pkl").replace("DEPTH: 50", "DEPTH: 18").replace("1X1: false", "1X1: true"),
        )
        == []
    )


def test_an_absent_key_says_nothing_where_a_base_is_missing(tmp_path: Path) -> None:
    text = "_BASE_: gone.yaml\nMODEL:\n  WEIGHTS: moco.pkl\n"
    assert [found.rule for found in lint_text(tmp_path, text)] == ["missing-base"]


def test_the_defaults_are_the_installed_detectron2s() -> None:
    config = pytest.importorskip("detectron2.config").get_cfg()
    for key, value in DEFAULTS.items():
        node = config
        for part in key.split("."):
            node = node[part]
        assert node == value, key


def test_the_toolboxes_own_default_of_norm_eval(tmp_path: Path) -> None:
    """mmseg's ResNet has norm_eval False by default, mmdet's True."""
    silent = SEGMENTOR.replace("        norm_eval=False,\n", "")
    assert lint_text(tmp_path, silent) == []
    assert [found.rule for found in lint_text(tmp_path, silent.replace("'mmseg'", "'mmdet'"))] == ["norm-eval"]
