"""timm: what stock timm loads from an exported folder is the backbone file, and back again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.data import resolve_model_data_config
from timm.models import load_checkpoint
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import BackboneInfo, Preprocessing, load_backbone, save_backbone
from transfer.exporters import timm as to_timm
from transfer.exporters.read_back import read_anything
from transfer.networks.resnet import Architecture
from transfer.networks.vit import VisionTransformer
from transfer.networks.vit_architecture import VitArchitecture
from transfer.proof import same_bits
from transfer.verify import compare

TINY = VitArchitecture(width=192, depth=12, heads=3, patch=16, image_size=96)
ON_255 = Preprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), value_range=255.0)


@pytest.fixture(scope="module")
def vit_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = VisionTransformer(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    path = tmp_path_factory.mktemp("vit") / "vit.safetensors"
    save_backbone(path, network.state_dict(), BackboneInfo(TINY, method="moco_v3"))
    return path


def test_a_resnet_arrives_through_every_stock_entry_and_comes_back_bit_equal(
    make_backbone: MakeBackbone, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, folder = make_backbone(18, 64, preprocessing=ON_255), tmp_path / "out"
    report = to_timm.export(path, folder)
    assert sum(report.tensors.values()) == 120
    assert all(gap <= 1e-5 * report.max_abs_feature[stage] for stage, gap in report.max_abs_difference.items())
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors", "timm_report.json"]
    assert capfd.readouterr() == ("", "")
    folder.rename(tmp_path / "moved")
    folder = tmp_path / "moved"
    by_folder = timm.create_model(f"local-dir:{folder}", pretrained=True)
    by_path = timm.create_model("resnet18", num_classes=0, checkpoint_path=folder / "model.safetensors")
    by_hand = timm.create_model("resnet18", num_classes=0)
    load_checkpoint(by_hand, str(folder / "model.safetensors"))
    with_head = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=5)
    _, tensors = load_backbone(path)
    for model in (by_folder, by_path, by_hand, with_head):
        state = model.state_dict()
        assert all(same_bits(state[name], tensor) for name, tensor in tensors.items())
    stated = resolve_model_data_config(by_folder)
    assert stated["mean"] == pytest.approx((0.485, 0.456, 0.406))
    assert stated["std"] == pytest.approx((0.229, 0.224, 0.225))
    assert tuple(stated["input_size"]) == (3, 224, 224)
    info, back = read_anything(folder)
    assert info.architecture == Architecture(depth=18)
    assert back.keys() == tensors.keys()
    assert all(same_bits(back[name], tensor) for name, tensor in tensors.items())
    assert compare(path, folder).same
    assert not compare(make_backbone(18, 64, seed=1), folder).same


def test_a_vision_transformer_of_another_image_size_arrives(vit_file: Path, tmp_path: Path) -> None:
    report = to_timm.export(vit_file, tmp_path / "out")
    assert list(report.tensors) == list(TINY.stages)
    assert sum(report.tensors.values()) == len(load_backbone(vit_file)[1])
    assert "embedding" in report.table()
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architecture"] == "vit_tiny_patch16_224"
    assert config["model_args"]["img_size"] == 96
    assert compare(vit_file, tmp_path / "out").same


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (lambda config, tensors: config["pretrained_cfg"].update(mean=[0.5, 0.5, 0.5]), "features differ at stem"),
        (lambda config, tensors: config["pretrained_cfg"].update(std=[1.0, 1.0, 1.0]), "features differ at stem"),
        (lambda config, tensors: config.update(architecture="resnet34"), "timm cannot load it"),
        (lambda config, tensors: config.update(architecture="resnet18d"), "timm cannot load it"),
        (lambda config, tensors: tensors.pop("conv1.weight"), "timm cannot load it"),
        (lambda config, tensors: tensors["layer2.0.conv1.weight"].mul_(1.001), "hold other values"),
        (
            lambda config, tensors: [tensors.update({"module.x." + n: tensors.pop(n)}) for n in list(tensors)],
            "timm cannot load it",
        ),
    ],
)
def test_every_mistake_in_the_folder_is_refused(
    mistake: object, told: str, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    path, folder = make_backbone(18, 64), tmp_path / "out"
    to_timm.export(path, folder)
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    mistake(config, tensors)  # type: ignore[operator]
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(TransferError, match=told):
        to_timm.prove_export(folder, path)


def test_what_timm_lacks_is_refused_and_nothing_is_left(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    for unfit, told in (
        (make_backbone(18, 16), "timm has no resnet18w16"),
        (make_backbone(50, 16, stride_in="1x1"), "stride in the 1x1"),
        (make_backbone(18, 64, preprocessing=CAFFE), "take BGR images"),
    ):
        with pytest.raises(TransferError, match=told):
            to_timm.export(unfit, tmp_path / "out")
    odd = dataclasses.replace(TINY, width=96)
    with pytest.raises(TransferError, match="timm has no vit_w96d12h3_patch16_96"):
        to_timm.timm_name(odd)
    assert list(tmp_path.iterdir()) == []


def test_names_of_every_architecture_that_timm_has() -> None:
    for depth in (18, 34, 50, 101, 152):
        assert to_timm.timm_name(Architecture(depth=depth)) == f"resnet{depth}"
    assert to_timm.timm_name(VitArchitecture()) == "vit_small_patch16_224"
    assert to_timm.timm_name(VitArchitecture(width=768, heads=12, patch=32)) == "vit_base_patch32_224"
    config = to_timm.hub_config(BackboneInfo(Architecture(), SIMCLR))
    assert (config["pretrained_cfg"]["mean"], config["pretrained_cfg"]["std"]) == ([0.0] * 3, [1.0] * 3)


def test_a_damaged_folder_is_refused(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    to_timm.export(make_backbone(18, 64), tmp_path)
    good = (tmp_path / "config.json").read_text()
    for bad in ("{", "{}", good.replace("resnet18", "resnet19"), good.replace('"mean"', '"maen"')):
        (tmp_path / "config.json").write_text(bad)
        with pytest.raises(UserError):
            read_anything(tmp_path)
