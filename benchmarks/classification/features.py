"""What a probe looks at: pooled features of a frozen backbone, or the colours of an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.inputs import read_square
from benchmarks.progress import Progress
from transfer.backbone_file import Preprocessing
from transfer.resnet import ResNet


@torch.no_grad()
def backbone_features(
    network: ResNet,
    preprocessing: Preprocessing,
    paths: Sequence[Path],
    size: int,
    batch_size: int,
    stage: str,
    what: str,
) -> Tensor:
    """Globally average-pooled ``stage`` features of whole images squeezed to ``size`` x ``size``.

    The network is in eval mode (BN uses its running statistics), so an image's features do not depend on its batch.

    Returns:
        float32, images x channels, on the CPU.

    Raises:
        UserError: an image cannot be decoded.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    batches = []
    for pixels in _batches(paths, size, batch_size, what):
        features = network.stage_features(preprocessing.normalise(pixels.to(device)))[stage]
        batches.append(features.mean(dim=(2, 3)).cpu())
    return torch.cat(batches)


def colour_histograms(paths: Sequence[Path], size: int, what: str, bins: int = 8) -> Tensor:
    """Square roots of joint RGB histograms (bins per channel), so that cosine similarity is Bhattacharyya's.

    Returns:
        float32, images x bins^3, unit length.
    """
    rows = []
    for pixels in _batches(paths, size, 1, what):
        red, green, blue = (pixels[0].long() * bins // 256).flatten(1)
        counts = torch.bincount((red * bins + green) * bins + blue, minlength=bins**3)
        rows.append((counts / counts.sum()).sqrt())
    return torch.stack(rows).float()


def _batches(paths: Sequence[Path], size: int, batch_size: int, what: str) -> Iterator[Tensor]:
    progress = Progress(len(paths), f"features of {what} images")
    for start in range(0, len(paths), batch_size):
        chunk = paths[start : start + batch_size]
        yield torch.from_numpy(np.stack([read_square(path, size) for path in chunk]))
        progress.advance(len(chunk))
