"""Rules on what the network is fed: channel order, mean, standard deviation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from transfer.config_lint.rule import ERROR, WARNING, Hit, Rule
from transfer.config_lint.settings import Inputs, Setting, Settings
from transfer.config_lint.weights import Triple, Weights

_SAME = 0.5
"""Statistics on the 0-255 scale count as equal within this: toolboxes round them differently."""
_HUGE = 1e30
_PAIRS = (6,)
_SAME_STD = 0.1  # ImageNet's three differ by about one
_IMAGENET_MEANS = ((103.53, 116.28, 123.675), (102.98, 115.95, 122.77))
_IMAGENET_STD_BGR = (57.375, 57.12, 58.395)


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
        order, mean = inputs.channel_order, triple(inputs.mean)
        if order is None or inputs.mean is None or mean is None:
            continue
        if any(_close(sorted(mean), known) for known in _IMAGENET_MEANS):
            written = "BGR" if mean[0] < mean[2] else "RGB"
            if written != order.value:
                detail = f"{list(mean)}{inputs.mean.origin} is in {written} order; images are fed as {order.value}"
                yield Hit.on(inputs.mean, detail)


def check_std_order(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """ImageNet's standard deviation, its values in the order opposite to the images'."""
    for inputs in settings.inputs:
        order, std = inputs.channel_order, triple(inputs.std)
        if order is None or inputs.std is None or std is None or any(check_mean_order(_only(settings, inputs), None)):
            continue  # where the mean is turned as well, that is told
        for written, known in (("BGR", _IMAGENET_STD_BGR), ("RGB", _IMAGENET_STD_BGR[::-1])):
            if written != order.value and _close(std, known, _SAME_STD):
                detail = f"{list(std)}{inputs.std.origin} is in {written} order; images are fed as {order.value}"
                yield Hit.on(inputs.std, detail)


def check_statistics_shape(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Statistics that are not three finite numbers."""
    for inputs in settings.inputs:
        for setting in (inputs.mean, inputs.std):
            if setting is None or setting.value is None or triple(setting) is not None:
                continue
            value = setting.value
            if isinstance(value, list) and len(value) in _PAIRS and all(_is_finite(one) for one in value):
                continue  # a network on two images at once
            numbers = isinstance(value, list) and bool(value) and all(_is_finite(one) for one in value)
            detail = f"{_brief(value)} is not three numbers, one for each channel"
            yield Hit.on(setting, detail, severity=WARNING if numbers else ERROR)


def check_statistics_scale(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """Statistics on the 0-1 scale, where images come as 0-255."""
    for inputs in settings.inputs:
        wrong = _on_unit_scale(inputs)
        if wrong is not None:
            yield Hit.on(wrong, f"{wrong.value} is on the 0-1 scale; images come as 0-255")


def check_no_mean(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Images that are not normalised at all, with weights that were trained with a mean."""
    if weights is None or weights.mean is None or not any(weights.mean):
        return
    for setting in settings.unnormalised:
        yield Hit.on(setting, f"no mean and std; the weights were trained with {_shown(weights.mean)}", weights)
    for inputs in settings.inputs:
        mean = inputs.mean
        if mean is None or weights.certain:  # of known weights 'statistics' tells it
            continue
        if triple(mean) == (0.0, 0.0, 0.0) or mean.value in (None, []):
            yield Hit.on(mean, f"{mean.value}; the weights were trained with {_shown(weights.mean)}", weights)


def check_unit_std(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """A standard deviation of ones (Caffe's) with weights that were trained with another."""
    for inputs in settings.inputs:
        if weights and weights.std and inputs.std and _is_ones(triple(inputs.std)) and not _is_ones(weights.std):
            detail = f"{inputs.std.value}{inputs.std.origin}; the weights were trained with {_shown(weights.std)}"
            yield Hit.on(inputs.std, detail, weights)


def check_statistics(settings: Settings, weights: Weights | None) -> Iterator[Hit]:
    """Another mean or standard deviation than the weights' own, where those are known for certain.

    With supervised stock weights it is a warning: other images (radar, medical) may rightly have other statistics.
    """
    if weights is None or not weights.certain or weights.mean is None or weights.std is None:
        return
    for inputs in settings.inputs:
        if _on_unit_scale(inputs) or any(check_mean_order(_only(settings, inputs), None)):
            continue
        turned = inputs.channel_order is not None and inputs.channel_order.value != weights.channel_order
        for stated, own in ((inputs.mean, weights.mean), (inputs.std, weights.std)):
            values = triple(stated)
            wanted = own[::-1] if turned else own
            told_already = stated is inputs.std and _is_ones(values)
            if stated is not None and values is not None and not told_already and not _close(values, wanted):
                detail = f"{list(values)}{stated.origin}; the weights' own is {_shown(wanted)}"
                yield Hit.on(stated, detail, weights, severity="" if weights.self_supervised else WARNING)


def check_train_and_test(settings: Settings, _weights: Weights | None) -> Iterator[Hit]:
    """A pipeline that normalises otherwise than the first one does."""
    pipelines = [inputs for inputs in settings.inputs if inputs.pipeline]
    for inputs in pipelines[1:]:
        first = pipelines[0]
        pairs = [(first.mean, inputs.mean), (first.std, inputs.std), (first.channel_order, inputs.channel_order)]
        for ours, theirs in pairs:
            if ours is not None and theirs is not None and ours.value != theirs.value:
                yield Hit.on(theirs, f"{_brief(theirs.value)}, but {_brief(ours.value)} at {ours.place}")


def triple(setting: Setting | None) -> Triple | None:
    """A setting's three finite numbers; None where it is anything else."""
    if setting is None or not isinstance(setting.value, list) or len(setting.value) != 3:
        return None
    if not all(_is_finite(value) for value in setting.value):
        return None
    first, second, third = (float(value) for value in setting.value)
    return first, second, third


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _HUGE


def _only(settings: Settings, inputs: Inputs) -> Settings:
    return Settings(settings.config, inputs=[inputs])


def _on_unit_scale(inputs: Inputs) -> Setting | None:
    mean, std = triple(inputs.mean), triple(inputs.std)
    if mean is not None and any(mean) and max(abs(value) for value in mean) <= 1:
        return inputs.mean
    return inputs.std if std is not None and max(std) < 1 else None


def _is_ones(values: Triple | None) -> bool:
    return values is not None and all(value == 1 for value in values)


def _close(first: Iterable[float], second: Iterable[float], within: float = _SAME) -> bool:
    return all(abs(a - b) <= within for a, b in zip(first, second, strict=True))


def _shown(values: Triple) -> list[float]:
    return [round(value, 3) for value in values]


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


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
        "std-order",
        WARNING,
        "ImageNet's std in the order opposite to the images'",
        "Red and blue are scaled by each other's std, 2 % apart; often the sign of a mean or a channel order that was "
        "changed alone.",
        "List mean and std in the order after bgr_to_rgb: [58.395, 57.12, 57.375] for RGB.",
        "List PIXEL_MEAN and PIXEL_STD in the order of INPUT.FORMAT: [58.395, 57.12, 57.375] for RGB.",
        check_std_order,
    ),
    Rule(
        "statistics-shape",
        ERROR,
        "mean or std that is not three numbers",
        "The toolbox refuses what is no list of numbers, and spreads a single number over all channels.",
        "mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375] for torchvision-style weights.",
        "PIXEL_MEAN: [123.675, 116.28, 103.53], PIXEL_STD: [58.395, 57.12, 57.375] for torchvision-style weights.",
        check_statistics_shape,
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
        "no-mean",
        ERROR,
        "images that are not normalised, with weights that were trained with a mean",
        "Pixels of 0-255 go into the network as they are: about 57 times too large, silently.",
        "mean and std of the weights in the data_preprocessor (older files: a Normalize step in every pipeline).",
        "PIXEL_MEAN and PIXEL_STD of the weights.",
        check_no_mean,
    ),
    Rule(
        "train-test-normalisation",
        ERROR,
        "one pipeline that normalises otherwise than another",
        "The network is tested on other inputs than it was trained on, silently.",
        "The same Normalize step in every pipeline.",
        check=check_train_and_test,
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
