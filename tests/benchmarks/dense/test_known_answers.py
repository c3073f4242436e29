"""A backbone whose features are the colours, hence the category, and one that knows nothing: 100 % and chance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.dense.maps import FrozenNetwork
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import load_protocol

REGION = ("region_knn", "region_linear")
DENSE = ("dense_knn", "dense_linear")
CHANCE = 100 / 3


@pytest.fixture
def sees_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean colour of each cell of 16 pixels, off the ground's; channels as the network would have them."""

    def maps(self: FrozenNetwork, pixels: Tensor) -> dict[str, Tensor]:
        colours = functional.avg_pool2d(self.preprocessing.normalise(pixels), 16)
        return {layer: padded(colours, width) for layer, width in (("layer3", 32), ("layer4", 64))}

    monkeypatch.setattr(FrozenNetwork, "maps", maps)


@pytest.fixture
def sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)

    def maps(self: FrozenNetwork, pixels: Tensor) -> dict[str, Tensor]:
        side = pixels.shape[-1] // 16
        widths = {"layer3": 32, "layer4": 64}
        return {layer: torch.randn(len(pixels), w, side, side, generator=generator) for layer, w in widths.items()}

    monkeypatch.setattr(FrozenNetwork, "maps", maps)


def padded(maps: Tensor, width: int) -> Tensor:
    return functional.pad(maps, (0, 0, 0, 0, 0, width - maps.shape[1]))


def measured(
    name: str, backbone: Path | str, data: DatasetFolder, out: Path, *overrides: str
) -> dict[str, float | None]:
    protocol = load_protocol(name, ["settings.image_size=64", *overrides])
    return evaluate(backbone, protocol, data.root, 0, out / "run").metrics


@pytest.mark.parametrize("name", REGION)
def test_features_that_are_the_category_name_every_object(
    name: str, sees_colours: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    metrics = measured(name, tiny_backbone, shapes, tmp_path)
    assert metrics["object_acc"] == metrics["object_top1"] == 100.0
    assert metrics["object_large"] == 100.0
    assert metrics["object_small"] is None  # there is none


@pytest.mark.parametrize("name", REGION)
def test_features_that_know_nothing_are_at_chance(
    name: str, sees_nothing: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    assert measured(name, tiny_backbone, shapes, tmp_path)["object_acc"] == pytest.approx(CHANCE, abs=15)


def test_blanked_boxes_hide_the_object_and_crops_show_it(
    sees_colours: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    """Colours reach no further than their cell, so nothing of a blanked object is left."""
    blanked = measured("region_linear_blanked", tiny_backbone, shapes, tmp_path / "blanked")
    assert blanked["object_acc"] == pytest.approx(CHANCE, abs=15)
    assert measured("region_linear_crop", tiny_backbone, shapes, tmp_path / "crop")["object_acc"] == 100.0


@pytest.mark.parametrize("name", REGION)
def test_references_say_what_shape_and_colour_alone_tell(
    name: str, shapes: DatasetFolder, shaped: DatasetFolder, tmp_path: Path
) -> None:
    by_shape = "reference:box_shape"
    assert measured(name, by_shape, shapes, tmp_path / "a")["object_acc"] == pytest.approx(CHANCE, abs=15)
    assert measured(name, by_shape, shaped, tmp_path / "b")["object_acc"] == 100.0
    assert measured(name, "reference:colour_histogram", shapes, tmp_path / "c")["object_acc"] == 100.0


@pytest.mark.parametrize("name", DENSE)
def test_patches_that_are_their_class_label_every_pixel(
    name: str, sees_colours: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    """Objects fill whole cells. Bilinear scores move borders between unlike neighbours by less than half a cell."""
    metrics = measured(name, tiny_backbone, shapes, tmp_path)
    assert metrics["dense_mIoU"] is not None
    assert metrics["dense_mIoU"] > 80
    assert metrics["dense_aAcc"] > 90  # type: ignore[operator]


@pytest.mark.parametrize("name", DENSE)
def test_patches_that_know_nothing_do_not(
    name: str, sees_nothing: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    metrics = measured(name, tiny_backbone, shapes, tmp_path)
    assert metrics["dense_mIoU"] is not None
    assert metrics["dense_mIoU"] < 25


def test_discovery_beats_the_trivial_boxes_where_objects_differ_from_the_ground(
    sees_colours: None, tiny_backbone: Path, shapes: DatasetFolder, tmp_path: Path
) -> None:
    metrics = measured("object_discovery", tiny_backbone, shapes, tmp_path, "settings.discovery.expand=4")
    assert metrics["CorLoc_whole"] == 0.0  # no object fills half of its image
    assert metrics["CorLoc"] is not None
    assert metrics["CorLoc"] > metrics["CorLoc_central"] + 20  # type: ignore[operator]
