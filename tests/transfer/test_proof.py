"""The proof itself: it must pass on equality, and fail on every way of being unequal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenebench.errors import TransferError
from transfer import proof
from transfer.networks.forward_hooks import captured_outputs
from transfer.networks.resnet import STAGES


def _tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv1.weight": torch.randn(4, 3, 7, 7, generator=generator),
        "bn1.weight": torch.randn(4, generator=generator),
        "bn1.num_batches_tracked": torch.tensor(7),
        "layer3.0.conv1.weight": torch.randn(2, 2, 3, 3, generator=generator),
    }


def _features() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {stage: torch.rand(1, 2, 4, 4, generator=generator) + 0.1 for stage in STAGES}


def test_the_reference_image_tells_every_preprocessing_mistake_apart() -> None:
    image = proof.reference_image()
    assert image.shape == (proof.IMAGE_HEIGHT, proof.IMAGE_WIDTH, 3)
    assert image.dtype == np.uint8
    assert image.min() == 0
    assert image.max() == 255
    channels = image.reshape(-1, 3).astype(float)
    assert np.corrcoef(channels.T)[np.triu_indices(3, 1)].max() < 0.1
    assert (channels.std(axis=0) > 40).all()
    np.testing.assert_array_equal(image, proof.reference_image())
    # A rewrite that changes the image would silently change every stored proof.
    assert int(image.astype(np.int64).sum()) == 2293760


def test_equal_tensors_pass_and_are_counted_by_stage() -> None:
    source = _tensors()
    proof.check_names(source, source, "here")
    counts = proof.check_values(source, {name: tensor.clone() for name, tensor in source.items()}, "here")
    assert counts == {"stem": 3, "layer1": 0, "layer2": 0, "layer3": 1, "layer4": 0}


def test_a_counter_may_lack_a_place_only_where_the_target_has_the_norm() -> None:
    source, target = _tensors(), _tensors()
    del target["bn1.num_batches_tracked"]
    proof.check_names(source, target, "here")
    assert proof.check_values(source, target, "here")["stem"] == 2
    del target["bn1.weight"]
    with pytest.raises(TransferError, match=r"have no place in the target: bn1\.num_batches_tracked, bn1\.weight"):
        proof.check_names(source, target, "here")


def test_names_and_shapes_that_differ_are_told() -> None:
    source, target = _tensors(), _tensors()
    target["stem.0.weight"] = target.pop("conv1.weight")
    target["bn1.weight"] = torch.zeros(5)
    with pytest.raises(TransferError) as raised:
        proof.check_names(source, target, "here")
    assert "1 tensors of the target have no counterpart in the file: stem.0.weight" in str(raised.value)
    assert "1 tensors of the file have no place in the target: conv1.weight" in str(raised.value)
    assert "bn1.weight (4,) into (5,)" in str(raised.value)


def test_poisoned_tensors_count_as_never_set() -> None:
    source, target = _tensors(), _tensors()
    proof.poison({name: target[name] for name in ("conv1.weight", "bn1.num_batches_tracked")})
    with pytest.raises(TransferError, match=r"2 tensors were never set from the file: conv1.weight, bn1.num_batches"):
        proof.check_values(source, target, "here")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["conv1.weight"].view(-1)[3].mul_(1 + 1e-6),
        lambda t: t["bn1.num_batches_tracked"].add_(1),
        lambda t: t["bn1.weight"][0].fill_(float("nan")),
        lambda t: t.update({"conv1.weight": t["conv1.weight"].double()}),
    ],
)
def test_a_single_other_value_is_found(change: object) -> None:
    source, target = _tensors(), _tensors()
    change(target)  # type: ignore[operator]
    with pytest.raises(TransferError, match="1 tensors hold other values than the file"):
        proof.check_values(source, target, "here")


def test_negative_zero_is_another_value() -> None:
    assert not proof.same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))


def test_equal_features_pass() -> None:
    differences, peaks = proof.check_features(_features(), _features(), "here")
    assert set(differences.values()) == {0.0}
    assert all(0 < peak <= 1.1 for peak in peaks.values())


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_tolerance_is_relative_to_the_stage(scale: float) -> None:
    source = {stage: tensor * scale for stage, tensor in _features().items()}
    within, beyond = dict(source), dict(source)
    within["layer2"] = source["layer2"] + 0.5e-5 * source["layer2"].max()
    beyond["layer2"] = source["layer2"] + 2e-5 * source["layer2"].max()
    proof.check_features(source, within, "here")
    with pytest.raises(TransferError, match=r"features differ at layer2 by .*; equal before that"):
        proof.check_features(source, beyond, "here")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f["stem"].add_(1.0), "from the stem on, so look at the preprocessing"),
        (lambda f: f["layer4"].add_(1.0), "equal before that"),
        (lambda f: f["layer1"][0, 0, 0].fill_(float("nan")), "features differ at layer1 by nan"),
        (lambda f: f.update(layer3=f["layer3"][:, :, ::2]), "features of layer3 are .* instead of"),
    ],
)
def test_features_that_differ_are_told(change: object, told: str) -> None:
    target = _features()
    change(target)  # type: ignore[operator]
    with pytest.raises(TransferError, match=told):
        proof.check_features(_features(), target, "here")


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
def test_features_that_prove_nothing_are_refused(value: float) -> None:
    features = _features()
    features["layer4"].fill_(value)
    with pytest.raises(TransferError, match="layer4 is .*; such weights cannot be proven"):
        proof.check_features(features, features, "here")


def test_captured_outputs_survive_in_place_work_and_leave_no_hook() -> None:
    model = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    with captured_outputs({"first": model[0]}) as outputs:
        model(torch.tensor([-1.0]))
    assert outputs["first"].item() == -1.0
    assert not model[0]._forward_hooks


def test_report_table_and_side_car(tmp_path: Path) -> None:
    report = proof.TransferReport(
        target="detectron2",
        source="b.safetensors",
        source_sha256="ab",
        architecture="resnet18",
        tensors=dict.fromkeys(STAGES, 10),
        counters_without_place=3,
        max_abs_difference=dict.fromkeys(STAGES, 0.0) | {"layer4": 2e-7},
        max_abs_feature=dict.fromkeys(STAGES, 2.5),
        notes=["mind this"],
    )
    lines = report.table().splitlines()
    assert [line.split()[0] for line in lines[2:8]] == [*STAGES, "total"]
    assert lines[7].split() == ["total", "50", "2e-07"]
    assert "3 batch counters" in lines[8]
    assert lines[9] == "mind this"
    report.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["tensors"]["stem"] == 10
