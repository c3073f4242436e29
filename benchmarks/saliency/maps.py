"""The saliency maps that can be made of a backbone file alone, by each source that the method saliency knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.evaluation.inputs import image_batches, read_square
from benchmarks.protocols.saliency import OWN, SaliencySettings
from pretrain import saliency
from pretrain.losses import normalise
from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.networks.network import Backbone
from transfer.networks.resnet import ResNet


def own_source(network: Backbone) -> str:
    """The source that the method saliency has for such a network by itself."""
    return "activation" if isinstance(network, ResNet) else "attention"


def chosen_source(network: Backbone, settings: SaliencySettings) -> str:
    """The source that the metrics are of.

    Raises:
        UserError: the network has no such maps.
    """
    own = own_source(network)
    chosen = own if settings.source == OWN else settings.source
    if (chosen == "attention") != (own == "attention"):
        raise UserError(
            f"settings.source: {chosen} maps cannot be made of a {network.architecture.name}; it has {own} maps"
        )
    if own == "attention" and settings.feature != "layer4":
        raise UserError(
            f"settings.feature: a {network.architecture.name} has no {settings.feature}; leave it at layer4, the output"
        )
    return chosen


def backbone_maps(
    network: Backbone, preprocessing: Preprocessing, paths: Sequence[Path], settings: SaliencySettings
) -> dict[str, Tensor]:
    """Maps of whole images by every source that the network has, float32 in 0..1, N x h x w on the CPU.

    ``contracam`` goes by the pooled features themselves, since a backbone file has no projector; its negatives are
    ``cam_negatives`` of the images, spread evenly, an image not being one of its own.

    Raises:
        UserError: an image cannot be decoded, or a vision transformer takes no such size.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    with torch.no_grad():
        batches = (preprocessing.normalise(pixels.to(device)) for pixels in _batches(paths, settings))
        if not isinstance(network, ResNet):
            return {"attention": torch.cat([saliency.attention_maps(network.attention_map(b)).cpu() for b in batches])}
        activations, last = [], []
        for images in batches:
            stages = network.stage_features(images)
            activations.append(saliency.activation_maps(stages[settings.feature]).cpu())
            last.append(stages["layer4"].float().cpu())
        features = torch.cat(last)
        cams = _pooled_contracam(features, settings)
    return {"activation": torch.cat(activations), "contracam": cams}


def _pooled_contracam(features: Tensor, settings: SaliencySettings) -> Tensor:
    count = min(settings.cam_negatives, len(features))
    chosen = torch.tensor([place * len(features) // count for place in range(count)])
    negatives = normalise(features[chosen].mean(dim=(2, 3)))
    cams = []
    for start in range(0, len(features), settings.batch_size):
        part = features[start : start + settings.batch_size]
        own = torch.arange(start, start + len(part))[:, None] == chosen[None]
        cams.append(_cams(part, negatives, settings.cam_temperature, own))
    return torch.cat(cams)


def _cams(features: Tensor, negatives: Tensor, temperature: float, own: Tensor) -> Tensor:
    def scores(maps: Tensor) -> Tensor:
        return saliency.contrastive_scores(normalise(maps.mean(dim=(2, 3))), negatives, temperature, own)

    return saliency.contracam_maps(features, scores)


def _batches(paths: Sequence[Path], settings: SaliencySettings) -> Iterator[Tensor]:
    label, size = "saliency maps of test images", settings.image_size
    return image_batches(paths, settings.batch_size, label, lambda path: read_square(path, size))
