"""The figures show what they claim: boxes where the dictionary says, own image excluded, boxes in both rows."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from method_batches import own_keys
from PIL import Image

from pretrain.data.sources import ImageFile, list_images
from pretrain.figures import draw_figures, thumbnails
from pretrain.figures import mls as mls_figures
from pretrain.figures import saliency as saliency_figures
from pretrain.methods.mls import Mls
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe

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
    save = thumbnails.save

    def keep(figure: Figure, path: Path) -> Path:
        kept.append(figure)
        return save(figure, path)

    monkeypatch.setattr(thumbnails, "save", keep)
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
    batch = mls_figures.one_batch(method)
    features, _ = mls_figures.query_outputs(method, batch)
    boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9]]).expand(8, 4)
    # First half: the queries' own images with the queries' own features, so they would be nearest. Second half: others.
    method.dictionary.enqueue(features, features[:, :8], batch.indices, boxes)
    others = torch.tensor([index for index in range(12) if index not in batch.indices.tolist()]).repeat(2)
    method.dictionary.enqueue(torch.randn_like(features), features[:, :8], others, boxes)
    mls_figures.draw_pseudo_positives(method, tmp_path / "figure.png", 2, queries=2, neighbours=3)
    [figure] = drawn
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * (1 + 3)
    for group in (0, 1):
        query, *neighbours = figure.axes[5 * group : 5 * group + 4]  # an empty one between the groups
        [frame] = query.patches
        assert isinstance(frame, Rectangle)
        left, top = (float(value) * 224 for value in batch.global_boxes[group, 0, :2])
        assert frame.get_xy() == pytest.approx((left, top), abs=1e-3)
        scores = torch.nn.functional.normalize(features[group : group + 1]) @ method.dictionary.features.T
        own = batch.indices[group] == method.dictionary.image_ids
        assert own[scores.argmax()]  # left in, the own image would be shown
        scores[:, own] = -2
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
    mls_figures.draw_score_histograms(method, tmp_path / "untrained.png", 0)
    assert torch.equal(torch.get_rng_state(), generator)
    heights = [[bar.get_height() for bar in bars] for bars in rectangles(drawn[0])]
    # An untrained method: before and after are the same, but for the last digits of scores that some processors sum in
    # another order from another place in memory. A score in another bin would be a difference of .004 of the whole.
    assert heights[0] == pytest.approx(heights[2], rel=1e-5)
    assert heights[1] == pytest.approx(heights[3], rel=1e-5)
    for axis, bars in zip(drawn[0].axes, rectangles(drawn[0]), strict=True):
        assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1), axis.get_title()


def test_saliency_figures_show_maps_and_both_kinds_of_boxes(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    keys = ["moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64"]
    method = Saliency(recipe_of("saliency_demo", images, *keys), images).train()
    saliency_figures.draw_saliency_overlays(method, tmp_path / "maps.png", 2, count=3)
    saliency_figures.draw_sampled_boxes(method, tmp_path / "boxes.png", 2, count=3)
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
    saliency_figures.draw_saliency_overlays(method, tmp_path / "maps.png", 2, count=12)
    method.on_epoch_start(0)
    method.history.indices[0] = 3
    saliency_figures.draw_saliency_over_training(method, tmp_path / "over.png", 2)
    assert sum(len(axis.images) for axis in drawn[1].axes) == 5 * (1 + 2 * 2)
    assert sum(len(axis.images) for axis in drawn[0].axes) == 3 * 11


def test_what_can_be_decoded_no_more_is_grey(images: list[Path], drawn: list[Figure], tmp_path: Path) -> None:
    figure = Figure()
    images[0].unlink()
    thumbnails.show(figure.subplots(), images[0])
    assert np.unique(np.asarray(figure.axes[0].images[0].get_array())).tolist() == [thumbnails.GREY]


def test_the_threshold_is_that_of_the_labels(images: list[Path], drawn: list[Figure], tmp_path: Path) -> None:
    for own_view in ("out", "in"):
        keys = ["mls.dictionary_size=256", "mls.k=3", f"mls.own_view={own_view}"]
        method = Mls(recipe_of("mls_demo", images, *keys), images).train()
        batch = mls_figures.one_batch(method)
        features, _ = mls_figures.query_outputs(method, batch)
        own = features[:1].expand(8, -1)  # eight slots of its own image, of cosine 1
        method.dictionary.enqueue(own, torch.randn(8, 8), batch.indices[:1].expand(8), torch.zeros(8, 4))
        drawn.clear()
        mls_figures.draw_score_histograms(method, tmp_path / "histograms.png", 2)
        before, after = ([line.get_xdata()[0] for line in drawn[0].axes[place].lines] for place in (0, 2))
        scores = torch.nn.functional.normalize(features[:1]) @ method.dictionary.features[8:].T
        expected = scores.topk(3).values[0, -1].item() if own_view == "out" else 1.0
        assert after == pytest.approx([expected], abs=1e-5)
        assert len(before) == 1
        assert before[0] < 0.9


def test_with_dictionaries_of_keys_so_is_the_state_before_training(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    recipe = recipe_of("mls_demo", images, "mls.dictionary_size=256", "mls.k=3", "mls.queue_init=keys")
    method = Mls(recipe, images).train()
    mls_figures.draw_score_histograms(method, tmp_path / "histograms.png", 2)
    lowest = [min(bar.get_x() for bar in bars if bar.get_height()) for bars in rectangles(drawn[0])]
    assert lowest[0] > 0.1  # features after a ReLU, against features after a ReLU
    assert lowest[2] < 0  # this method has not begun: its slots are random


def test_maps_over_training_are_those_of_their_time(images: list[Path], drawn: list[Figure], tmp_path: Path) -> None:
    keys = [
        "moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64", "schedule.epochs=4",
        "saliency.warmup_share=0.25", "saliency.refresh_share=0.25",
    ]  # fmt: skip
    method = Saliency(recipe_of("saliency_demo", images, *keys), images).train()
    expected = []
    for epoch in range(3):
        method.on_epoch_start(epoch)
        method.on_epoch_start(epoch)  # as on a resume: kept once
        expected.append(method.compute_maps(0)[method.history.indices])
        for parameter in method.base.follower.parameters():
            parameter.data.add_(torch.randn_like(parameter) * parameter.std().nan_to_num())
    now = method.compute_maps(0)[method.history.indices]
    assert method.history.epochs == [0, 1, 2]
    assert torch.equal(method.history.maps, torch.stack(expected))
    other = Saliency(method.recipe, images)
    other.load_state_dict(method.state_dict())
    for one in (method, other):
        drawn.clear()
        saliency_figures.draw_saliency_over_training(one, tmp_path / "over.png", 3)
        axes = np.array(drawn[0].axes).reshape(6, 5)
        assert [axis.get_title() for axis in axes[0]] == ["image", "untrained", "1 epoch", "2 epochs", "3 epochs"]
        for row in range(6):
            assert len(axes[row, 0].images) == 1
            for column, maps in enumerate([*expected, now]):
                shown = np.asarray(axes[row, 1 + column].images[1].get_array())
                np.testing.assert_allclose(shown, maps[row].numpy() / 255, atol=1e-6)


def test_of_many_refreshes_the_first_and_the_last_are_shown(
    images: list[Path], drawn: list[Figure], tmp_path: Path
) -> None:
    keys = ["moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64"]
    method = Saliency(recipe_of("saliency_demo", images, *keys), images).train()
    for epoch in range(30):
        method.history.add(epoch, torch.zeros(6, 2, 2, dtype=torch.uint8))
    saliency_figures.draw_saliency_over_training(method, tmp_path / "over.png", 30)
    titles = [axis.get_title() for axis in drawn[0].axes[:9]]
    assert titles[:2] == ["image", "untrained"]
    assert titles[-2:] == ["29 epochs", "30 epochs"]


VIT = [
    "network.family=vit", "network.depth=50", "network.stem_width=64", "network.vit.width=32", "network.vit.depth=2",
    "network.vit.heads=4", "network.vit.patch=8", "network.vit.image_size=32",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["byol", "attention", "mls_vit", "tar"])
def test_every_kind_of_method_and_image_is_drawn(kind: str, images: list[Path], tmp_path: Path) -> None:
    keys = ["moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64", "views.crop_size=32"]
    keys += ["network.projector.output_dim=8", "schedule.batch_size=8", "schedule.epochs=2"]
    keys += ["mls.dictionary_size=16", "mls.k=3", "byol.predictor_hidden_dim=16"]
    keys += VIT if kind in ("attention", "mls_vit") else ["network.stem_width=8"]
    keys += ["saliency.source=attention"] if kind == "attention" else []
    name = {"byol": "saliency_byol_demo", "mls_vit": "mls_demo"}.get(kind, "saliency_demo")
    files: list[ImageFile] = [*images]
    if kind == "tar":
        with tarfile.open(tmp_path / "images.tar", "w") as tar:
            for path in images:
                tar.add(path, path.name)
        files = list_images(tmp_path / "images.tar")
    recipe = load_recipe(name, own_keys("mls" if kind == "mls_vit" else "saliency", keys))
    method = method_class(recipe.method)(recipe, files).train()
    method.on_epoch_start(0)
    state = {key: value.clone() for key, value in method.state_dict().items() if isinstance(value, torch.Tensor)}
    pictures = draw_figures(method, tmp_path / "figures", 0.5)
    assert sorted(pictures) == sorted((tmp_path / "figures").iterdir())
    assert len(pictures) == (2 if kind == "mls_vit" else 3)
    for picture in pictures:
        with Image.open(picture) as opened:
            assert len(np.unique(np.asarray(opened.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    for key, value in state.items():
        assert torch.equal(method.state_dict()[key], value), key  # drawing leaves no trace
