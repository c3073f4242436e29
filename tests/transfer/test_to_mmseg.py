from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, load_backbone, read_info
from transfer.exporters.mmseg import build as to_mmseg
from transfer.exporters.mmseg import files as mmseg_files
from transfer.exporters.mmseg.files import export_config, prove_export
from transfer.exporters.silenced_logs import quiet_mmseg
from transfer.networks.resnet import Architecture

quiet_mmseg()


def build(info: BackboneInfo, output_stride: int = 8, norm: str = "BN", **backbone: Any) -> Any:
    """An FCN for these weights, not yet loaded."""
    from mmengine.config import ConfigDict
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    config = export_config(info, "", output_stride)
    config["decode_head"]["channels"] = config["auxiliary_head"]["channels"] = 8
    config["backbone"] = to_mmseg.backbone_config(info, output_stride, norm) | backbone
    return MODELS.build(ConfigDict(config))


def test_backbone_config_is_a_plain_resnet_of_these_weights() -> None:
    config = to_mmseg.backbone_config(BackboneInfo(Architecture(depth=50, stem_width=128)))
    assert config["type"] == "ResNet"
    assert config["pretrained"] is None
    assert config["init_cfg"] is None
    assert (config["depth"], config["stem_channels"], config["base_channels"]) == (50, 128, 128)
    assert config["style"] == "pytorch"
    assert (config["strides"], config["dilations"], config["contract_dilation"]) == ((1, 2, 1, 1), (1, 1, 2, 4), True)
    caffe = to_mmseg.backbone_config(BackboneInfo(Architecture(stride_in="1x1")), 32, "SyncBN", checkpoint="w.pth")
    assert caffe["style"] == "caffe"
    assert caffe["norm_cfg"]["type"] == "SyncBN"
    assert caffe["init_cfg"] == {"type": "Pretrained", "checkpoint": "w.pth", "prefix": "backbone."}
    with pytest.raises(UserError, match="norm: unknown value 'BM' .did you mean 'BN'"):
        to_mmseg.backbone_config(BackboneInfo(Architecture()), norm="BM")
    with pytest.raises(UserError, match="output_stride: unknown value '12'"):
        to_mmseg.backbone_config(BackboneInfo(Architecture()), output_stride=12)


def test_preprocessor_config_is_on_the_255_scale_and_swaps_for_rgb_weights() -> None:
    config = to_mmseg.preprocessor_config(BackboneInfo(Architecture()), size=(64, 96))
    np.testing.assert_allclose(config["mean"], [123.675, 116.28, 103.53])
    np.testing.assert_allclose(config["std"], [58.395, 57.12, 57.375])
    assert config["bgr_to_rgb"] is True
    assert config["size"] == (64, 96)
    caffe = to_mmseg.preprocessor_config(BackboneInfo(Architecture(), CAFFE))
    assert caffe["bgr_to_rgb"] is False
    np.testing.assert_allclose(caffe["mean"], [103.53, 116.28, 123.675])
    assert "size" not in caffe


@pytest.mark.parametrize(
    ("backbone", "output_stride"),
    [
        ({"depth": 18, "stem_width": 16}, 8),
        ({"depth": 18, "stem_width": 16}, 16),
        ({"depth": 18, "stem_width": 16}, 32),
        ({"depth": 34, "stem_width": 8}, 8),
        ({"depth": 50, "stem_width": 16}, 8),
        ({"depth": 50, "stem_width": 16}, 16),
        ({"depth": 50, "stem_width": 16}, 32),
        ({"depth": 50, "stem_width": 16, "stride_in": "1x1", "preprocessing": CAFFE}, 8),
        ({"depth": 50, "stem_width": 16, "preprocessing": SIMCLR}, 32),
    ],
)
def test_load_and_prove(backbone: dict[str, Any], output_stride: int, make_backbone: MakeBackbone) -> None:
    path = make_backbone(**backbone)
    info, tensors = load_backbone(path)
    model = build(info, output_stride).train()
    report = to_mmseg.load_and_prove(model, path)
    assert sum(report.tensors.values()) == len(tensors) == {18: 120, 34: 216, 50: 318}[backbone["depth"]]
    assert report.counters_without_place == 0
    assert max(report.max_abs_difference.values()) <= 1e-5
    assert model.backbone.training
    state = model.backbone.state_dict()
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[name], tensors[name]) for name in tensors)
    # The backbone that decode heads see has the promised resolution.
    with torch.no_grad():
        assert model.backbone(torch.zeros(2, 3, 64, 64))[3].shape[-1] == 64 // output_stride


def test_the_runners_init_weights_leaves_the_loaded_backbone_alone(make_backbone: MakeBackbone) -> None:
    model = build(read_info(make_backbone()))
    to_mmseg.load_and_prove(model, make_backbone())
    loaded = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    head = model.decode_head.conv_seg.weight.clone()
    model.init_weights()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in model.backbone.state_dict().items())
    assert not torch.equal(model.decode_head.conv_seg.weight, head)  # it did draw something


def test_a_padding_preprocessor_is_kept(make_backbone: MakeBackbone) -> None:
    model = build(read_info(make_backbone()))
    model.data_preprocessor.test_cfg = {"size": (128, 128)}
    to_mmseg.load_and_prove(model, make_backbone())
    assert model.data_preprocessor.test_cfg == {"size": (128, 128)}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "ResNetV1c"}, "18 tensors of the target have no counterpart in the file: stem.0.weight"),
        ({"style": "caffe"}, "features differ at layer2"),
        ({"contract_dilation": False}, "features differ at layer3"),
        ({"dilations": (1, 1, 1, 1)}, "are not output stride"),
        ({"depth": 101}, "306 tensors of the target have no counterpart in the file"),
        ({"base_channels": 8}, "of another shape"),
        ({"norm_cfg": {"type": "GN", "num_groups": 4}}, "no counterpart in the file: gn1.bias"),
    ],
)
def test_another_network_is_refused(change: dict[str, Any], told: str, make_backbone: MakeBackbone) -> None:
    path = make_backbone(depth=50)
    with pytest.raises(TransferError, match=told):
        to_mmseg.load_and_prove(build(read_info(path), **change), path)


def test_a_model_without_a_resnet_is_refused(make_backbone: MakeBackbone) -> None:
    with pytest.raises(TransferError, match="Linear has no four-stage ResNet"):
        to_mmseg.load_and_prove(torch.nn.Linear(1, 1), make_backbone())


@pytest.mark.parametrize(("depth", "output_stride"), [(18, 8), (50, 16)])
def test_export_writes_what_stock_mmseg_loads(
    depth: int, output_stride: int, make_backbone: MakeBackbone, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make_backbone(depth=depth)
    report = mmseg_files.export(path, tmp_path / "out", output_stride)
    folder = tmp_path / "out"
    assert sorted(file.name for file in folder.iterdir()) == sorted(report.files.values())
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    weights = torch.load(folder / report.files["weights"], weights_only=True)["state_dict"]
    assert all(name.startswith("backbone.") for name in weights)
    assert json.loads((folder / report.files["report"]).read_text())["tensors"] == report.tensors
    folder.rename(tmp_path / "moved")
    assert prove_export(tmp_path / "moved", path).tensors == report.tensors
    assert capfd.readouterr() == ("", "")


def test_export_into_a_full_place_leaves_nothing(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        mmseg_files.export(make_backbone(), tmp_path / "file")
    with pytest.raises(UserError, match="output_stride"):
        mmseg_files.export(make_backbone(), tmp_path / "out", output_stride=4)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), [(50, 64), (101, 64), (50, 128)])
def test_full_size_networks_are_exported_bit_equal(
    depth: int, width: int, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    report = mmseg_files.export(make_backbone(depth=depth, stem_width=width), tmp_path / "out")
    assert sum(report.tensors.values()) == {50: 318, 101: 624}[depth]
