from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, load_backbone, read_info
from transfer.exporters.detectron2 import build as to_detectron2
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.detectron2.files import export_config, prove_export
from transfer.exporters.silenced_logs import quiet_detectron2
from transfer.networks.detectron2_names import detectron2_name, torchvision_name
from transfer.networks.resnet import Architecture, build_resnet

quiet_detectron2()

# Backbone tensors without the classifier: with trainable norms, and the norms (frozen ones keep no counter).
COUNTS = {18: (120, 20), 34: (216, 36), 50: (318, 53), 101: (624, 104)}


def lean_cfg(info: BackboneInfo, neck: str = "fpn", norm: str = "BN", **changes: Any) -> Any:
    """A Mask R-CNN for these weights with heads as small as they get."""
    from detectron2.config import get_cfg

    cfg = get_cfg()
    config = export_config(info, neck) | {
        "MODEL.DEVICE": "cpu",
        "MODEL.FPN.OUT_CHANNELS": 16,
        "MODEL.FPN.NORM": "",
        "MODEL.ROI_BOX_HEAD.FC_DIM": 16,
        "MODEL.ROI_MASK_HEAD.CONV_DIM": 8,
    }
    cfg.merge_from_list([part for pair in config.items() for part in pair])
    to_detectron2.configure(cfg, info, norm=norm)
    cfg.merge_from_list([part for key, value in changes.items() for part in (key.replace("__", "."), value)])
    return cfg


def build(cfg: Any) -> Any:
    from detectron2.modeling import build_model

    return build_model(cfg)


@pytest.mark.parametrize("depth", sorted(COUNTS))
def test_names_map_onto_detectron2s_own_and_back(depth: int) -> None:
    from detectron2.modeling.backbone.resnet import BasicStem, ResNet

    with torch.device("meta"):
        ours = build_resnet(Architecture(depth=depth)).state_dict()
        stages = ResNet.make_default_stages(depth, norm="BN")
        theirs = ResNet(BasicStem(norm="BN"), stages, out_features=["res5"]).state_dict()
    mapped = {detectron2_name(name): tuple(tensor.shape) for name, tensor in ours.items()}
    assert len(ours) == COUNTS[depth][0]
    assert mapped == {name: tuple(tensor.shape) for name, tensor in theirs.items()}
    assert [torchvision_name(detectron2_name(name)) for name in ours] == list(ours)


@pytest.mark.parametrize(
    "name", ["fc.weight", "conv2.weight", "module.conv1.weight", "layer5.0.conv1.weight", "layer1.conv1.weight", "bn1"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(TransferError, match=r"is not a tensor of a torchvision ResNet"):
        detectron2_name(name)


@pytest.mark.parametrize("name", ["stem.conv2.weight", "res2.0.conv2_offset.weight", "res6.0.conv1.weight", "bias"])
def test_their_other_names_are_refused(name: str) -> None:
    with pytest.raises(TransferError, match="no counterpart"):
        torchvision_name(name)


def test_configure_sets_every_weight_dependent_key_over_the_defaults() -> None:
    from detectron2.config import get_cfg

    cfg = get_cfg()
    cfg.MODEL.WEIGHTS = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
    cfg.MODEL.BACKBONE.NAME = "build_resnet_fpn_backbone"
    to_detectron2.configure(cfg, BackboneInfo(Architecture(depth=50)))
    assert cfg.INPUT.FORMAT == "RGB"
    np.testing.assert_allclose(cfg.MODEL.PIXEL_MEAN, [123.675, 116.28, 103.53])
    np.testing.assert_allclose(cfg.MODEL.PIXEL_STD, [58.395, 57.12, 57.375])
    assert cfg.MODEL.RESNETS.STRIDE_IN_1X1 is False
    assert cfg.MODEL.BACKBONE.FREEZE_AT == 0
    assert cfg.MODEL.RESNETS.NORM == "BN"
    assert cfg.MODEL.WEIGHTS == ""
    assert cfg.MODEL.BACKBONE.NAME == "build_resnet_fpn_backbone"
    assert cfg.MODEL.RESNETS.OUT_FEATURES == ["res2", "res3", "res4", "res5"]

    to_detectron2.configure(cfg, BackboneInfo(Architecture(depth=50, stride_in="1x1"), CAFFE), norm="FrozenBN")
    assert cfg.INPUT.FORMAT == "BGR"
    np.testing.assert_allclose(cfg.MODEL.PIXEL_MEAN, [103.53, 116.28, 123.675])
    assert cfg.MODEL.PIXEL_STD == [1.0, 1.0, 1.0]
    assert cfg.MODEL.RESNETS.STRIDE_IN_1X1 is True
    assert cfg.MODEL.RESNETS.NORM == "FrozenBN"

    to_detectron2.configure(cfg, BackboneInfo(Architecture(depth=18, stem_width=16)))
    assert cfg.MODEL.BACKBONE.NAME == "build_narrow_resnet_fpn_backbone"
    to_detectron2.configure(cfg, BackboneInfo(Architecture(depth=50, stem_width=128)), neck="c4")
    assert cfg.MODEL.BACKBONE.NAME == "build_resnet_backbone"
    assert (cfg.MODEL.RESNETS.RES2_OUT_CHANNELS, cfg.MODEL.RESNETS.WIDTH_PER_GROUP) == (512, 128)
    assert cfg.MODEL.RESNETS.OUT_FEATURES == ["res4"]


def test_what_detectron2_cannot_build_is_refused() -> None:
    with pytest.raises(TransferError, match="no C4 head for a resnet18"):
        to_detectron2.weight_dependent_keys(BackboneInfo(Architecture(depth=18)), neck="c4")
    with pytest.raises(UserError, match="norm: unknown value 'BNN'"):
        to_detectron2.weight_dependent_keys(BackboneInfo(Architecture()), norm="BNN")


@pytest.mark.parametrize(
    ("backbone", "neck", "norm"),
    [
        ({"depth": 18, "stem_width": 16}, "fpn", "BN"),
        ({"depth": 34, "stem_width": 8}, "fpn", "FrozenBN"),
        ({"depth": 18, "stem_width": 64}, "fpn", "BN"),
        ({"depth": 50, "stem_width": 16}, "fpn", "BN"),
        ({"depth": 50, "stem_width": 16}, "c4", "BN"),
        ({"depth": 50, "stem_width": 16}, "c4", "FrozenBN"),
        ({"depth": 50, "stem_width": 16, "stride_in": "1x1", "preprocessing": CAFFE}, "fpn", "naiveSyncBN"),
        ({"depth": 50, "stem_width": 16, "preprocessing": SIMCLR}, "fpn", "SyncBN"),
    ],
)
def test_load_and_prove(backbone: dict[str, Any], neck: str, norm: str, make_backbone: MakeBackbone) -> None:
    path = make_backbone(**backbone)
    info, tensors = load_backbone(path)
    cfg = lean_cfg(info, neck, norm)
    model = build(cfg).train()
    report = to_detectron2.load_and_prove(model, path, cfg)

    total, norms = COUNTS[backbone["depth"]]
    without_place = norms if norm == "FrozenBN" else 0
    assert sum(report.tensors.values()) == total - without_place
    assert report.counters_without_place == without_place
    assert max(report.max_abs_difference.values()) <= 1e-5
    assert model.training
    assert model.backbone.training

    # The way back: the model's own tensors, renamed, are the file's.
    state = model.state_dict()
    for theirs, ours in to_detectron2.backbone_names(model).items():
        assert torch.equal(state[theirs], tensors[ours]), theirs


def test_frozen_stages_are_proven_too(make_backbone: MakeBackbone) -> None:
    path = make_backbone()
    cfg = lean_cfg(read_info(path), MODEL__BACKBONE__FREEZE_AT=2)
    model = build(cfg)
    report = to_detectron2.load_and_prove(model, path, cfg)
    assert sum(report.tensors.values()) == 120
    frozen = {name.split(".")[2] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"stem", "res2"}


def test_the_extra_norm_of_a_c4_head_is_not_taken_for_backbone(make_backbone: MakeBackbone) -> None:
    to_detectron2.register_extra_norm()
    path = make_backbone(depth=50)
    cfg = lean_cfg(read_info(path), "c4", MODEL__ROI_HEADS__NAME="Res5ROIHeadsExtraNorm")
    model = build(cfg)
    report = to_detectron2.load_and_prove(model, path, cfg)
    assert sum(report.tensors.values()) == 318
    assert torch.equal(model.roi_heads.res5.norm.weight, torch.ones(model.roi_heads.res5.norm.num_features))


def test_the_narrow_builder_at_width_64_equals_the_stock_builder(make_backbone: MakeBackbone) -> None:
    path = make_backbone(depth=18, stem_width=64)
    to_detectron2.register_narrow_builders()
    features = []
    for name in ("build_resnet_fpn_backbone", "build_narrow_resnet_fpn_backbone"):
        cfg = lean_cfg(read_info(path), MODEL__BACKBONE__NAME=name)
        torch.manual_seed(0)
        model = build(cfg).eval()
        to_detectron2.load_and_prove(model, path, cfg)
        with torch.no_grad():
            features.append(model.backbone(torch.ones(1, 3, 64, 64)))
    assert features[0].keys() == features[1].keys()
    assert {name: f.shape for name, f in features[0].items()} == {name: f.shape for name, f in features[1].items()}


def test_a_model_of_another_configuration_is_refused_untouched(make_backbone: MakeBackbone) -> None:
    path = make_backbone(depth=50)
    cfg = lean_cfg(read_info(make_backbone(depth=101)))
    model = build(cfg)
    with pytest.raises(TransferError, match=r"306 tensors of the target have no counterpart in the file: layer3\.10"):
        to_detectron2.load_and_prove(model, path, cfg)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


@pytest.mark.parametrize(
    "change",
    [
        {"INPUT__FORMAT": "BGR"},
        {"MODEL__PIXEL_STD": [1.0, 1.0, 1.0]},
        {"MODEL__RESNETS__STRIDE_IN_1X1": True},
    ],
)
def test_a_key_that_disagrees_with_the_weights_is_refused(change: dict[str, Any], make_backbone: MakeBackbone) -> None:
    path = make_backbone(depth=50)
    cfg = lean_cfg(read_info(path), **change)
    with pytest.raises(TransferError, match="features"):
        to_detectron2.load_and_prove(build(cfg), path, cfg)


def test_a_model_without_a_resnet_is_refused(make_backbone: MakeBackbone) -> None:
    with pytest.raises(TransferError, match="Linear has no ResNet"):
        to_detectron2.load_and_prove(torch.nn.Linear(1, 1), make_backbone(), lean_cfg(read_info(make_backbone())))


@pytest.mark.parametrize(("depth", "neck"), [(18, "fpn"), (50, "c4"), (50, "c4_extra_norm")])
def test_export_writes_what_stock_detectron2_loads_by_exact_names(
    depth: int, neck: str, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    path = make_backbone(depth=depth)
    report = detectron2_files.export(path, tmp_path / "out", neck=neck)
    folder = tmp_path / "out"
    assert sorted(file.name for file in folder.iterdir()) == sorted(report.files.values())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]

    content = pickle.loads((folder / report.files["weights"]).read_bytes())  # noqa: S301 - written just now
    assert content["__author__"] == "scenebench"
    assert "matching_heuristics" not in content
    assert len(content["model"]) == COUNTS[depth][0]
    assert all(isinstance(array, np.ndarray) for array in content["model"].values())
    config = yaml.safe_load((folder / report.files["config"]).read_text())
    assert config["MODEL"]["WEIGHTS"] == report.files["weights"]
    assert config["INPUT"]["FORMAT"] == "RGB"
    side_car = json.loads((folder / report.files["report"]).read_text())
    assert side_car["source_sha256"] == report.source_sha256
    assert side_car["backbone"]["branch"] == "query"
    assert any("import transfer.detectron2_narrow_resnet" in note for note in side_car["notes"]) == (depth == 18)
    extra = neck == "c4_extra_norm"
    assert (config["MODEL"]["ROI_HEADS"]["NAME"] == "Res5ROIHeadsExtraNorm") == extra
    assert any("import transfer.detectron2_extra_norm" in note for note in side_car["notes"]) == extra

    folder.rename(tmp_path / "moved")
    assert prove_export(tmp_path / "moved", path).tensors == report.tensors


def test_a_failed_export_leaves_nothing(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="C4"):
        detectron2_files.export(make_backbone(depth=18), tmp_path / "out", neck="c4")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        detectron2_files.export(make_backbone(depth=18), tmp_path / "file")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), [(50, 64), (101, 64), (50, 128)])
def test_full_size_networks_are_exported_bit_equal(
    depth: int, width: int, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    report = detectron2_files.export(make_backbone(depth=depth, stem_width=width), tmp_path / "out")
    assert sum(report.tensors.values()) == COUNTS[depth][0]
