"""What each mistake does to the features: the cosine between the right last stage and the mistaken one.

Measured on a ResNet-50 of stem width 16 with seeded random weights, batch statistics estimated on noise, and the
proof's fixed image; each channel's mean over positions is taken off first, so that unrelated features give 0. A number
says whether features change, and roughly how much; it is no loss of AP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from transfer import proof
from transfer.backbone_file import Preprocessing
from transfer.networks.resnet import Architecture, ResNet, build_resnet

NETWORK = Architecture(depth=50, stem_width=16)
COSINES = Path(__file__).parent / "mistake_cosines.json"
"""The measured cosines, as committed; ``python -m docs.generate.moving_weights --measure`` writes them anew."""

TOLERANCE = 0.011
"""Between the committed figures and those of another processor."""

_RIGHT = Preprocessing()
_BGR_MEAN = (0.406, 0.456, 0.485)


def measure() -> dict[str, float]:
    """Cosine of the centred last-stage features to the right ones, by effect, rounded to two digits."""
    right = _features(_network())
    return {name: round(_cosine(right, effect()), 2) + 0.0 for name, effect in EFFECTS.items()}


@cache
def _weights(depth: int, seed: int) -> dict[str, Tensor]:
    """Seeded weights, with norms, biases and statistics that are not their initial values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_resnet(dataclasses.replace(NETWORK, depth=depth)).train()
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        with torch.no_grad():
            for norm in norms:
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.2, 0.2)
                norm.momentum = None  # the plain average over batches
            network(torch.randn(4, 3, 64, 64))
    return network.state_dict()


def _network(architecture: Architecture = NETWORK, changed: dict[str, Tensor] | None = None) -> ResNet:
    with torch.device("meta"):  # nothing is drawn that would be overwritten
        network = build_resnet(architecture)
    network.load_state_dict(_weights(NETWORK.depth, seed=0) | (changed or {}), assign=True)
    return network.eval()


def _untrained(select: Callable[[str], bool]) -> dict[str, Tensor]:
    """What a freshly built model keeps where nothing is loaded: random convolutions, norms and statistics as made."""
    return {name: tensor for name, tensor in _fresh().items() if select(name)}


@cache
def _fresh() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build_resnet(NETWORK).state_dict()


def _features(network: ResNet, preprocessing: Preprocessing = _RIGHT) -> Tensor:
    image = torch.from_numpy(proof.reference_image()).permute(2, 0, 1).unsqueeze(0)
    with proof.exact_arithmetic():
        return network.feature_map(preprocessing.normalise(image))


def _preprocessed(**changes: object) -> Callable[[], Tensor]:
    return lambda: _features(_network(), dataclasses.replace(_RIGHT, **changes))  # type: ignore[arg-type]


def _left(select: Callable[[str], bool]) -> Callable[[], Tensor]:
    return lambda: _features(_network(changed=_untrained(select)))


def _is_stem(name: str) -> bool:
    return name.startswith(("conv1.", "bn1."))


def _of_deeper_network() -> Tensor:
    """ResNet-101's tensors under ResNet-50's names; its further blocks find no place."""
    deeper = _weights(101, seed=2)
    return _features(_network(changed={name: deeper[name] for name in _weights(NETWORK.depth, seed=0)}))


def _deep_stem() -> Tensor:
    """MMSegmentation's V1c stem, three 3x3 convolutions, random; everything behind it is loaded."""
    network = _network()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        channels = (3, 8, 8, 16)
        layers: list[nn.Module] = []
        for position in range(3):
            before, after = channels[position : position + 2]
            convolution = nn.Conv2d(before, after, 3, stride=2 if position == 0 else 1, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    network.conv1, network.bn1 = nn.Sequential(*layers[:-1]).eval(), nn.Identity()  # type: ignore[assignment]
    return _features(network)


def _half_precision() -> Tensor:
    rounded = {n: t.half().float() for n, t in _weights(NETWORK.depth, seed=0).items() if t.is_floating_point()}
    return _features(_network(changed=rounded))


def _one_ulp() -> Tensor:
    name = "layer1.0.conv2.weight"
    changed = _weights(NETWORK.depth, seed=0)[name].clone()
    changed.view(-1)[0] = torch.nextafter(changed.view(-1)[0], torch.tensor(9.0))
    return _features(_network(changed={name: changed}))


def _cosine(first: Tensor, second: Tensor) -> float:
    centred = [map_.double() - map_.double().mean((2, 3), keepdim=True) for map_ in (first, second)]
    return float(nn.functional.cosine_similarity(centred[0].flatten(), centred[1].flatten(), dim=0))


def _on_255(values: tuple[float, float, float]) -> tuple[float, float, float]:
    first, second, third = (255 * value for value in values)
    return first, second, third


EFFECTS: dict[str, Callable[[], Tensor]] = {
    "nothing loaded": _left(lambda name: True),
    "stem random": _left(_is_stem),
    "deep stem random": _deep_stem,
    "statistics lost": _left(lambda name: ".running_" in name),
    "one tensor random": _left(lambda name: name == "layer3.5.conv3.weight"),
    "ResNet-101 into ResNet-50": _of_deeper_network,
    "stride in the 1x1": lambda: _features(_network(dataclasses.replace(NETWORK, stride_in="1x1"))),
    "BGR images": _preprocessed(channel_order="BGR"),
    "mean in the other order": _preprocessed(mean=_BGR_MEAN),
    "std 1": _preprocessed(mean=_on_255(_RIGHT.mean), std=(1.0, 1.0, 1.0), value_range=255.0),
    "Detectron2's defaults": _preprocessed(
        mean=_on_255(_BGR_MEAN), std=(1.0, 1.0, 1.0), value_range=255.0, channel_order="BGR"
    ),
    "statistics of the 0-1 scale": _preprocessed(value_range=255.0),
    "SimCLR's normalisation": _preprocessed(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "no normalisation": _preprocessed(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), value_range=255.0),
    "rounded statistics": _preprocessed(mean=(123.68, 116.78, 103.94), std=_on_255(_RIGHT.std), value_range=255.0),
    "half precision": _half_precision,
    "one ulp": _one_ulp,
}
