from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torchvision
from layout_parts import save, under
from torch import Tensor
from transfer_helpers import CAFFE, SIMCLR, MakeBackbone, lively_network

from scenebench.errors import TransferError, UserError
from transfer.backbone_file import Preprocessing, read_info
from transfer.importers import StatedPreprocessing, import_checkpoint, infer_architecture, read_backbone
from transfer.networks.detectron2_names import detectron2_name
from transfer.networks.resnet import Architecture, build_resnet

NARROW = Architecture(depth=18, stem_width=8)


@pytest.fixture(scope="module")
def network() -> dict[str, Tensor]:
    return lively_network(NARROW).state_dict()


@pytest.mark.parametrize("container", [None, "state_dict", "model"])
def test_bare_names_may_be_anybodys(container: str | None, network: dict[str, Tensor], tmp_path: Path) -> None:
    """Nothing in such a file says what the weights were trained on: --from or the preprocessing must."""
    path = save({container: network, "epoch": 3} if container else network, tmp_path / "c.pth")
    told = (
        r"fits several families; say which with --from \(torchvision, openselfsup, vissl, simclr, dino, .*vicreg, "
        r".*spark; also timm, densecl.*--mean"
    )
    with pytest.raises(UserError, match=told):
        import_checkpoint(path, tmp_path / "b.safetensors")
    assert read_backbone(path, "torchvision").info.preprocessing == Preprocessing()
    assert read_backbone(path, "simclr").info.preprocessing == SIMCLR
    taken = read_backbone(path, "slotcon")
    assert (taken.info.method, taken.info.branch) == ("slotcon", "teacher")
    assert taken.notes == ["bare names do not tell the branch: taken for 'teacher'"]
    stated = StatedPreprocessing(CAFFE.mean, CAFFE.std, CAFFE.value_range, CAFFE.channel_order)
    imported = read_backbone(path, preprocessing=stated)
    assert (imported.info.preprocessing, imported.info.method) == (CAFFE, "unknown")
    assert "but nothing depends on it" in imported.reason
    assert all(torch.equal(imported.tensors[name], network[name]) for name in network)


def test_a_classifier_under_state_dict_may_be_simclrs(network: dict[str, Tensor], tmp_path: Path) -> None:
    state = network | {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}
    assert read_backbone(save(state, tmp_path / "c.pth")).family == "torchvision"
    with pytest.raises(UserError, match=r"--from \(torchvision, simclr; also timm\)"):
        read_backbone(save({"state_dict": state}, tmp_path / "c.pth"))


def test_plain_safetensors_and_our_own_file(
    network: dict[str, Tensor], make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    safetensors.torch.save_file(network, tmp_path / "c.safetensors")
    assert import_checkpoint(tmp_path / "c.safetensors", tmp_path / "b.safetensors", "timm").info.method == "timm"
    assert import_checkpoint(make_backbone(), tmp_path / "copy.safetensors").family == "ours"
    assert (tmp_path / "copy.safetensors").read_bytes() == make_backbone().read_bytes()
    for change in ({"branch": "key"}, {"preprocessing": StatedPreprocessing(channel_order="BGR")}):
        with pytest.raises(UserError, match="whose header says its branch"):
            read_backbone(make_backbone(), **change)
    assert read_backbone(make_backbone(), branch="query").info.branch == "query"


def test_the_old_file_format_of_pytorch_is_read(network: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(network, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    assert read_backbone(tmp_path / "c.pth", "torchvision").info.architecture == NARROW


@pytest.mark.parametrize(("depth", "width"), [(18, 16), (34, 8), (50, 16), (50, 128), (101, 64), (152, 8)])
def test_architecture_is_read_off_the_shapes(depth: int, width: int) -> None:
    architecture = Architecture(depth=depth, stem_width=width)
    with torch.device("meta"):
        assert infer_architecture(build_resnet(architecture).state_dict(), "here") == architecture


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("layer2.0.downsample.0.weight"), "1 missing: layer2.0.downsample.0.weight"),
        (lambda t: [t.pop(n) for n in list(t) if "running_" in n], "norms without running statistics, hence GroupNorm"),
        (
            lambda t: t.update({"layer1.0.se.weight": torch.zeros(1)}),
            r"squeeze-and-excitation modules .layer1\.0\.se\.weight",
        ),
        (lambda t: t.update({"layer1.0.bn1.bias": torch.full((8,), float("nan"))}), "not finite"),
        (lambda t: t.update({"layer1.0.bn1.bias": torch.zeros(8, dtype=torch.int32)}), "another kind of number"),
        (lambda t: t.update({"conv1.weight": torch.zeros(8, 3, 3, 3)}), "a 3x3 first convolution, as for CIFAR"),
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
        import_checkpoint(tmp_path / "c.pth", tmp_path / "b.safetensors", "torchvision")
    assert [path.name for path in tmp_path.iterdir()] == ["c.pth"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnext50_32x4d", "groups .ResNeXt."),
        ("wide_resnet50_2", "only its bottlenecks are 2 times as wide .wide_resnet50_2.*conv1 has 128"),
    ],
)
def test_other_bottlenecks_are_refused_by_name(name: str, told: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = torchvision.models.get_model(name, weights=None).state_dict()
    with pytest.raises(UserError, match=told):
        infer_architecture(shapes, "here")


def test_deep_stems_are_refused_by_name(network: dict[str, Tensor], tmp_path: Path) -> None:
    """timm's resnet50d, MMSegmentation's ResNetV1c and Detectron2's DeepLab stem have no 7x7 convolution at all."""
    rest = {name: tensor for name, tensor in network.items() if not name.startswith("conv1.")}
    deep = torch.zeros(4, 3, 3, 3)
    for state in (rest | {"conv1.0.weight": deep}, rest | {"stem.0.weight": deep}):
        with pytest.raises(UserError, match="deep .V1c. stem"):
            read_backbone(save(state | {"fc.weight": torch.zeros(10, 64)}, tmp_path / "c.pth"))
    arrays = {detectron2_name(name): tensor.numpy() for name, tensor in rest.items()}
    arrays["stem.conv1_1.weight"] = arrays["stem.conv1_0.weight"] = deep.numpy()
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"model": arrays, "__author__": "torchvision"}))
    with pytest.raises(UserError, match="deep .V1c. stem"):
        read_backbone(tmp_path / "c.pkl")


# --- no family, several families ----------------------------------------------------------------------------------


def test_no_family_shows_the_nearest(network: dict[str, Tensor], tmp_path: Path) -> None:
    for state, told in (
        ({"a.weight": torch.zeros(2)}, r"No ResNet is among its 1 tensors \(a\.weight"),
        (
            {
                name: t
                for name, t in under("module.encoder_q.", network).items()
                if name != "module.encoder_q.conv1.weight"
            },
            r"Nearest is moco \(module\.encoder_q\.\*\): 119 of its 119.*lacks the first convolution, encoder_q\.conv1",
        ),
    ):
        path = save(state, tmp_path / "c.pth")
        with pytest.raises(UserError, match=f"of no known family. {told}"):
            import_checkpoint(path, tmp_path / "b.safetensors")


def test_misnamed_families_and_branches(network: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(under("encoder_q.", network) | {"queue": torch.zeros(2, 2)}, tmp_path / "c.pth")
    for words, told in (
        ({"family": "mocco"}, r"--from: unknown value 'mocco' \(did you mean 'moco'\?\)"),
        ({"family": "swav"}, r"not a checkpoint of 'swav' .SwAV.*nothing in it is named projection_head\.\*"),
        ({"family": "ours"}, "not a checkpoint of 'ours'"),
        ({"branch": "ema"}, r"--branch: a checkpoint of MoCo v1, v2 has no branch 'ema' \(it may have: query, key\)"),
        ({"branch": "key"}, "its branch 'key' is not in this file; it has --branch query"),
    ):
        with pytest.raises(UserError, match=told):
            read_backbone(path, **words)
    for role in ("query", "online", "student"):
        assert read_backbone(path, branch=role).info.branch == "query"


def test_two_families_in_one_file(network: dict[str, Tensor], tmp_path: Path) -> None:
    head = {"fc.weight": torch.zeros(10, 64)}
    path = save(network | head | under("module.encoder_q.", network), tmp_path / "c.pth")
    with pytest.raises(UserError, match=r"of no known family, with 2 ResNets.*--prefix '', --prefix 'encoder_q\.'"):
        import_checkpoint(path, tmp_path / "b.safetensors")
    assert import_checkpoint(path, tmp_path / "b.safetensors", "moco").family == "moco"
    assert read_info(tmp_path / "b.safetensors").branch == "query"


def test_two_names_of_one_network_must_agree(network: dict[str, Tensor], tmp_path: Path) -> None:
    other = network | {"layer1.0.bn1.bias": network["layer1.0.bn1.bias"] + 1}
    path = save(under("backbone.", network) | under("encoder_q.0.", other), tmp_path / "c.pth")
    with pytest.raises(
        TransferError, match=r"should be one network under two names, but 1 tensors differ \(layer1\.0\.bn1"
    ):
        read_backbone(path)
    path = save(under("backbone.", network) | under("encoder_q.0.", network), tmp_path / "c.pth")
    assert "120 tensors are the same network under a second name" in read_backbone(path).notes


def test_a_name_with_and_without_wrapper_is_refused(network: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="with and without a wrapper's prefix"):
        read_backbone(save(network | under("module.", network), tmp_path / "c.pth"))


# --- files that are not what they seem ----------------------------------------------------------------------------


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
