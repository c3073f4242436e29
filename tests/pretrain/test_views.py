"""Boxes and cuts against torchvision, and the layout of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tvf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from pretrain.data.augment import PARAMETERS
from pretrain.data.views import (
    Batch,
    ViewMaker,
    cut,
    random_resized_crop,
    to_pixels,
)
from pretrain.recipes.data import ViewsRecipe


@pytest.mark.parametrize(
    ("width", "height", "scale", "ratio", "draws"),
    [
        (640, 480, (0.2, 1.0), (3 / 4, 4 / 3), 10_000),
        (128, 128, (0.6, 1.0), (3 / 4, 4 / 3), 10_000),
        (300, 90, (0.2, 1.0), (3 / 4, 4 / 3), 2_000),  # often no draw fits
        (60, 400, (0.5, 1.0), (1.0, 2.0), 200),  # never
    ],
)
def test_crops_are_distributed_as_torchvisions(width, height, scale, ratio, draws):
    rng = np.random.default_rng(0)
    found = np.array([random_resized_crop(rng, width, height, scale, ratio) for _ in range(draws)])
    torch.manual_seed(0)
    image = torch.empty(3, height, width, dtype=torch.uint8)
    peers = np.array([RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(draws)])
    top, left, peer_height, peer_width = peers.T
    for mine, peer in (
        (found[:, 0], left),
        (found[:, 1], top),
        (found[:, 2] - found[:, 0], peer_width),
        (found[:, 3] - found[:, 1], peer_height),
        ((found[:, 2] - found[:, 0]) / (found[:, 3] - found[:, 1]), peer_width / peer_height),
        ((found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1]), peer_width * peer_height),
    ):
        assert stats.ks_2samp(mine, peer).pvalue > 0.001


def test_every_place_is_as_likely():
    rng = np.random.default_rng(0)
    boxes = np.array([random_resized_crop(rng, 5, 6, (16 / 30, 16 / 30), (1.0, 1.0)) for _ in range(3000)])
    assert np.all(boxes[:, 2:] - boxes[:, :2] == 4)
    assert np.bincount(boxes[:, 0]) / 3000 == pytest.approx([1 / 2] * 2, abs=0.04)
    assert np.bincount(boxes[:, 1]) / 3000 == pytest.approx([1 / 3] * 3, abs=0.04)


@given(
    width=st.integers(1, 50),
    height=st.integers(1, 50),
    seed=st.integers(0, 1000),
    low=st.floats(0.01, 1.0),
    ratio=st.floats(0.2, 1.0),
)
def test_crops_lie_inside_images_of_any_size(width, height, seed, low, ratio):
    left, top, right, bottom = random_resized_crop(
        np.random.default_rng(seed), width, height, (low, 1.0), (ratio, 1 / ratio)
    )
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


@given(
    corners=st.tuples(*[st.floats(0, 1)] * 4),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
)
def test_boxes_in_pixels_are_the_nearest_and_never_empty(corners, width, height):
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(corners[2:])
    left, top, right, bottom = to_pixels(np.array([x0, y0, x1, y1]), width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs(left - x0 * width) <= 1
    assert abs(right - x1 * width) <= 1.5
    if (x1 - x0) * width >= 1 and (y1 - y0) * height >= 1:
        assert abs(right - x1 * width) <= 0.5 + 1e-9 or right == left + 1
        assert abs(top - y0 * height) <= 0.5 + 1e-9


def photograph(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    small = torch.randint(0, 256, (3, 9, 9), dtype=torch.uint8, generator=generator)
    image = tvf.resize(small, [height, width]).permute(1, 2, 0).contiguous()
    return image.permute(2, 0, 1)  # as decoded: channels last


@pytest.mark.parametrize("box", [(3, 7, 70, 51), (0, 0, 80, 60), (10, 10, 12, 60), (5, 5, 6, 6)])
def test_a_cut_equals_torchvisions_resized_crop(box):
    image = photograph(60, 80)
    left, top, right, bottom = box
    expected = tvf.resized_crop(image, top, left, bottom - top, right - left, [32, 32], antialias=True)
    assert (cut(image, box, 32).int() - expected.int()).abs().max() <= 1
    assert torch.equal(cut(image, box, 32, flip=True), cut(image, box, 32).flip(-1))


def coordinates_image(height: int, width: int) -> Tensor:
    """Red grows along x, green along y: a crop's mean colour says where it was cut."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[0] = (torch.arange(width) * 255 / width).round().to(torch.uint8)
    image[1] = (torch.arange(height) * 255 / height).round().to(torch.uint8).view(-1, 1)
    return image


def centre_pairs(index: int, rng: np.random.Generator) -> np.ndarray:
    anchors = rng.uniform(0.1, 0.3, (3, 1, 1))
    return np.tile(np.concatenate([anchors, anchors, 1 - anchors, 1 - anchors], axis=-1), (1, 2, 1))


def test_boxes_say_where_the_crops_were_cut():
    batch = Batch.empty(8, 64, 3, 32)
    maker = ViewMaker(ViewsRecipe(crop_size=64), centre_pairs)
    for row in range(8):
        maker.fill(batch, row, coordinates_image(200, 250), row + 5, np.random.default_rng([0, 0, row]))
    assert batch.indices.tolist() == list(range(5, 13))
    for views, boxes in ((batch.global_views, batch.global_boxes), (batch.local_views, batch.local_boxes)):
        centres = torch.stack([(boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2], dim=-1)
        means = views.float().mean(dim=(-2, -1))[..., :2] / 255
        assert torch.allclose(means, centres, atol=0.01)
    # A flip mirrors what was cut; about half of the views are.
    flipped = batch.global_views[..., 0, :, 0].float().mean(-1) > batch.global_views[..., 0, :, -1].float().mean(-1)
    assert 2 <= int(flipped.sum()) <= 14
    shares = torch.from_numpy(centre_pairs(0, np.random.default_rng(0)))
    assert batch.local_boxes.shape == (8, *shares.shape)
    assert torch.allclose(batch.local_boxes[..., 0] + batch.local_boxes[..., 2], torch.ones(8, 3, 2), atol=0.01)


def test_flips_can_be_switched_off_and_on():
    for flip_p in (0.0, 1.0):
        batch = Batch.empty(4, 64, 0, 32)
        maker = ViewMaker(ViewsRecipe(crop_size=64, flip_p=flip_p))
        for row in range(4):
            maker.fill(batch, row, coordinates_image(100, 100), 0, np.random.default_rng(row))
        rising = batch.global_views[..., 0, :, 0].float().mean(-1) < batch.global_views[..., 0, :, -1].float().mean(-1)
        assert rising.all() if flip_p == 0 else not rising.any()


def test_local_crops_leave_the_global_views_as_they_are():
    image = photograph(90, 120)
    with_pairs, without = Batch.empty(1, 64, 3, 32), Batch.empty(1, 64, 0, 32)
    views = ViewsRecipe(crop_size=64)
    ViewMaker(views, centre_pairs).fill(with_pairs, 0, image, 0, np.random.default_rng(4))
    ViewMaker(views).fill(without, 0, image, 0, np.random.default_rng(4))
    assert torch.equal(with_pairs.global_views, without.global_views)
    assert torch.equal(with_pairs.global_boxes, without.global_boxes)
    assert torch.equal(with_pairs.global_photometric, without.global_photometric)
    assert without.local_views is None


def test_layout_of_a_batch():
    batch = Batch.empty(4, 64, 3, 32)
    assert batch.global_views.shape == (4, 2, 3, 64, 64)
    assert batch.global_views[:, 0].is_contiguous(memory_format=torch.channels_last) is False  # strided over two views
    assert batch.global_views.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert batch.global_views.flatten(0, 1).data_ptr() == batch.global_views.data_ptr()
    assert batch.local_views.shape == (4, 3, 2, 3, 32, 32)
    assert batch.local_views.dtype == torch.uint8
    assert batch.global_photometric.shape == (4, 2, PARAMETERS)
    assert batch.local_photometric.shape == (4, 3, 2, PARAMETERS)
    assert batch.local_boxes.dtype == batch.global_boxes.dtype == torch.float32
