"""Every family's layout: recognised, the right branch, bit-equal tensors, the right preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from layout_parts import Layout, State, halved, write
from paper_layouts import ALL_LAYOUTS as LAYOUTS
from transfer_helpers import lively_network

from scenebench.errors import UserError
from transfer.backbone_file import load_backbone
from transfer.importers import FAMILIES, import_checkpoint, read_backbone
from transfer.importers.containers import find_state_dict
from transfer.importers.family import Checkpoint
from transfer.importers.fitting import as_claimed
from transfer.importers.names import unwrapped
from transfer.importers.outer_module import without_outer_module
from transfer.importers.reading import read_checkpoint
from transfer.importers.recognition import Wanted, recognise
from transfer.importers.stated_preprocessing import StatedPreprocessing
from transfer.networks.resnet import Architecture

NARROW = Architecture(depth=18, stem_width=8)
BY_NAME = [pytest.param(layout, id=layout.name) for layout in LAYOUTS]
TWO_BRANCHES = [pytest.param(layout, id=layout.name) for layout in LAYOUTS if layout.other_branch]
NOT_PICKLES = [pytest.param(layout, id=layout.name) for layout in LAYOUTS if layout.suffix != ".pkl"]


@pytest.fixture(scope="module")
def branches() -> tuple[State, State]:
    first, second = (lively_network(NARROW, seed).state_dict() for seed in (0, 1))
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("weight"))
    return first, second


def assert_same(tensors: State, expected: State, counters: bool = True) -> None:
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        if counters or not name.endswith("num_batches_tracked"):
            assert tensors[name].dtype == tensor.dtype, name
            assert torch.equal(tensors[name], tensor), name


@pytest.mark.parametrize("layout", BY_NAME)
def test_every_layout(layout: Layout, branches: tuple[State, State], tmp_path: Path) -> None:
    path = write(layout, *branches, tmp_path)
    imported = import_checkpoint(path, tmp_path / "b.safetensors", layout.told)
    assert imported.family == layout.family
    assert FAMILIES[layout.family].title in imported.reason
    info, tensors = load_backbone(tmp_path / "b.safetensors")
    assert_same(tensors, branches[0], counters=not layout.without_counters)
    assert (info.branch, info.method, info.preprocessing) == (layout.branch, layout.method, layout.preprocessing)
    assert info.architecture == Architecture(depth=18, stem_width=8, stride_in=layout.stride_in)
    assert any("filled 20 missing" in note for note in imported.notes) == layout.without_counters


@pytest.mark.parametrize("layout", TWO_BRANCHES)
def test_the_other_branch_on_demand(layout: Layout, branches: tuple[State, State], tmp_path: Path) -> None:
    path = write(layout, *branches, tmp_path)
    imported = read_backbone(path, layout.told, branch=layout.other_branch)
    assert imported.info.branch == layout.other_branch
    assert_same(imported.tensors, branches[1])
    default = read_backbone(path, layout.told, branch=layout.branch)
    assert_same(default.tensors, branches[0])


@pytest.mark.parametrize("layout", TWO_BRANCHES)
def test_swapped_branches_are_seen(layout: Layout, branches: tuple[State, State], tmp_path: Path) -> None:
    """The same layout with the weights of its branches exchanged gives the other weights: the names decide."""
    swapped = read_backbone(write(layout, branches[1], branches[0], tmp_path), layout.told)
    assert swapped.info.branch == layout.branch
    assert_same(swapped.tensors, branches[1])


@pytest.mark.parametrize("layout", NOT_PICKLES)
def test_half_precision_without_counters(layout: Layout, branches: tuple[State, State], tmp_path: Path) -> None:
    """As mixed-precision code of old PyTorch saves: values as they are in float16, counters filled in, both said."""
    old = [
        {name: tensor for name, tensor in halved(branch).items() if "num_batches" not in name} for branch in branches
    ]
    imported = read_backbone(write(layout, old[0], old[1], tmp_path), layout.told)
    assert imported.notes[-2:] == [
        "converted torch.float16 to float32",
        "filled 20 missing batch counters (num_batches_tracked) with 0",
    ]
    expected = {name: tensor.float() for name, tensor in old[0].items()}
    expected |= {name: torch.tensor(0) for name in branches[0] if "num_batches" in name}
    assert_same(imported.tensors, expected)


@pytest.mark.parametrize("layout", NOT_PICKLES)
@pytest.mark.parametrize("wrapper", ["module._orig_mod.", "_fsdp_wrapped_module._checkpoint_wrapped_module."])
def test_wrappers_make_no_difference(
    layout: Layout, wrapper: str, branches: tuple[State, State], tmp_path: Path
) -> None:
    """DistributedDataParallel around a compiled model, FSDP around a checkpointed one."""
    content = wrapped(layout.build(*branches), wrapper)
    state = find_state_dict(content, torch.is_tensor)
    keys = tuple(content)
    checkpoint = Checkpoint(tmp_path / "c.pth", state.tensors, container=state.container, keys=keys)
    found = recognise(checkpoint, FAMILIES, Wanted(layout.told), StatedPreprocessing())
    assert (found.family.name, found.branch) == (layout.family, layout.branch)
    assert all(found.tensors[name] is branches[0][name] for name in branches[0])


def wrapped(content: dict[str, Any], wrapper: str) -> dict[str, Any]:
    """Every tensor's name, in whatever dictionary, with the prefix (the optimiser's state is numbered, not named)."""
    return {
        f"{wrapper}{key}" if isinstance(value, torch.Tensor) and isinstance(key, str) else key: wrapped(value, wrapper)
        if isinstance(value, dict)
        else value
        for key, value in content.items()
    }


@pytest.mark.parametrize("layout", BY_NAME)
def test_no_other_family_claims_a_layout(layout: Layout, branches: tuple[State, State], tmp_path: Path) -> None:
    """Every family against every layout: its own claims it and no other; where the names do not tell, several do, its
    own among them, and the import asks."""
    checkpoint = read_checkpoint(write(layout, *branches, tmp_path))
    tensors = unwrapped(checkpoint.tensors, "here")
    plain: Checkpoint | None = Checkpoint(
        checkpoint.path,
        tensors,
        checkpoint.metadata,
        checkpoint.container,
        checkpoint.keys,
        wrapped=tensors.keys() != checkpoint.tensors.keys(),
    )
    claims: list[str] = []
    while plain is not None and not claims:
        candidates = [family for family in FAMILIES.values() if not family.fallback]
        claims = [family.name for family in candidates if as_claimed(family, plain)]
        plain = without_outer_module(plain)
    if layout.told is None or (layout.told in FAMILIES[layout.family].methods and len(claims) == 1):
        assert claims == [layout.family]
    else:
        assert layout.family in claims
        with pytest.raises(UserError, match=f"fits several families; say which with --from .*{layout.family}"):
            read_backbone(checkpoint.path)


def test_soco_keeps_a_third_copy(branches: tuple[State, State], tmp_path: Path) -> None:
    soco = next(layout for layout in LAYOUTS if layout.name == "soco")
    imported = read_backbone(write(soco, *branches, tmp_path), branch="ema")
    assert imported.info.branch == "ema"
    assert torch.equal(imported.tensors["conv1.weight"], branches[0]["conv1.weight"] + 1)


def test_every_family_has_a_layout_or_needs_none() -> None:
    needs_none = {"ours", "unknown", "detectron2-unknown"}  # see test_importers.py
    elsewhere = {
        "supcontrast",
        "torchvision-detection",
        "torchvision-segmentation",
        "detr",
    }  # see test_importers_foreign.py
    assert {layout.family for layout in LAYOUTS} == set(FAMILIES) - needs_none - elsewhere


def test_every_family_says_what_it_is() -> None:
    for name, family in FAMILIES.items():
        assert name == family.name
        for text in (family.title, family.rule, family.why, family.left_out, family.preprocessing_why, family.source):
            assert text
            assert "|" not in text  # they stand in a table
        assert family.branches
        assert family.branches[0].name
    names = [name for family in FAMILIES.values() for name in family.names]
    assert len(names) == len(set(names))
