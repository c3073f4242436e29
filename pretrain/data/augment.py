"""Photometric augmentation of a batch: jitter, grey, blur and solarise with parameters of its own for every sample.

:func:`draw_parameters` draws one sample's parameters on the host, with torchvision's distributions, and
:func:`apply_photometric` applies a whole batch's on the device. The operators are torchvision's, on floating-point
images (its 8-bit ones truncate after every step): ``ColorJitter`` in the sample's own order, ``RandomGrayscale``,
``GaussianBlur`` and ``RandomSolarize``, in the sequence of MoCo-v2 and BYOL.
:func:`apply_reference` is the same, image by image, with torchvision itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
import torchvision.transforms.v2.functional as tvf
from torch import Tensor

from pretrain.recipes.data import ViewsRecipe
from scenebench.errors import require_choice

# Columns of the parameters.
ORDER = 0  # 0..23, an index into ORDERS; -1: no jitter
BRIGHTNESS, CONTRAST, SATURATION = 1, 2, 3  # factors; 1 changes nothing
HUE = 4  # shift as a share of the circle, in [-0.5, 0.5]; 0 changes nothing
GREY = 5  # 1: grey, 0: not
BLUR_SIGMA = 6  # pixels; 0: no blur
BLUR_KERNEL = 7  # pixels, odd; the same in a whole batch
SOLARISE = 8  # pixels at or above it are inverted; 256: none
PARAMETERS = 9

ORDERS = tuple(itertools.permutations((BRIGHTNESS, CONTRAST, SATURATION, HUE)))
LUMA = (0.2989, 0.587, 0.114)  # torchvision's weights of red, green and blue; they sum to 0.9999


def draw_parameters(rng: np.random.Generator, views: ViewsRecipe, view: int = 0) -> np.ndarray:
    """One sample's parameters.

    Args:
        view: 0 for the first view, 1 for the second, which may have other probabilities (``views.view2``).

    Returns:
        float32 array of :data:`PARAMETERS` numbers; the number of draws from ``rng`` does not depend on their values.
    """
    uniform = rng.random(11)
    parameters = np.zeros(PARAMETERS, dtype=np.float32)
    jitter = uniform[0] < _probability(views, "jitter_p", view)
    parameters[ORDER] = int(uniform[1] * len(ORDERS)) if jitter else -1
    for column, strength, share in (
        (BRIGHTNESS, views.brightness, uniform[2]),
        (CONTRAST, views.contrast, uniform[3]),
        (SATURATION, views.saturation, uniform[4]),
    ):
        parameters[column] = 1 + strength * (2 * share - 1) if jitter else 1
    parameters[HUE] = views.hue * (2 * uniform[5] - 1) if jitter else 0
    parameters[GREY] = uniform[6] < _probability(views, "grey_p", view)
    low, high = views.blur_sigma
    parameters[BLUR_SIGMA] = low + (high - low) * uniform[8] if uniform[7] < _probability(views, "blur_p", view) else 0
    parameters[BLUR_KERNEL] = views.blur_kernel or default_blur_kernel(views.crop_size)
    solarise = uniform[9] < _probability(views, "solarise_p", view)
    parameters[SOLARISE] = views.solarise_threshold if solarise else 256
    return parameters


def default_blur_kernel(crop_size: int) -> int:
    """The odd number of pixels nearest to a tenth of the crop (SimCLR): 23 of 224, 11 of 112, 9 of 96."""
    return 2 * (crop_size // 20) + 1


def apply_photometric(images: Tensor, parameters: Tensor, how: str = "batched") -> Tensor:
    """Augment each image by its own parameters.

    Args:
        images: uint8, N x 3 x H x W in any memory format, on any device.
        parameters: float32, N x :data:`PARAMETERS`. Best on the CPU: which operators a sample needs is decided there.
        how: ``batched``, or ``reference`` for torchvision's operators image by image.

    Returns:
        float32 of the same shape and device, in [0, 255] up to float rounding, not rounded to whole levels. A sample
        without any operator is unchanged.
    """
    require_choice("views.augment", how, ["batched", "reference"])
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if how == "reference":
            rows = zip(images, parameters.tolist(), strict=True)
            return torch.stack([apply_reference(image, values) for image, values in rows])
        return _apply_batched(images, parameters.float().cpu().numpy())


def _apply_batched(images: Tensor, parameters: np.ndarray) -> Tensor:
    """Every operator runs once on all samples that need it, whatever their order of jitter.

    Brightness, contrast and saturation have one form, ``clamp(factor x + (1 - factor) target)``, where the target is 0,
    the sample's mean luma or the pixel's luma: which one is next is a matter of numbers, and three passes do for all 24
    orders. Hue comes before, between or after them; samples with the same place of it are brought together.
    """
    place = _hue_place(parameters[:, ORDER])
    rows = np.argsort(place, kind="stable")
    chosen = torch.from_numpy(rows).to(images.device, non_blocking=True)
    augmented = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    # The loader's batches are channels-last: seen as N x H x W x 3, taking samples out of them is a plain copy.
    channels_last = images.permute(0, 2, 3, 1)
    at_once = len(rows) if images.is_cuda else max(1, _CACHED_NUMBERS // images[0].numel())
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        group = channels_last.index_select(0, chosen[part]).permute(0, 3, 1, 2)
        group = group.to(torch.float32, memory_format=torch.contiguous_format)
        _augment_group(group, parameters[rows[part]], place[rows[part]])
        augmented.index_copy_(0, chosen[part], group)
    return augmented


_CACHED_NUMBERS = 2**19
"""So many floats of images are worked on at once on a CPU: they and what is made of them stay in its cache."""


def apply_reference(image: Tensor, parameters: list[float]) -> Tensor:
    """One uint8 image, 3 x H x W, through torchvision's own operators; float32 in [0, 255]."""
    pixels = image.float() / 255
    if parameters[ORDER] >= 0:
        for column in ORDERS[int(parameters[ORDER])]:
            pixels = _REFERENCE_JITTER[column](pixels, parameters[column])
    if parameters[GREY]:
        pixels = tvf.rgb_to_grayscale(pixels, num_output_channels=3)
    if parameters[BLUR_SIGMA] > 0:
        pixels = tvf.gaussian_blur(pixels, [int(parameters[BLUR_KERNEL])] * 2, [parameters[BLUR_SIGMA]] * 2)
    if parameters[SOLARISE] < 256:
        pixels = tvf.solarize(pixels, parameters[SOLARISE] / 255)
    return pixels * 255


_REFERENCE_JITTER: dict[int, Callable[[Tensor, float], Tensor]] = {
    BRIGHTNESS: tvf.adjust_brightness,
    CONTRAST: tvf.adjust_contrast,
    SATURATION: tvf.adjust_saturation,
    HUE: tvf.adjust_hue,
}


def _probability(views: ViewsRecipe, key: str, view: int) -> float:
    own = getattr(views.view2, key) if view == 1 else None
    return float(getattr(views, key) if own is None else own)


_NO_JITTER = 4


def _hue_place(orders: np.ndarray) -> np.ndarray:
    """How many of the three other operators of jitter come before hue, 0..3; :data:`_NO_JITTER` where none is done."""
    places = np.array([*(order.index(HUE) for order in ORDERS), _NO_JITTER])
    return places[orders.astype(np.int64)]  # -1 is the last


def _augment_group(images: Tensor, parameters: np.ndarray, place: np.ndarray) -> None:
    """Change float images 0..255 in place; the samples are sorted by ``place``, that of the hue."""
    starts = np.searchsorted(place, range(_NO_JITTER + 1))
    jittered = images[: starts[_NO_JITTER]]
    shift = _per_sample(parameters[:, HUE], images)
    for position, passed in enumerate([*_affine_passes(parameters[: starts[_NO_JITTER]]), None]):
        start, end = int(starts[position]), int(starts[position + 1])
        if end > start:
            _hue(images[start:end], shift[start:end])
        if passed is not None and len(jittered):
            _affine(jittered, *(_per_sample(values, images) for values in passed))
    for column, unchanged, operator in ((GREY, 0, _to_grey), (BLUR_SIGMA, 0, _blur), (SOLARISE, 256, _solarise)):
        rows = np.flatnonzero(parameters[:, column] != unchanged)
        if len(rows):
            chosen = torch.from_numpy(rows).to(images.device, non_blocking=True)
            images[chosen] = operator(images[chosen], parameters[rows])


def _affine_passes(parameters: np.ndarray) -> list[np.ndarray]:
    """The three passes of jittered samples: factors, and weights of the pixel's luma and of its mean, each 3 x N."""
    columns = np.array([[column for column in order if column != HUE] for order in ORDERS])
    kinds = columns[parameters[:, ORDER].astype(np.int64)]  # N x 3
    factors = np.take_along_axis(parameters, kinds, axis=1)
    luma = np.where(kinds == SATURATION, 1 - factors, 0)
    mean = np.where(kinds == CONTRAST, 1 - factors, 0)
    return list(np.stack([factors, luma, mean]).astype(np.float32).transpose(2, 0, 1))


def _per_sample(values: np.ndarray, images: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(images.device, non_blocking=True).view(-1, 1, 1, 1)


def _luma(images: Tensor) -> Tensor:
    """N x 1 x H x W."""
    red, green, blue = images.split(1, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _affine(images: Tensor, factor: Tensor, of_luma: Tensor, of_mean: Tensor) -> None:
    """``clamp(factor x + of_luma luma + of_mean mean(luma))``: brightness, contrast and saturation of each sample."""
    luma = _luma(images)
    target = luma.mean(dim=(1, 2, 3), keepdim=True).mul_(of_mean)
    images.mul_(factor).add_(luma.mul_(of_luma).add_(target)).clamp_(0, 255)


def _hue(images: Tensor, shift: Tensor) -> None:
    """Turn the hue, keeping saturation and value (HSV), with arithmetic alone: masks are slow on the CPU.

    On a circle of length 6 with red at 0, the size of the hue is bilinear in the relative red r and ``t = g - b``:
    ``|h| = r |t| + (1 - r)(3 - |t|)``, and its sign is that of t. Back again, a channel is ``min + range * w`` where w
    is a trapezium around the channel's own hue c: ``w = clamp(| |h - c| - 3 | - 1, 0, 1)`` for ``|h - c| <= 6``.
    """
    red, green, blue = images.unbind(dim=1)
    low = torch.minimum(torch.minimum(red, green), blue)
    spread = torch.maximum(torch.maximum(red, green), blue).sub_(low)
    scale = spread.clamp(min=1e-6).reciprocal_()  # a grey pixel has no hue; any will do, since its range is 0
    relative_red = (red - low).mul_(scale)
    difference = (green - blue).mul_(scale)
    hue = (3 - 3 * relative_red).copysign_(difference)
    hue.addcmul_(relative_red.mul_(2).sub_(1), difference)
    hue.add_(shift.view(-1, 1, 1), alpha=6)
    hue.sub_((hue / 6).round_(), alpha=6)  # into [-3, 3]
    for channel, centre in ((red, 0), (green, 2), (blue, -2)):
        weight = (hue - centre).abs_().sub_(3).abs_().sub_(1).clamp_(0, 1)
        torch.addcmul(low, weight, spread, out=channel)


def _to_grey(images: Tensor, parameters: np.ndarray) -> Tensor:
    return _luma(images).expand_as(images).contiguous()


def _solarise(images: Tensor, parameters: np.ndarray) -> Tensor:
    return torch.where(images >= _per_sample(parameters[:, SOLARISE], images), 255 - images, images)


def _blur(images: Tensor, parameters: np.ndarray) -> Tensor:
    """Separable Gaussian blur with reflected borders. A weighted sum of shifted images beats a convolution here: each
    sample has weights of its own, and the two sides of the kernel are equal."""
    radius = int(parameters[0, BLUR_KERNEL]) // 2
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    sigma = _per_sample(parameters[:, BLUR_SIGMA], images)
    weights = torch.softmax(-(offsets / sigma).square() / 2, dim=-1).unbind(dim=-1)  # of each tap: N x 1 x 1
    padded = torch.nn.functional.pad(images, [radius] * 4, mode="reflect")
    return _weighted_shifts(_weighted_shifts(padded, weights, dim=2), weights, dim=3)


def _weighted_shifts(padded: Tensor, weights: tuple[Tensor, ...], dim: int) -> Tensor:
    """Sum over the taps of one axis, which loses the padding."""
    radius = len(weights) // 2
    length = padded.shape[dim] - 2 * radius
    total = padded.narrow(dim, radius, length) * weights[radius].unsqueeze(-1)
    for tap in range(radius):
        both_sides = padded.narrow(dim, tap, length) + padded.narrow(dim, 2 * radius - tap, length)
        total.addcmul_(both_sides, weights[tap].unsqueeze(-1))
    return total
