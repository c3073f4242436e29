"""What a probe looks at: pooled features of a frozen backbone, or the colours of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.classification.views import test_view
from benchmarks.evaluation.inputs import image_batches, read_image, read_square
from benchmarks.frozen.colour_histogram import BINS, colour_histogram
from benchmarks.protocols.classification import ViewSettings
from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.networks.network import Backbone
from transfer.networks.resnet import ResNet


@torch.no_grad()
def backbone_features(
    network: Backbone,
    preprocessing: Preprocessing,
    paths: Sequence[Path],
    size: int,
    batch_size: int,
    stage: str,
    what: str,
    crop_from: int = 0,
) -> Tensor:
    """Globally average-pooled ``stage`` features of whole images squeezed to ``size`` x ``size``.

    With ``crop_from`` the short side is resized to it instead, and the central square cut out.

    Of a vision transformer: its class token after the last norm, where ``stage`` is ``layer4`` (the network's output).

    The network is in eval mode (BN uses its running statistics), so an image's features do not depend on its batch.

    Returns:
        float32, images x channels, on the CPU.

    Raises:
        UserError: an image cannot be decoded, or a vision transformer has no such stage or takes no such size.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    batches = []
    for pixels in _batches(paths, size, batch_size, what, crop_from):
        batches.append(_pooled(network, preprocessing.normalise(pixels.to(device)), stage).cpu())
    return torch.cat(batches)


def _pooled(network: Backbone, images: Tensor, stage: str) -> Tensor:
    if isinstance(network, ResNet):
        return network.stage_features(images)[stage].mean(dim=(2, 3))
    if stage != "layer4":
        raise UserError(
            f"settings.feature: a {network.architecture.name} has no {stage}; leave it at layer4, the network's output"
        )
    return network(images)


def colour_histograms(paths: Sequence[Path], size: int, what: str, bins: int = BINS) -> Tensor:
    """:func:`colour_histogram` of each image: float32, images x bins^3."""
    return torch.stack([colour_histogram(pixels[0], bins) for pixels in _batches(paths, size, 1, what)])


def _batches(paths: Sequence[Path], size: int, batch_size: int, what: str, crop_from: int = 0) -> Iterator[Tensor]:
    return image_batches(paths, batch_size, f"features of {what} images", lambda path: _read(path, size, crop_from))


def _read(path: Path, size: int, crop_from: int) -> NDArray[np.uint8]:
    if not crop_from:
        return read_square(path, size)
    view = test_view(read_image(path), ViewSettings(size=size, resize=crop_from))
    return np.asarray(view).transpose(2, 0, 1)
