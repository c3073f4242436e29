from __future__ import annotations

import pytest
import torch
import torchvision

from scenebench.errors import UserError
from transfer.networks.resnet import (
    BLOCKS_BY_DEPTH,
    STAGES,
    Architecture,
    build_resnet,
)


@pytest.mark.parametrize("depth", sorted(BLOCKS_BY_DEPTH))
def test_width_64_has_torchvisions_tensors_without_the_classifier(depth: int) -> None:
    with torch.device("meta"):
        ours = build_resnet(Architecture(depth=depth)).state_dict()
        theirs = torchvision.models.get_model(f"resnet{depth}", weights=None).state_dict()
    expected = {name: tensor.shape for name, tensor in theirs.items() if not name.startswith("fc.")}
    assert {name: tensor.shape for name, tensor in ours.items()} == expected


@pytest.mark.parametrize("depth", [18, 50])
def test_width_64_computes_what_torchvision_computes(depth: int) -> None:
    theirs = torchvision.models.get_model(f"resnet{depth}", weights=None).eval()
    ours = build_resnet(Architecture(depth=depth)).eval()
    ours.load_state_dict({name: t for name, t in theirs.state_dict().items() if not name.startswith("fc.")})
    theirs.fc = torch.nn.Identity()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize(("depth", "width"), [(18, 16), (34, 8), (50, 16), (50, 128), (101, 8)])
def test_any_width_scales_every_channel_count(depth: int, width: int) -> None:
    architecture = Architecture(depth=depth, stem_width=width)
    with torch.device("meta"):
        standard = build_resnet(Architecture(depth=depth)).state_dict()
        scaled = build_resnet(architecture).state_dict()
    assert list(scaled) == list(standard)
    for name, tensor in scaled.items():
        expected = [size if size in (1, 3, 7) else size * width // 64 for size in standard[name].shape]
        assert list(tensor.shape) == expected, name


def test_stage_features_have_the_documented_strides_and_channels() -> None:
    architecture = Architecture(depth=50, stem_width=8)
    network = build_resnet(architecture).eval()
    with torch.no_grad():
        features = network.stage_features(torch.randn(1, 3, 64, 96))
    assert tuple(features) == STAGES
    channels = (8, *architecture.stage_channels)
    for stage, count, stride in zip(STAGES, channels, (4, 4, 8, 16, 32), strict=True):
        assert features[stage].shape == (1, count, 64 // stride, 96 // stride)
        assert float(features[stage].min()) >= 0.0
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, channels[-1])


def test_stride_in_1x1_changes_the_function_but_not_the_tensors() -> None:
    ours, caffe = (build_resnet(Architecture(depth=50, stem_width=8, stride_in=s)).eval() for s in ("3x3", "1x1"))
    caffe.load_state_dict(ours.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        first, second = ours.stage_features(images), caffe.stage_features(images)
    assert torch.equal(first["layer1"], second["layer1"])  # no stride there
    assert first["layer2"].shape == second["layer2"].shape
    assert not torch.allclose(first["layer2"], second["layer2"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"depth": 20}, "20"),
        ({"stem_width": 0}, "stem_width"),
        ({"stem": "conv3x3"}, "architecture.stem"),
        ({"stride_in": "5x5"}, "architecture.stride_in"),
        ({"family": "resnext"}, "architecture.family"),
    ],
)
def test_an_impossible_architecture_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Architecture(**values)


def test_a_deep_stem_has_no_torchvision_network() -> None:
    with pytest.raises(UserError, match="deep-stem"):
        build_resnet(Architecture(stem="deep"))
