"""Rules on what the network is fed: channel order, mean, standard deviation."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.config_lint.rule import ERROR, Hit, Rule
from transfer.config_lint.settings import Inputs, Setting, Settings
from transfer.config_lint.weights import Triple, Weights

_SAME = 0.5
"""Statistics on the 0-255 scale count as equal within this: toolboxes round them differently."""
_IMAGENET_MEANS = ((103.53, 116.28, 123.675), (102.98, 115.95, 122.77))


def check_channel_order(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Images in another order than the weights'."""
    for inputs in settings.inputs:
        order = inputs.channel_order
        if weights and weights.channel_order and order and order.value != weights.channel_order:
            detail = f"images are fed as {order.value}{order.origin}; the weights take {weights.channel_order}"
            yield Hit.on(order, detail, weights)


def check_mean_order(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """ImageNet's mean, its values in the order opposite to the images'."""
    for inputs in settings.inputs:
        order, mean = inputs.channel_order, inputs.mean
        if order is None or mean is None:
            continue
        if any(_close(sorted(mean.value), known) for known in _IMAGENET_MEANS):
            written = "BGR" if mean.value[0] < mean.value[2] else "RGB"
            if written != order.value:
                yield Hit.on(mean, f"{mean.value}{mean.origin} is in {written} order; images are fed as {order.value}")


def check_statistics_scale(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Statistics on the 0-1 scale, where images come as 0-255."""
    for inputs in settings.inputs:
        wrong = _on_unit_scale(inputs)
        if wrong is not None:
            yield Hit.on(wrong, f"{wrong.value} is on the 0-1 scale; images come as 0-255")


def check_unit_std(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A standard deviation of ones (Caffe's) with weights that were trained with another."""
    for inputs in settings.inputs:
        std = inputs.std
        if weights and weights.std and std and _is_ones(std.value) and not _is_ones(weights.std):
            yield Hit.on(std, f"{std.value}{std.origin}; the weights were trained with {_shown(weights.std)}", weights)


def check_statistics(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Another mean or standard deviation than the weights' own, where those are known for certain."""
    if weights is None or not weights.certain or weights.mean is None or weights.std is None:
        return
    for inputs in settings.inputs:
        if _on_unit_scale(inputs) or any(check_mean_order(_only(settings, inputs), None)):
            continue
        turned = inputs.channel_order is not None and inputs.channel_order.value != weights.channel_order
        for stated, own in ((inputs.mean, weights.mean), (inputs.std, weights.std)):
            wanted = own[::-1] if turned else own
            told_already = stated is inputs.std and stated is not None and _is_ones(stated.value)
            if stated is not None and not told_already and not _close(stated.value, wanted):
                yield Hit.on(stated, f"{stated.value}{stated.origin}; the weights' own is {_shown(wanted)}", weights)


def _only(settings: Settings, inputs: Inputs) -> Settings:
    return Settings(settings.config, inputs=[inputs])


def _on_unit_scale(inputs: Inputs) -> Setting | None:
    mean, std = inputs.mean, inputs.std
    if mean is not None and any(mean.value) and max(abs(value) for value in mean.value) <= 1:
        return mean
    return std if std is not None and max(std.value) < 1 else None


def _is_ones(values: list[float] | Triple) -> bool:
    return all(value == 1 for value in values)


def _close(first: list[float] | Triple, second: list[float] | Triple) -> bool:
    return all(abs(a - b) <= _SAME for a, b in zip(first, second, strict=True))


def _shown(values: Triple) -> list[float]:
    return [round(value, 3) for value in values]


RULES = (
    Rule(
        "channel-order",
        ERROR,
        "RGB or BGR images against the weights",
        "Red and blue swapped leave the last stage a cosine of 0.415 to the right features (R50), without any message.",
        "bgr_to_rgb=True for RGB weights, False for BGR ones (older files: to_rgb).",
        "INPUT.FORMAT: RGB for torchvision-style weights, with PIXEL_MEAN and PIXEL_STD in that order.",
        check_channel_order,
    ),
    Rule(
        "mean-order",
        ERROR,
        "ImageNet's mean in the order opposite to the images'",
        "Red and blue are shifted by each other's mean. Not measured alone; swapped channels leave a cosine of 0.416.",
        "List mean and std in the order after bgr_to_rgb: [123.675, 116.28, 103.53] for RGB.",
        "List PIXEL_MEAN and PIXEL_STD in the order of INPUT.FORMAT: [123.675, 116.28, 103.53] for RGB.",
        check_mean_order,
    ),
    Rule(
        "statistics-scale",
        ERROR,
        "mean or std on the 0-1 scale, for 0-255 images",
        "Neither toolbox divides by 255: a pixel of 200 becomes about 871; cosine 0.428 of the last stage, and 0.548 "
        "even where batch norm is in training mode.",
        "Multiply both by 255: mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375].",
        "Multiply both by 255: PIXEL_MEAN [123.675, 116.28, 103.53], PIXEL_STD [58.395, 57.12, 57.375].",
        check_statistics_scale,
    ),
    Rule(
        "unit-std",
        ERROR,
        "std of ones with torchvision-style weights",
        "The input is about 57 times too large: cosine 0.433 of the last stage (0.434 with BGR as well), silently.",
        "std=[58.395, 57.12, 57.375], or what the weights were trained with.",
        "PIXEL_STD: [58.395, 57.12, 57.375], or what the weights were trained with.",
        check_unit_std,
    ),
    Rule(
        "statistics",
        ERROR,
        "another mean or std than the weights' own",
        "SimCLR's normalisation on MoCo's weights, for example, leaves a cosine of 0.476 of the last stage.",
        "Write the weights' own mean and std; 'scenebench export' does.",
        "Write the weights' own PIXEL_MEAN and PIXEL_STD; 'scenebench export' does.",
        check_statistics,
    ),
)
