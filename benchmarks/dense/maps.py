"""Feature maps of a frozen backbone, made once for all probes of it and kept within bounds.

One pass gives every layer that a probe can ask for. Where the maps of a split are small enough they are stored beside
the pooled features of :mod:`benchmarks.frozen.feature_cache`; else each probe makes them again, batch by batch, and
none is ever held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.dense.annotated_images import AnnotatedImages
from benchmarks.evaluation.cell import Cell
from benchmarks.evaluation.inputs import image_batches, read_square
from benchmarks.frozen.feature_cache import key_of
from benchmarks.frozen.map_store import stored_maps
from benchmarks.protocols.dense import LAYERS, DenseSettings
from benchmarks.protocols.protocol import DenseProtocol
from scenebench.errors import UserError
from scenebench.files import sha256_of
from transfer.backbone_file import Preprocessing, load_network
from transfer.networks.network import AnyArchitecture, Backbone
from transfer.networks.output_stride import set_output_stride
from transfer.networks.resnet import Architecture, ResNet

PATCHES = "patches"
"""The one layer of a vision transformer."""


def settings_of(cell: Cell) -> DenseSettings:
    """The cell's settings."""
    assert isinstance(cell.protocol, DenseProtocol)
    return cell.protocol.settings


def require_grid(architecture: AnyArchitecture, settings: DenseSettings) -> None:
    """Stop where the image does not divide into the cells of the backbone's maps.

    Raises:
        UserError: naming the size, the stride, and a size that fits.
    """
    is_resnet = isinstance(architecture, Architecture)
    stride = 16 if is_resnet else architecture.stride  # layer3 and layer4 at 8 divide where 16 does
    if settings.image_size % stride:
        near = max(stride, round(settings.image_size / stride) * stride)
        what = "stride" if is_resnet else "patch"
        raise UserError(
            f"settings.image_size: {settings.image_size} pixels do not divide into the {what} of {stride} of a "
            f"{architecture.name}; take {near}"
        )


@dataclass
class FrozenNetwork:
    """A backbone in eval mode (BN uses its running statistics), at the protocol's stride, on the device."""

    network: Backbone
    preprocessing: Preprocessing
    device: torch.device

    @classmethod
    def of(cls, cell: Cell) -> FrozenNetwork:
        """The cell's backbone, whose grid :func:`require_grid` has found to fit."""
        settings = settings_of(cell)
        info, network = load_network(cell.backbone_file)
        if isinstance(network, ResNet):
            set_output_stride(network, settings.stride)
        device = device_of()
        return cls(network.to(device).eval(), info.preprocessing, device)

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> dict[str, Tensor]:
        """Maps by layer, float32, N x C x h x w, on the CPU, of uint8 images N x 3 x S x S."""
        images = self.preprocessing.normalise(pixels.to(self.device))
        if isinstance(self.network, ResNet):
            found = self.network.stage_features(images)
            return {layer: found[layer].float().cpu() for layer in LAYERS}
        return {PATCHES: self.network.feature_map(images).float().cpu()}


def device_of() -> torch.device:
    """Where networks run."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def layer_of(cell: Cell) -> str:
    """The layer that the protocol reads of this backbone."""
    assert cell.info is not None
    return settings_of(cell).layer if isinstance(cell.info.architecture, Architecture) else PATCHES


def map_key(cell: Cell, images: AnnotatedImages, **more: object) -> str:
    """Names everything that the maps depend on."""
    settings = settings_of(cell)
    return key_of(
        maps=1,
        backbone=sha256_of(cell.backbone_file),  # its header holds the preprocessing
        images=images.stamp,
        size=settings.image_size,
        stride=settings.stride,
        batch_size=settings.batch_size,  # a batch's size moves the last bits
        device=device_of().type,
        torch=torch.__version__,
        **more,
    )


def map_batches(cell: Cell, images: AnnotatedImages, wanted: Sequence[int]) -> Iterator[tuple[list[int], Tensor]]:
    """The maps of the protocol's layer, in batches: positions among ``images``, ascending, and N x C x h x w.

    Args:
        wanted: positions whose maps are needed, ascending.

    Raises:
        UserError: an image cannot be decoded.
    """
    settings, layer = settings_of(cell), layer_of(cell)
    shapes = _shapes(cell)
    everything = range(len(images))

    def make(positions: Sequence[int]) -> Iterator[Mapping[str, Tensor]]:
        frozen = FrozenNetwork.of(cell)
        for pixels in shown_batches(images, positions, settings):
            yield frozen.maps(pixels)

    found = stored_maps(map_key(cell, images), len(images), shapes, lambda: make(everything))
    size = settings.batch_size
    batches = [list(wanted[start : start + size]) for start in range(0, len(wanted), size)]
    if found is None:
        for batch, own in zip(batches, make(wanted), strict=True):
            yield batch, own[layer]
        return
    for batch in batches:
        yield batch, found(layer, batch)


def shown_batches(images: AnnotatedImages, positions: Sequence[int], settings: DenseSettings) -> Iterator[Tensor]:
    """Whole images squeezed to the protocol's square, in batches: uint8, N x 3 x S x S."""
    paths, label = [images.paths[index] for index in positions], f"maps of {images.split} images"
    return image_batches(paths, settings.batch_size, label, lambda path: read_square(path, settings.image_size))


def _shapes(cell: Cell) -> dict[str, tuple[int, int, int]]:
    """Channels, rows and columns of an image's map, by layer."""
    assert cell.info is not None
    settings, architecture = settings_of(cell), cell.info.architecture
    if isinstance(architecture, Architecture):
        side = settings.image_size // settings.stride
        channels = dict(zip(LAYERS, architecture.stage_channels[2:], strict=True))
        return {layer: (channels[layer], side, side) for layer in LAYERS}
    side = settings.image_size // architecture.stride
    return {PATCHES: (architecture.feature_dim, side, side)}
