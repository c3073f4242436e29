"""Batched photometric augmentation against torchvision, operator by operator and as a whole."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as transforms
import torchvision.transforms.v2.functional as tvf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pretrain.data import augment
from pretrain.data.augment import (
    BLUR_KERNEL,
    BLUR_SIGMA,
    BRIGHTNESS,
    CONTRAST,
    GREY,
    HUE,
    ORDER,
    ORDERS,
    PARAMETERS,
    SATURATION,
    SOLARISE,
    apply_photometric,
    draw_parameters,
)
from pretrain.recipes.data import SecondViewRecipe, ViewsRecipe

DRAWS = 100_000


def without_effect(count: int) -> Tensor:
    parameters = torch.zeros(count, PARAMETERS)
    parameters[:, ORDER] = -1
    parameters[:, BRIGHTNESS : SATURATION + 1] = 1
    parameters[:, BLUR_KERNEL] = 5
    parameters[:, SOLARISE] = 256
    return parameters


def random_images(count: int, size: int = 24, seed: int = 0) -> Tensor:
    """Noise, smooth colours, grey, black, white and saturated images in turn."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    smooth = torch.randint(0, 256, (count, 3, 3, 3), dtype=torch.uint8, generator=generator)
    images[1::2] = tvf.resize(smooth, [size, size], antialias=True)[1::2]
    images[4::7] = images[4::7, :1]
    images[5::7, 0] = 255
    images[6::7, :, : size // 2] = 0
    return images


@pytest.mark.parametrize(
    ("column", "values", "tv"),
    [
        (BRIGHTNESS, (0.0, 0.6, 1.0, 1.4, 2.0), tvf.adjust_brightness),
        (CONTRAST, (0.0, 0.6, 1.0, 1.4, 2.0), tvf.adjust_contrast),
        (SATURATION, (0.0, 0.6, 1.0, 1.4, 2.0), tvf.adjust_saturation),
        (HUE, (-0.5, -0.1, 0.0, 0.07, 0.5), tvf.adjust_hue),
    ],
)
def test_each_jitter_operator_equals_torchvision_on_bytes(column, values, tv):
    images = random_images(14)
    for value in values:
        parameters = without_effect(len(images))
        parameters[:, ORDER] = 0
        parameters[:, column] = value
        expected = torch.stack([tv(image, value) for image in images]).float()
        assert (apply_photometric(images, parameters) - expected).abs().max() < 2
        assert value in (0.0, 1.0) or not torch.equal(expected, images.float())


def test_grey_blur_and_solarise_equal_torchvision_on_bytes():
    images = random_images(14)
    parameters = without_effect(len(images))
    parameters[:, GREY] = 1
    assert (apply_photometric(images, parameters) - tvf.rgb_to_grayscale(images, 3)).abs().max() < 1
    for kernel, sigma in ((1, 1.0), (3, 0.1), (5, 0.7), (11, 2.0)):
        parameters = without_effect(len(images))
        parameters[:, BLUR_SIGMA], parameters[:, BLUR_KERNEL] = sigma, kernel
        expected = tvf.gaussian_blur(images, [kernel] * 2, [sigma] * 2)
        assert (apply_photometric(images, parameters) - expected).abs().max() <= 0.51  # it rounds
    parameters = without_effect(len(images))
    parameters[:, SOLARISE] = 128
    assert torch.equal(apply_photometric(images, parameters), tvf.solarize(images, 128).float())


def test_hue_equals_colorsys_in_float64():
    images = random_images(7, size=8)
    parameters = without_effect(7)
    parameters[:, ORDER] = 0
    parameters[:, HUE] = torch.linspace(-0.5, 0.5, 7)
    found = apply_photometric(images, parameters)
    for image, turned, shift in zip(images, found, parameters[:, HUE].tolist(), strict=True):
        for pixel, result in zip(image.flatten(1).T.tolist(), turned.flatten(1).T.tolist(), strict=True):
            h, s, v = colorsys.rgb_to_hsv(*(value / 255 for value in pixel))
            expected = [255 * value for value in colorsys.hsv_to_rgb((h + shift) % 1, s, v)]
            assert result == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("order", range(len(ORDERS)))
def test_every_order_of_jitter_equals_the_reference(order):
    images = random_images(10, seed=order)
    rng = np.random.default_rng(order)
    parameters = without_effect(10)
    parameters[:, ORDER] = order
    for column in (BRIGHTNESS, CONTRAST, SATURATION):
        parameters[:, column] = torch.from_numpy(rng.uniform(0.5, 1.6, 10))
    parameters[:, HUE] = torch.from_numpy(rng.uniform(-0.3, 0.3, 10))
    difference = apply_photometric(images, parameters) - apply_photometric(images, parameters, "reference")
    assert difference.abs().max() < 0.01


def test_the_orders_differ():
    images = random_images(1).repeat(len(ORDERS), 1, 1, 1)
    parameters = without_effect(len(ORDERS))
    parameters[:, ORDER] = torch.arange(len(ORDERS))
    parameters[:, BRIGHTNESS], parameters[:, CONTRAST], parameters[:, SATURATION], parameters[:, HUE] = (
        1.4,
        1.5,
        1.6,
        0.2,
    )
    results = apply_photometric(images, parameters)
    assert len({result.numpy().tobytes() for result in results}) == len(ORDERS)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40), view=st.integers(0, 1))
def test_drawn_parameters_give_what_torchvision_gives(seed, count, view):
    rng = np.random.default_rng(seed)
    views = ViewsRecipe(crop_size=48, solarise_p=0.3, view2=SecondViewRecipe(blur_p=1.0, solarise_p=1.0))
    parameters = torch.from_numpy(np.stack([draw_parameters(rng, views, view) for _ in range(count)]))
    images = random_images(count, size=48, seed=seed)
    found = apply_photometric(images, parameters)
    difference = (found - apply_photometric(images, parameters, "reference")).abs()
    # Solarising inverts at a threshold, where rounding decides; everywhere else the two are equal.
    at_threshold = (parameters[:, SOLARISE] < 256).view(-1, 1, 1, 1) & (difference > 0.01)
    assert difference[~at_threshold].max() < 0.01
    assert at_threshold.float().mean() < 0.001
    assert found.dtype == torch.float32
    assert found.min() > -1e-3
    assert found.max() < 255 + 1e-3


def test_a_chain_is_on_average_within_two_levels_of_torchvision_on_bytes():
    """torchvision's byte operators truncate after each step, so that a chain of four is a little darker."""
    rng = np.random.default_rng(0)
    views = ViewsRecipe(crop_size=48)
    parameters = torch.from_numpy(np.stack([draw_parameters(rng, views) for _ in range(64)]))
    parameters[:, BLUR_SIGMA] = 0
    images = random_images(64, size=48)
    expected = images.clone()
    for row, values in enumerate(parameters.tolist()):
        if values[ORDER] >= 0:
            for column in ORDERS[int(values[ORDER])]:
                expected[row] = augment._REFERENCE_JITTER[column](expected[row], values[column])
        if values[GREY]:
            expected[row] = tvf.rgb_to_grayscale(expected[row], 3)
    difference = apply_photometric(images, parameters) - expected
    assert 0 < difference.mean() < 2
    assert difference.abs().mean() < 2


def test_a_sample_depends_on_its_own_parameters_only():
    rng = np.random.default_rng(3)
    views = ViewsRecipe(crop_size=32, solarise_p=0.5)
    parameters = torch.from_numpy(np.stack([draw_parameters(rng, views) for _ in range(50)]))
    images = random_images(50, size=32)
    together = apply_photometric(images, parameters)
    alone = torch.cat([apply_photometric(images[row : row + 1], parameters[row : row + 1]) for row in range(50)])
    assert (together - alone).abs().max() < 0.01
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(apply_photometric(channels_last, parameters), together)


def test_without_operators_the_image_is_unchanged_and_the_input_is_never_written():
    images = random_images(5)
    before = images.clone()
    assert torch.equal(apply_photometric(images, without_effect(5)), images.float())
    parameters = without_effect(5)
    parameters[:, ORDER], parameters[:, BRIGHTNESS], parameters[:, GREY] = 3, 0.5, 1
    apply_photometric(images, parameters)
    assert torch.equal(images, before)


def test_autocast_does_not_coarsen_the_result():
    images, parameters = random_images(6), without_effect(6)
    parameters[:, ORDER], parameters[:, CONTRAST], parameters[:, BLUR_SIGMA] = 2, 1.3, 1.0
    expected = apply_photometric(images, parameters)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(apply_photometric(images, parameters), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_gives_what_the_cpu_gives():
    rng = np.random.default_rng(5)
    views = ViewsRecipe(crop_size=48)
    parameters = torch.from_numpy(np.stack([draw_parameters(rng, views) for _ in range(40)]))
    images = random_images(40, size=48)
    expected = apply_photometric(images, parameters)
    for where in (parameters, parameters.cuda()):
        assert (apply_photometric(images.cuda(), where).cpu() - expected).abs().max() < 0.05


def drawn(views: ViewsRecipe, view: int = 0, count: int = DRAWS) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([draw_parameters(rng, views, view) for _ in range(count)])


def test_parameters_follow_the_distributions_of_torchvision():
    views = ViewsRecipe()
    found = drawn(views)
    jittered = found[found[:, ORDER] >= 0]
    assert len(jittered) / DRAWS == pytest.approx(0.8, abs=0.005)
    assert np.mean(found[:, GREY]) == pytest.approx(0.2, abs=0.005)
    assert np.mean(found[:, BLUR_SIGMA] > 0) == pytest.approx(0.5, abs=0.006)
    assert np.all(found[:, SOLARISE] == 256)
    assert np.all(found[:, BLUR_KERNEL] == 23)
    unjittered = found[found[:, ORDER] < 0]
    assert np.all(unjittered[:, BRIGHTNESS : HUE + 1] == (1, 1, 1, 0))

    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    torch.manual_seed(0)
    peers = [jitter.make_params([]) for _ in range(20_000)]
    for column, key in (
        (BRIGHTNESS, "brightness_factor"),
        (CONTRAST, "contrast_factor"),
        (SATURATION, "saturation_factor"),
        (HUE, "hue_factor"),
    ):
        assert stats.ks_2samp(jittered[:, column], [peer[key] for peer in peers]).pvalue > 0.001
    sigma = found[found[:, BLUR_SIGMA] > 0, BLUR_SIGMA]
    assert stats.kstest(sigma, stats.uniform(0.1, 1.9).cdf).pvalue > 0.001
    orders = np.bincount(jittered[:, ORDER].astype(int), minlength=24)
    assert stats.chisquare(orders).pvalue > 0.001
    # No parameter tells anything about another.
    correlation = np.corrcoef(jittered[:, [ORDER, BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY]].T) - np.eye(6)
    assert np.abs(correlation).max() < 0.02


def test_the_second_view_may_have_its_own_probabilities():
    views = ViewsRecipe(blur_p=1.0, view2=SecondViewRecipe(blur_p=0.1, solarise_p=0.2))
    first, second = drawn(views, 0, 5000), drawn(views, 1, 5000)
    assert np.all(first[:, BLUR_SIGMA] > 0)
    assert np.all(first[:, SOLARISE] == 256)
    assert np.mean(second[:, BLUR_SIGMA] > 0) == pytest.approx(0.1, abs=0.02)
    assert np.mean(second[:, SOLARISE] == 128) == pytest.approx(0.2, abs=0.02)
    assert np.mean(second[:, ORDER] >= 0) == pytest.approx(0.8, abs=0.03)


@given(jitter_p=st.sampled_from([0.0, 1.0]), blur_p=st.sampled_from([0.0, 1.0]))
def test_the_number_of_draws_does_not_depend_on_the_outcome(jitter_p, blur_p):
    rng, peer = np.random.default_rng(7), np.random.default_rng(7)
    draw_parameters(rng, ViewsRecipe(jitter_p=jitter_p, blur_p=blur_p))
    draw_parameters(peer, ViewsRecipe())
    assert rng.random() == peer.random()


@pytest.mark.parametrize(("crop", "kernel"), [(224, 23), (112, 11), (96, 9), (64, 7), (32, 3)])
def test_default_blur_kernel(crop, kernel):
    assert augment.default_blur_kernel(crop) == kernel
