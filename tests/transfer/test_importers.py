from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transfer_helpers import MakeBackbone, lively_network

from scenebench.errors import TransferError, UserError
from scenebench.files import sha256_of
from transfer.backbone_file import Preprocessing, load_backbone, read_info
from transfer.importers import FAMILIES, import_checkpoint, infer_architecture, read_backbone
from transfer.resnet import Architecture, build_resnet

NARROW = Architecture(depth=18, stem_width=8)


@pytest.fixture(scope="module")
def network() -> dict[str, Tensor]:
    return lively_network(NARROW).state_dict()


def moco_checkpoint(backbone: dict[str, Tensor], prefix: str = "module.", mlp: bool = True) -> dict[str, Any]:
    """The layout of MoCo's ``checkpoint_0199.pth.tar``: both encoders with their heads, the queue, the optimiser."""
    width = backbone["layer4.0.bn1.weight"].numel()
    head = {"fc.0.weight": torch.zeros(width, width), "fc.0.bias": torch.zeros(width)} if mlp else {}
    head |= {
        f"fc{'.2' if mlp else ''}.weight": torch.zeros(128, width),
        f"fc{'.2' if mlp else ''}.bias": torch.zeros(128),
    }
    state = {f"{prefix}encoder_q.{name}": tensor for name, tensor in (backbone | head).items()}
    state |= {f"{prefix}encoder_k.{name}": torch.zeros_like(tensor) for name, tensor in (backbone | head).items()}
    state |= {f"{prefix}queue": torch.zeros(128, 16), f"{prefix}queue_ptr": torch.zeros(1, dtype=torch.long)}
    optimiser = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.03, "params": [0]}]}
    return {"epoch": 200, "arch": "resnet18", "state_dict": state, "optimizer": optimiser}


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("mlp", [True, False])
def test_moco_takes_the_query_encoder_without_head_and_queue(
    prefix: str, mlp: bool, network: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(moco_checkpoint(network, prefix, mlp), tmp_path / "c.pth.tar")
    imported = import_checkpoint(tmp_path / "c.pth.tar", tmp_path / "b.safetensors")
    assert imported.family == "moco"
    assert f"{prefix}encoder_q." in imported.reason
    assert "left out" in imported.notes[0]
    info, tensors = load_backbone(tmp_path / "b.safetensors")
    assert (info.architecture, info.branch, info.method) == (NARROW, "query", "moco")
    assert info.preprocessing == Preprocessing()
    assert info.source_file == "c.pth.tar"
    assert info.source_sha256 == sha256_of(tmp_path / "c.pth.tar")
    assert tensors.keys() == network.keys()
    assert all(torch.equal(tensors[name], network[name]) for name in network)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("container", [None, "state_dict", "model"])
@pytest.mark.parametrize("classifier", [True, False])
def test_torchvision_names_in_any_container(
    prefix: str, container: str | None, classifier: bool, network: dict[str, Tensor], tmp_path: Path
) -> None:
    state = {prefix + name: tensor for name, tensor in network.items()}
    if classifier:
        state |= {f"{prefix}fc.weight": torch.zeros(1000, 64), f"{prefix}fc.bias": torch.zeros(1000)}
    torch.save({container: state, "epoch": 3} if container else state, tmp_path / "c.pth")
    imported = import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert imported.family == "torchvision"
    info, tensors = load_backbone(tmp_path / "b.safetensors")
    assert (info.branch, info.method) == ("only", "unknown")
    assert all(torch.equal(tensors[name], network[name]) for name in network)


def test_plain_safetensors_and_our_own_file(
    network: dict[str, Tensor], make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    safetensors.torch.save_file(network, tmp_path / "c.safetensors")
    assert import_checkpoint(tmp_path / "c.safetensors", tmp_path / "b.safetensors").family == "torchvision"
    assert import_checkpoint(make_backbone(), tmp_path / "copy.safetensors").family == "ours"
    assert (tmp_path / "copy.safetensors").read_bytes() == make_backbone().read_bytes()


def test_half_precision_and_missing_counters_are_mended_and_said(network: dict[str, Tensor], tmp_path: Path) -> None:
    old = {name: t.half() if t.is_floating_point() else t for name, t in network.items() if "num_batches" not in name}
    torch.save(old, tmp_path / "c.pth")
    imported = import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert imported.notes == [
        "converted torch.float16 to float32",
        "filled 20 missing batch counters (num_batches_tracked) with 0",
    ]
    _, tensors = load_backbone(tmp_path / "b.safetensors")
    assert torch.equal(tensors["conv1.weight"], network["conv1.weight"].half().float())
    assert tensors["layer4.1.bn2.num_batches_tracked"].item() == 0
    unsaved = read_backbone(tmp_path / "c.pth").tensors
    assert {tensor.dtype for tensor in unsaved.values()} == {torch.float32, torch.int64}


def test_the_old_file_format_of_pytorch_is_read(network: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(network, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    assert import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors").info.architecture == NARROW


@pytest.mark.parametrize(("depth", "width"), [(18, 16), (34, 8), (50, 16), (50, 128), (101, 64), (152, 8)])
def test_architecture_is_read_off_the_shapes(depth: int, width: int) -> None:
    architecture = Architecture(depth=depth, stem_width=width)
    with torch.device("meta"):
        assert infer_architecture(build_resnet(architecture).state_dict(), "here") == architecture


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("layer2.0.downsample.0.weight"), "1 missing: layer2.0.downsample.0.weight"),
        (lambda t: [t.pop(n) for n in list(t) if "running_" in n], "40 missing"),
        (lambda t: t.update({"layer1.0.se.weight": torch.zeros(1)}), "1 unexpected: layer1.0.se.weight"),
        (lambda t: t.update({"layer1.0.bn1.bias": torch.full((8,), float("nan"))}), "not finite"),
        (lambda t: t.update({"layer1.0.bn1.bias": torch.zeros(8, dtype=torch.int32)}), "another kind of number"),
        (lambda t: t.update({"conv1.weight": torch.zeros(8, 3, 3, 3)}), "expected a 7x7 convolution"),
        (lambda t: t.update({"conv1.weight": torch.zeros(8, 1, 7, 7)}), "expected a 7x7 convolution"),
        (lambda t: t.update({"stem.0.weight": torch.zeros(4, 3, 3, 3)}), "deep .V1c. stem"),
        (lambda t: [t.pop(n) for n in list(t) if n.startswith("layer3.1")], r"\(2, 2, 1, 2\) basic blocks"),
    ],
)
def test_what_is_no_resnet_is_refused(change: Callable[[dict], object], told: str, tmp_path: Path) -> None:
    state = build_resnet(NARROW).state_dict()
    change(state)
    torch.save(state, tmp_path / "c.pth")
    with pytest.raises(UserError, match=told):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["c.pth"]


def test_wide_and_grouped_torchvision_variants_are_refused(tmp_path: Path) -> None:
    import torchvision

    torch.save(torchvision.models.resnext50_32x4d(weights=None).state_dict(), tmp_path / "c.pth")
    with pytest.raises(TransferError, match="of another shape: layer1"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")


def test_unknown_and_misnamed_families(network: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({f"teacher.{name}": tensor for name, tensor in network.items()}, tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"of no known family. It holds teacher\.bn1\.bias.*moco: MoCo"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    torch.save(network, tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"--from: unknown value 'mocco' \(did you mean 'moco'\?\)"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors", "mocco")
    with pytest.raises(UserError, match="not a checkpoint of 'moco'"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors", "moco")
    both = network | {f"module.encoder_q.{name}": tensor for name, tensor in network.items()}
    torch.save(both, tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"fits several families; say which with --from \(torchvision, moco\)"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors", "moco").family == "moco"
    assert read_info(tmp_path / "b.safetensors").branch == "query"


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a PyTorch checkpoint"),
        (b"GIF89a and so on", "not a PyTorch checkpoint"),
        (pickle.dumps({"model": [1, 2]}), "not a PyTorch checkpoint|holds no state dict"),
        (b"PK\x03\x04 truncated", "not a PyTorch checkpoint"),
    ],
)
def test_other_files_are_refused_in_one_line(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(UserError, match=told) as raised:
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert "\n" not in str(raised.value)


def test_nothing_in_a_checkpoint_is_executed(network: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": network, "extra": _Bomb(tmp_path / "exploded")}, tmp_path / "c.pth")
    with pytest.raises(UserError, match="never unpickled here"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_truncated_missing_and_empty(network: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(network, tmp_path / "whole.pth")
    (tmp_path / "c.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-1000])
    for path, told in ((tmp_path / "c.pth", "not a PyTorch"), (tmp_path / "none.pth", "no such checkpoint file")):
        with pytest.raises(UserError, match=told):
            import_checkpoint(path, tmp_path / "b.safetensors")
    torch.save({"epoch": 3}, tmp_path / "c.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors")


def test_every_family_says_what_it_is() -> None:
    assert list(FAMILIES) == ["ours", "torchvision", "moco"]
    assert all(name == family.name and family.description for name, family in FAMILIES.items())
