"""Stored maps: the same bits, damage, bounds, and folders that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.frozen.map_store import stored_maps

SHAPES = {"layer3": (2, 3, 3), "layer4": (4, 3, 3)}
MAPS = {layer: torch.randn(5, *shape, generator=torch.Generator().manual_seed(0)) for layer, shape in SHAPES.items()}


class Made:
    """Gives :data:`MAPS` in two batches and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Iterator[Mapping[str, Tensor]]:
        self.times += 1
        for rows in (slice(0, 3), slice(3, 5)):
            yield {layer: own[rows] for layer, own in MAPS.items()}


def test_what_is_stored_is_read_again_and_damage_is_made_good(feature_cache: Path) -> None:
    made = Made()
    for _ in range(2):
        read = stored_maps("key", 5, SHAPES, made)
        assert read is not None
        assert torch.equal(read("layer4", [1, 4]), MAPS["layer4"][[1, 4]])
        assert torch.equal(read("layer3", [0, 1, 2]), MAPS["layer3"][:3])
    assert made.times == 1
    (path,) = feature_cache.glob("maps/*/*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    assert stored_maps("key", 5, SHAPES, made) is not None
    assert made.times == 2
    assert stored_maps("key", 5, {**SHAPES, "layer4": (4, 6, 3)}, made) is not None  # of another shape
    assert made.times == 3


def test_too_large_a_split_is_not_kept(feature_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 5 * 4 * (2 * 9 + 4 * 9)
    monkeypatch.setattr("benchmarks.frozen.map_store.FILE_BYTES", size - 1)
    assert stored_maps("key", 5, SHAPES, Made()) is None
    assert not feature_cache.exists()
    monkeypatch.setattr("benchmarks.frozen.map_store.FILE_BYTES", size)
    assert stored_maps("key", 5, SHAPES, Made()) is not None


def test_the_files_used_longest_ago_make_room(feature_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_maps("0", 5, SHAPES, Made())
    (first,) = feature_cache.glob("maps/0/*.safetensors")
    monkeypatch.setattr("benchmarks.frozen.map_store.FOLDER_BYTES", 2 * first.stat().st_size)
    stored_maps("1", 5, SHAPES, Made())
    for place, key in enumerate(("1", "0")):  # 0 was used later than 1
        (path,) = feature_cache.glob(f"maps/{key}/*.safetensors")
        os.utime(path, (place, place))
    stored_maps("2", 5, SHAPES, Made())
    assert {path.parent.name for path in feature_cache.glob("maps/*/*.safetensors")} == {"0", "2"}


def test_maps_are_given_where_nothing_can_be_written(feature_cache: Path) -> None:
    feature_cache.write_text("a file in the way")
    read = stored_maps("key", 5, SHAPES, Made())
    assert read is not None
    assert torch.equal(read("layer3", [2]), MAPS["layer3"][2:3])
