"""The figures show what they claim: boxes where the dictionary says, own image excluded, boxes in both rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from pretrain import figures
from pretrain.methods.mls import Mls
from pretrain.methods.saliency import Saliency
from pretrain.recipe import Recipe, load_recipe

SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=8", "schedule.epochs=2",
    "views.crop_size=32",
]  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index}.png" for index in range(12)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures before they become pixels."""
    kept: list[Figure] = []
    save = figures._save

    def keep(figure: Figure, path: Path) -> None:
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(figures, "_save", keep)
    return kept


def recipe_of(name: str, images: list[Path], *overrides: str) -> Recipe:
    return load_recipe(name, [*SMALL, f"data.root={images[0].parent}", *overrides])


def rectangles(figure: Figure) -> list[list[Rectangle]]:
    return [[patch for patch in axis.patches if isinstance(patch, Rectangle)] for axis in figure.axes]


def test_pseudo_positives_are_the_nearest_slots_of_other_images(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    method = Mls(recipe_of("mls_demo", images, "mls.dictionary_size=16", "mls.k=3"), images).train()
    state = {name: value.clone() for name, value in method.query_encoder.state_dict().items()}
    batch = figures._one_batch(method)
    features, _ = figures._query_outputs(method, batch)
    boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9]]).expand(8, 4)
    # First half: the queries' own images with the queries' own features, so they would be nearest. Second half: others.
    method.dictionary.enqueue(features, features[:, :8], batch.indices, boxes)
    others = torch.tensor([index for index in range(12) if index not in batch.indices.tolist()]).repeat(2)
    method.dictionary.enqueue(torch.randn_like(features), features[:, :8], others, boxes)
    figures.draw_pseudo_positives(method, tmp_path / "figure.png", queries=2, neighbours=3)
    [figure] = drawn
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * (1 + 3)
    for group in (0, 1):
        query, *neighbours = figure.axes[4 * group : 4 * group + 4]
        [frame] = query.patches
        assert isinstance(frame, Rectangle)
        left, top = (float(value) * 224 for value in batch.global_boxes[group, 0, :2])
        assert frame.get_xy() == pytest.approx((left, top), abs=1e-3)
        scores = torch.nn.functional.normalize(features[group : group + 1]) @ method.dictionary.features.T
        scores[:, batch.indices[group] == method.dictionary.image_ids] = -2
        for axis, expected in zip(neighbours, scores.topk(3).values[0].tolist(), strict=True):
            assert axis.get_title() == f"{expected:.2f}"
            assert axis.patches[0].get_xy() == pytest.approx((0.1 * 224, 0.2 * 224), abs=1e-3)
    for name, value in method.query_encoder.state_dict().items():
        assert torch.equal(value, state[name])  # drawing leaves no trace


def test_before_training_the_histograms_are_those_of_the_seed(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    recipe = recipe_of("mls_demo", images, "mls.dictionary_size=256", "mls.k=3")
    torch.manual_seed(recipe.seed)
    method = Mls(recipe, images).train()
    generator = torch.get_rng_state()
    figures.draw_score_histograms(method, tmp_path / "untrained.png")
    assert torch.equal(torch.get_rng_state(), generator)
    heights = [[bar.get_height() for bar in bars] for bars in rectangles(drawn[0])]
    assert heights[0] == heights[2]  # an untrained method: before and after are the same
    assert heights[1] == heights[3]
    for axis, bars in zip(drawn[0].axes, rectangles(drawn[0]), strict=True):
        assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1), axis.get_title()


def test_saliency_figures_show_maps_and_both_kinds_of_boxes(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    keys = ["moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64"]
    method = Saliency(recipe_of("saliency_demo", images, *keys), images).train()
    figures.draw_saliency_overlays(method, tmp_path / "maps.png", count=3)
    figures.draw_sampled_boxes(method, tmp_path / "boxes.png", count=3)
    overlays, boxes = drawn
    assert [len(axis.images) for axis in overlays.axes] == [1, 1, 1, 2, 2, 2]
    for axis in overlays.axes[3:]:
        grid = np.asarray(axis.images[1].get_array())
        assert grid.shape == (2, 2)
        assert grid.min() >= 0
        assert grid.max() <= 1
    assert [len(found) for found in rectangles(boxes)] == [4] * 6  # two anchors, two partners, random and saliency
    for name in ("maps.png", "boxes.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            assert picture.width > 400


def test_images_that_cannot_be_decoded_are_left_out(images: list[Path], drawn: list[Figure], tmp_path: Path) -> None:
    images[3].write_bytes(b"no image")
    keys = ["moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64"]
    method = Saliency(recipe_of("saliency_demo", images, *keys), images).train()
    figures.draw_saliency_overlays(method, tmp_path / "maps.png", count=12)
    assert sum(len(axis.images) for axis in drawn[0].axes) == 3 * 11
