from __future__ import annotations

import pytest
import torch
import torchvision
from transfer_helpers import lively_network

from scenebench.errors import UserError
from transfer.networks.output_stride import set_output_stride, strides_and_dilations
from transfer.networks.resnet import Architecture


@pytest.mark.parametrize(
    ("output_stride", "replace"), [(32, [False] * 3), (16, [False, False, True]), (8, [False, True, True])]
)
def test_bottlenecks_equal_torchvisions_replace_stride_with_dilation(output_stride: int, replace: list[bool]) -> None:
    ours = lively_network(Architecture(depth=50))
    theirs = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=replace)
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(ours.state_dict())
    set_output_stride(ours, output_stride)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs.eval()(images))
        assert ours.feature_map(images).shape[-1] == 64 // output_stride


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("output_stride", [16, 8])
def test_resolution_grows_and_earlier_stages_stay(depth: int, output_stride: int) -> None:
    network = lively_network(Architecture(depth=depth, stem_width=8))
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = network.stage_features(images)
        after = set_output_stride(network, output_stride).stage_features(images)
    assert after["layer4"].shape[-2:] == (64 // output_stride, 96 // output_stride)
    assert torch.equal(before["layer2"], after["layer2"])


def test_strides_and_dilations_give_what_they_promise() -> None:
    for output_stride in (8, 16, 32):
        strides, dilations = strides_and_dilations(output_stride)
        assert 4 * torch.tensor(strides).prod().item() == output_stride
        # what is lost in stride is gained in dilation
        assert strides[1] * strides[2] * strides[3] * dilations[3] == 8
    with pytest.raises(UserError, match="output_stride: unknown value '4'"):
        strides_and_dilations(4)
