"""MMDetection's files, proven without the toolbox (on the stand-in) and, where mmcv's operators are built, with it."""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, load_backbone, read_info
from transfer.cli import add_commands
from transfer.exporters.mmcv_ops import missing_mmdet, require_mmcv_ops, require_mmdet
from transfer.exporters.mmdet import build as to_mmdet
from transfer.exporters.mmdet import files as mmdet_files
from transfer.exporters.mmdet import standin as mmdet_standin
from transfer.exporters.mmdet.files import prove_export
from transfer.exporters.mmdet.models import detector_config
from transfer.exporters.mmdet.standin import build_standin
from transfer.exporters.read_back import read_anything
from transfer.exporters.silenced_logs import quiet_mmdet
from transfer.networks.resnet import Architecture
from transfer.verify import compare

WITHOUT = missing_mmdet()
needs_mmdet = pytest.mark.skipif(WITHOUT is not None, reason=f"{WITHOUT}; 'make mmcv-ops' builds them")
needs_no_mmdet = pytest.mark.skipif(WITHOUT is None, reason="MMDetection is installed here")
BUILDERS = [
    pytest.param(build_standin, id="standin"),
    pytest.param(to_mmdet.build_detector, id="mmdet", marks=needs_mmdet),
]


def config(info: BackboneInfo, neck: str = "fpn", checkpoint: str | None = None, masks: bool = True) -> dict[str, Any]:
    return detector_config(info, neck, masks, classes=3, norm="BN", checkpoint=checkpoint)


def test_backbone_config_is_a_plain_trained_resnet_of_these_weights() -> None:
    backbone = to_mmdet.backbone_config(BackboneInfo(Architecture(depth=18, stem_width=16)))
    assert (backbone["type"], backbone["depth"]) == ("ResNet", 18)
    assert (backbone["pretrained"], backbone["init_cfg"]) == (None, None)
    assert (backbone["stem_channels"], backbone["base_channels"]) == (16, 16)
    assert (backbone["style"], backbone["frozen_stages"], backbone["norm_eval"]) == ("pytorch", -1, False)
    assert (backbone["num_stages"], backbone["out_indices"]) == (4, (0, 1, 2, 3))
    caffe = BackboneInfo(Architecture(stride_in="1x1"))
    backbone = to_mmdet.backbone_config(caffe, "c4", "SyncBN", "w.pth")
    loaded = {"type": "Pretrained", "checkpoint": "w.pth", "prefix": "backbone."}
    assert (backbone["style"], backbone["init_cfg"], backbone["norm_cfg"]["type"]) == ("caffe", loaded, "SyncBN")
    assert (backbone["num_stages"], backbone["strides"], backbone["out_indices"]) == (3, (1, 2, 2), (2,))
    head = to_mmdet.shared_head_config(caffe, checkpoint="w.pth")
    assert (head["type"], head["style"], head["init_cfg"]) == ("ResLayerExtraNorm", "caffe", loaded)
    with pytest.raises(UserError, match="neck: unknown value 'c5' .did you mean 'c4'"):
        to_mmdet.backbone_config(caffe, "c5")
    with pytest.raises(UserError, match="norm: unknown value 'BM'"):
        to_mmdet.shared_head_config(caffe, "BM")


def test_preprocessor_config_is_on_the_255_scale_and_swaps_for_rgb_weights() -> None:
    rgb = to_mmdet.preprocessor_config(BackboneInfo(Architecture()))
    np.testing.assert_allclose(rgb["mean"], [123.675, 116.28, 103.53])
    np.testing.assert_allclose(rgb["std"], [58.395, 57.12, 57.375])
    assert rgb["bgr_to_rgb"] is True
    assert to_mmdet.preprocessor_config(BackboneInfo(Architecture(), CAFFE))["bgr_to_rgb"] is False


def test_faster_rcnn_is_mask_rcnn_without_masks() -> None:
    info = BackboneInfo(Architecture(depth=18))
    masks, boxes = config(info), config(info, masks=False)
    assert (masks["type"], boxes["type"]) == ("MaskRCNN", "FasterRCNN")
    assert not any("mask" in key for key in boxes["roi_head"])
    assert boxes["roi_head"]["bbox_head"] == masks["roi_head"]["bbox_head"]
    assert boxes["data_preprocessor"]["pad_mask"] is False
    assert masks["neck"]["in_channels"] == [64, 128, 256, 512]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("backbone", "neck"),
    [
        ({"depth": 18, "stem_width": 16}, "fpn"),
        ({"depth": 18, "stem_width": 16}, "c4"),
        ({"depth": 50, "stem_width": 16}, "c4"),
        ({"depth": 50, "stem_width": 16, "stride_in": "1x1", "preprocessing": CAFFE}, "c4"),
        ({"depth": 50, "stem_width": 16, "preprocessing": SIMCLR}, "fpn"),
    ],
)
def test_load_and_prove(build: Any, backbone: dict[str, Any], neck: str, make_backbone: MakeBackbone) -> None:
    path = make_backbone(**backbone)
    info, tensors = load_backbone(path)
    model = build(config(info, neck)).train()
    report = to_mmdet.load_and_prove(model, path)
    assert sum(report.tensors.values()) == len(tensors) == {18: 120, 50: 318}[backbone["depth"]]
    assert max(report.max_abs_difference.values()) <= 1e-5
    assert model.backbone.training
    names = to_mmdet.backbone_names(model)
    assert sum(name.startswith("roi_head.shared_head.layer4.") for name in names) == (
        sum(name.startswith("layer4.") for name in tensors) if neck == "c4" else 0
    )
    before = {ours: model.state_dict()[theirs].clone() for theirs, ours in names.items()}
    assert all(torch.equal(before[name], tensors[name]) for name in tensors)
    model.init_weights()  # as the runner does when training starts
    assert all(torch.equal(model.state_dict()[theirs], before[ours]) for theirs, ours in names.items())


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("neck", "part", "change", "told"),
    [
        ("fpn", "backbone", {"style": "caffe"}, "features differ at layer2"),
        ("fpn", "backbone", {"depth": 101}, "306 tensors of the target have no counterpart in the file"),
        ("fpn", "backbone", {"base_channels": 8}, "of another shape"),
        ("fpn", "backbone", {"strides": (1, 2, 1, 2)}, "another stride"),
        ("fpn", "backbone", {"norm_cfg": {"type": "GN", "num_groups": 4}}, "no counterpart in the file: gn1.bias"),
        ("c4", "backbone", {"num_stages": 2, "strides": (1, 2), "dilations": (1, 1), "out_indices": (1,)}, "no ResNet"),
        ("fpn", "data_preprocessor", {"bgr_to_rgb": False}, "features differ at stem"),
        ("fpn", "data_preprocessor", {"std": [1.0, 1.0, 1.0]}, "features differ at stem"),
        ("fpn", "data_preprocessor", {"mean": [0.485, 0.456, 0.406]}, "features differ at stem"),
        ("c4", "shared_head", {"style": "caffe"}, "features differ at layer4"),
        ("c4", "shared_head", {"base_channels": 8}, "of another shape"),
        ("c4", "shared_head", None, "of the file have no place in the target: layer4.0.bn1.bias"),
    ],
)
def test_another_network_or_preprocessing_is_refused(
    build: Any, neck: str, part: str, change: dict[str, Any] | None, told: str, make_backbone: MakeBackbone
) -> None:
    path = make_backbone(depth=50)
    model = config(read_info(path), neck)
    owner = model["roi_head"] if part == "shared_head" else model
    if change is None:
        del owner[part]
    else:
        owner[part] |= change
    if change and "num_stages" in change:
        model["rpn_head"]["in_channels"] = 128
    with pytest.raises(TransferError, match=told):
        to_mmdet.load_and_prove(build(model), path)


def _exported(make_backbone: MakeBackbone, out: Path, neck: str, depth: int = 18) -> tuple[Path, dict[str, Any]]:
    path = make_backbone(depth=depth)
    report = mmdet_files.export(path, out, neck)
    return path, config(read_info(path), neck, checkpoint=str(out / report.files["weights"]))


@pytest.mark.parametrize(
    ("neck", "change", "told"),
    [
        ("fpn", {"backbone": {"init_cfg": None}}, "hold other values than the file"),
        ("fpn", {"backbone": {"init_cfg": {"prefix": "encoder."}}}, "cannot build or initialise"),
        ("fpn", {"backbone": {"pretrained": "torchvision://resnet18"}}, "cannot build or initialise.*init_cfg"),
        ("c4", {"roi_head": {"shared_head": {"init_cfg": None}}}, "layer4.*hold other values|never set"),
        ("fpn", {"backbone": {"type": "ResNetV1d"}}, "not a plain ResNet|no counterpart|no ResNet"),
    ],
)
def test_a_configuration_that_brings_something_else_is_refused(
    neck: str, change: dict[str, Any], told: str, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    path, model = _exported(make_backbone, tmp_path / "out", neck)
    assert to_mmdet.check_pretrained(copy.deepcopy(model), path).tensors
    with pytest.raises(TransferError, match=told):
        to_mmdet.check_pretrained(_merged(model, change), path)


def _merged(tree: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(tree, dict):
        return change
    return tree | {key: _merged(tree.get(key), value) for key, value in change.items()}


@pytest.mark.parametrize(("depth", "neck"), [(18, "fpn"), (18, "c4")])
def test_export_and_the_way_back(
    depth: int, neck: str, make_backbone: MakeBackbone, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make_backbone(depth=depth)
    report = mmdet_files.export(path, tmp_path / "out", neck)
    folder = tmp_path / "out"
    assert sorted(file.name for file in folder.iterdir()) == sorted(report.files.values())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    weights = torch.load(folder / report.files["weights"], weights_only=True)["state_dict"]
    assert all(name.startswith("backbone.") for name in weights)
    assert json.loads((folder / report.files["report"]).read_text())["tensors"] == report.tensors
    text = (folder / report.files["config"]).read_text()
    assert ("transfer.mmdet_extra_norm" in text) == (neck == "c4")
    assert (mmdet_standin.NOTE in report.notes) == (WITHOUT is not None)
    folder.rename(tmp_path / "moved")
    assert prove_export(tmp_path / "moved", path).tensors == report.tensors
    info, tensors = read_anything(tmp_path / "moved")
    source_info, source = load_backbone(path)
    assert info.architecture == source_info.architecture
    assert all(torch.equal(tensors[name], source[name]) for name in source)
    assert compare(path, tmp_path / "moved").same
    assert not compare(make_backbone(depth=depth, seed=1), tmp_path / "moved").same
    assert capfd.readouterr() == ("", "")


def test_the_commands(make_backbone: MakeBackbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def call(*words: object) -> int:
        parser = argparse.ArgumentParser()
        add_commands(parser.add_subparsers(required=True))
        args = parser.parse_args([str(word) for word in words])
        return int(args.run(args))

    assert call("export", make_backbone(), "--to", "mmdet", "--neck", "c4", "--out", tmp_path / "out") == 0
    told = capsys.readouterr().out
    assert "total        120                  0" in told
    assert (mmdet_standin.NOTE in told) == (WITHOUT is not None)
    assert call("verify", make_backbone(), tmp_path / "out") == 0
    assert call("verify", make_backbone(seed=1), tmp_path / "out") == 1


def test_operators_of_other_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a change of torch: the file is there and cannot be loaded."""
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv/__init__.py").write_text("")
    (tmp_path / "mmcv/_ext.py").write_text("raise ImportError('undefined symbol: _ZN3c10')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name == "mmcv" or name.startswith("mmcv.")]:
        monkeypatch.delitem(sys.modules, name)
    told = "needs MMDetection .*are built for other packages: undefined symbol: _ZN3c10.; run 'make mmcv-ops' once"
    try:
        with pytest.raises(UserError, match=told):
            require_mmdet("protocol 'p'")
    finally:
        sys.modules.pop("mmcv")


def test_a_head_of_another_network_is_found_on_the_way_back(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    mmdet_files.export(make_backbone(depth=50), tmp_path / "out", "c4")
    file = tmp_path / "out/mmdet_rcnn.py"
    before, head = file.read_text().split("'shared_head'")
    file.write_text(f"{before}'shared_head'{head.replace('pytorch', 'caffe', 1)}")
    with pytest.raises(TransferError, match="are of two networks"):
        read_anything(tmp_path / "out")


def test_export_into_a_full_place_leaves_nothing(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        mmdet_files.export(make_backbone(), tmp_path / "file")
    with pytest.raises(UserError, match="neck"):
        mmdet_files.export(make_backbone(), tmp_path / "out", neck="pan")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@needs_no_mmdet
def test_what_is_missing_names_the_make_target() -> None:
    with pytest.raises(UserError, match="^protocol 'p': needs MMDetection .*run 'make mmcv-ops' once$"):
        require_mmdet("protocol 'p'")
    with pytest.raises(UserError, match="^PSANet: needs mmcv's compiled operators .*run 'make mmcv-ops' once$"):
        require_mmcv_ops("PSANet")


@needs_mmdet
@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_the_exported_configuration_is_stock_mmdets(neck: str, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    """As a base beside the toolbox's own data set, built and initialised as its runner does, on to a prediction."""
    quiet_mmdet()
    import mmdet
    from mmdet.apis import inference_detector
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    path = make_backbone()
    mmdet_files.export(path, tmp_path / "out", neck)
    data = Path(mmdet.__file__).parent / ".mim/configs/_base_/datasets/coco_instance.py"
    mine = tmp_path / "mine.py"
    mine.write_text(f"_base_ = ['{data}', './out/mmdet_rcnn.py']\n")
    config = Config.fromfile(str(mine))
    assert to_mmdet.check_pretrained(copy.deepcopy(config.model), path).notes == []
    model = to_mmdet.build_detector(config.model).eval()
    model.cfg = config
    with DefaultScope.overwrite_default_scope("mmdet"):
        found = inference_detector(model, np.zeros((64, 96, 3), np.uint8)).pred_instances
    assert found.bboxes.shape[1] == 4
    assert found.masks.shape[1:] == (64, 96)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width", "neck"), [(50, 64, "fpn"), (101, 64, "c4"), (50, 128, "fpn")])
def test_full_size_networks_are_exported_bit_equal(
    depth: int, width: int, neck: str, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    report = mmdet_files.export(make_backbone(depth=depth, stem_width=width), tmp_path / "out", neck)
    assert sum(report.tensors.values()) == {50: 318, 101: 624}[depth]
