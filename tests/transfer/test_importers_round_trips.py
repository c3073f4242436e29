"""ResNet-18, -50, -101 and -50 of twice the width: into the backbone file and out again, bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from checkpoint_layouts import LAYOUTS
from layout_parts import Layout, State, save, under, write

from transfer.backbone_file import load_backbone
from transfer.exporters import torchvision as to_torchvision
from transfer.importers import import_checkpoint, read_backbone
from transfer.networks.resnet import Architecture, build_resnet

BY_NAME = {layout.name: layout for layout in LAYOUTS}
MOCO, SWAV, NUMBERED = BY_NAME["moco_v2"], BY_NAME["swav"], BY_NAME["lightly_numbered"]
DETECTRON2, MSRA = BY_NAME["detectron2_moco"], BY_NAME["detectron2_msra"]


def str_of(value: object) -> str:
    return value.name if isinstance(value, Layout) else str(value)


def random_state(architecture: Architecture, seed: int = 0) -> State:
    """Every tensor's values distinct, without the time that initialisers take."""
    with torch.device("meta"):
        shapes = build_resnet(architecture).state_dict()
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(tensor.shape, generator=generator) if tensor.is_floating_point() else torch.tensor(seed + 7)
        for name, tensor in shapes.items()
    }


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(depth=18),
        pytest.param(Architecture(depth=50), marks=pytest.mark.slow),
        pytest.param(Architecture(depth=101), marks=pytest.mark.slow),
        pytest.param(Architecture(depth=50, stem_width=128), marks=pytest.mark.slow),
    ],
    ids=lambda architecture: architecture.name,
)
def test_there_and_back(architecture: Architecture, tmp_path: Path) -> None:
    """A MoCo checkpoint becomes a backbone file; its tensors, put back under MoCo's names, are the checkpoint's."""
    first, second = random_state(architecture), random_state(architecture, seed=1)
    import_checkpoint(write(MOCO, first, second, tmp_path), tmp_path / "b.safetensors")
    info, tensors = load_backbone(tmp_path / "b.safetensors")
    assert info.architecture == architecture
    assert tensors.keys() == first.keys()
    assert all(torch.equal(tensors[name], first[name]) for name in first)
    again = read_backbone(save({"state_dict": under("module.encoder_q.", tensors)}, tmp_path / "again.pth.tar"))
    assert all(torch.equal(again.tensors[name], first[name]) for name in first)


@pytest.mark.parametrize(
    ("depth", "layout"), [(50, MOCO), (50, NUMBERED), (50, DETECTRON2), (50, MSRA), (101, MSRA)], ids=str_of
)
def test_bottlenecks_under_every_naming_rule(depth: int, layout: Layout, tmp_path: Path) -> None:
    """Narrow, so quick: three convolutions a block and their shortcuts under bare, numbered and Detectron2's names."""
    architecture = Architecture(depth=depth, stem_width=4, stride_in=layout.stride_in)
    first, second = random_state(architecture), random_state(architecture, seed=1)
    imported = read_backbone(write(layout, first, second, tmp_path), layout.told)
    assert imported.info.architecture == architecture
    for name, tensor in first.items():
        if not (layout.without_counters and name.endswith("num_batches_tracked")):
            assert torch.equal(imported.tensors[name], tensor), name


def test_a_wide_network_keeps_its_width() -> None:
    """SwAV's resnet50w2: conv1 has 128 channels, and every stage twice as many as a ResNet-50's."""
    architecture = Architecture(depth=50, stem_width=128)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in build_resnet(architecture).state_dict().items()}
    assert shapes["conv1.weight"] == (128, 3, 7, 7)
    assert shapes["layer4.0.conv3.weight"] == (4096, 1024, 1, 1)
    assert architecture.name == "resnet50w128"


def test_an_export_comes_back(tmp_path: Path) -> None:
    """Checkpoint to backbone file to torchvision's weights and through the importer again: the same bits."""
    state = build_resnet(Architecture(depth=18)).state_dict()
    import_checkpoint(write(SWAV, state, state, tmp_path), tmp_path / "b.safetensors")
    report = to_torchvision.export(tmp_path / "b.safetensors", tmp_path / "out")
    back = read_backbone(tmp_path / "out" / report.files["weights"])
    assert back.info.preprocessing == SWAV.preprocessing
    assert all(torch.equal(back.tensors[name], state[name]) for name in state)
