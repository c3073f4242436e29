from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from transfer_helpers import CAFFE, MakeBackbone

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import (
    BackboneInfo,
    Preprocessing,
    load_backbone,
    load_network,
    read_info,
    save_backbone,
)
from transfer.networks.resnet import Architecture, build_resnet

SMALL = Architecture(depth=18, stem_width=8)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return build_resnet(SMALL).state_dict()


def test_round_trip_is_bit_equal_with_all_metadata(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    info = BackboneInfo(
        SMALL,
        CAFFE,
        method="mls",
        branch="query",
        dataset="scenes",
        dataset_fingerprint="0123456789abcdef",
        epochs=7,
        images_seen=7000,
        seed=3,
        recipe_name="mls_demo",
        recipe={"optimiser": {"lr": 0.1}, "views": [1, 2]},
        source_file="a.pth",
        source_sha256="ff",
    )
    save_backbone(tmp_path / "b.safetensors", tensors, info)
    read, loaded = load_backbone(tmp_path / "b.safetensors")
    assert read == info == read_info(tmp_path / "b.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["b.safetensors"]


def test_equal_content_gives_equal_bytes(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_backbone(tmp_path / name, tensors, BackboneInfo(SMALL))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_load_network_is_in_eval_mode_and_holds_the_file(make_backbone: MakeBackbone) -> None:
    info, network = load_network(make_backbone())
    assert not network.training
    assert network.architecture == info.architecture
    _, tensors = load_backbone(make_backbone())
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())


def test_half_precision_is_stored_as_float32(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_backbone(tmp_path / "b", half, BackboneInfo(SMALL))
    _, loaded = load_backbone(tmp_path / "b")
    assert loaded["conv1.weight"].dtype == torch.float32
    assert loaded["bn1.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(loaded["conv1.weight"], half["conv1.weight"].float())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("layer2.0.bn1.running_var"), "1 missing: layer2.0.bn1.running_var"),
        (lambda t: t.update({"fc.weight": torch.zeros(3, 3)}), "1 unexpected: fc.weight"),
        (lambda t: t.update({"conv1.weight": torch.zeros(16, 3, 7, 7)}), "of another shape: conv1.weight"),
        (lambda t: t.update({"bn1.bias": torch.zeros(8, dtype=torch.int64)}), "another kind of number: bn1.bias"),
        (lambda t: t["layer1.0.conv1.weight"].view(-1)[5].fill_(float("nan")), "'layer1.0.conv1.weight'.*not finite"),
        (lambda t: t["bn1.running_var"][0].fill_(float("inf")), "'bn1.running_var'.*not finite"),
    ],
)
def test_wrong_tensors_are_refused_and_nothing_is_written(
    change: object, told: str, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    with torch.no_grad():
        change(tensors)  # type: ignore[operator]
    with pytest.raises(TransferError, match=told):
        save_backbone(tmp_path / "b.safetensors", tensors, BackboneInfo(SMALL))
    assert list(tmp_path.iterdir()) == []


def test_another_architecture_than_claimed_is_refused(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_backbone(tmp_path / "b", tensors, BackboneInfo(SMALL))
    metadata = _metadata(tmp_path / "b")
    metadata["architecture"]["depth"] = 34
    safetensors.torch.save_file(tensors, tmp_path / "c", metadata={"scenebench": json.dumps(metadata)})
    with pytest.raises(TransferError, match="not the .* tensors of a resnet34w8: .* missing: layer1.2"):
        load_backbone(tmp_path / "c")


@pytest.mark.parametrize("keep", [0, 4, 200, -1])
def test_a_truncated_file_is_refused(keep: int, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    (tmp_path / "b.safetensors").write_bytes(make_backbone().read_bytes()[:keep])
    for read in (read_info, load_backbone):
        with pytest.raises(UserError, match=r"b\.safetensors: not a readable safetensors file"):
            read(tmp_path / "b.safetensors")


def test_files_that_are_not_ours_are_refused(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    safetensors.torch.save_file(tensors, tmp_path / "plain.safetensors")
    with pytest.raises(UserError, match="not a backbone file of scenebench; use 'scenebench import'"):
        load_backbone(tmp_path / "plain.safetensors")
    torch.save(tensors, tmp_path / "torch.pth")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_backbone(tmp_path / "torch.pth")
    with pytest.raises(UserError, match="no such backbone file"):
        load_backbone(tmp_path / "missing.safetensors")
    with pytest.raises(UserError, match="no such backbone file"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.update(format_version=99), "format 99, this version reads format 1"),
        (lambda m: m.pop("preprocessing"), "lacks or mistypes a field"),
        (lambda m: m["preprocessing"].update(mean=[0.5]), "lacks or mistypes a field"),
        (lambda m: m["preprocessing"].update(channel_order="GBR"), "channel_order: unknown value 'GBR'"),
        (lambda m: m["preprocessing"].update(std=[0.2, 0.0, 0.2]), "std and value range positive"),
        (lambda m: m["architecture"].update(depth=19), "19"),
        (lambda m: m["architecture"].update(dept=18), "unknown key 'dept'"),
        (lambda m: m.update(surprise=1), "lacks or mistypes a field"),
    ],
)
def test_damaged_metadata_is_refused(
    change: object, told: str, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    save_backbone(tmp_path / "b", tensors, BackboneInfo(SMALL))
    metadata = _metadata(tmp_path / "b")
    change(metadata)  # type: ignore[operator]
    safetensors.torch.save_file(tensors, tmp_path / "b", metadata={"scenebench": json.dumps(metadata)})
    with pytest.raises(UserError, match=told):
        read_info(tmp_path / "b")


def test_normalise_is_the_documented_formula() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), dtype=np.uint8)
    for preprocessing in (Preprocessing(), CAFFE):
        pixels = images[:, ::-1] if preprocessing.channel_order == "BGR" else images
        mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
        expected = (pixels.astype(np.float64) * preprocessing.value_range / 255 - mean) / std
        found = preprocessing.normalise(torch.from_numpy(images))
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_scale_255_of_the_default_is_the_familiar_one() -> None:
    mean, std = Preprocessing().on_255_scale()
    np.testing.assert_allclose(mean, [123.675, 116.28, 103.53])
    np.testing.assert_allclose(std, [58.395, 57.12, 57.375])


def test_metadata_is_plain_json_that_a_person_can_read(make_backbone: MakeBackbone) -> None:
    metadata = _metadata(make_backbone())
    assert metadata == json.loads(json.dumps(dataclasses.asdict(read_info(make_backbone()))))


def _metadata(path: Path) -> dict:
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["scenebench"])
