"""Where the saliency maps of a set of images come from: one function for each ``saliency.source``.

A source sees whole images, resized to a square, and the momentum encoder; it is called with that in eval mode and
without gradients. It changes nothing: no parameter, no buffer, no kept gradient, no global random state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pretrain import saliency
from pretrain.data.annotations import object_maps
from pretrain.data.sources import ImageFile, ImageFiles
from pretrain.data.whole_images import loading_threads, whole_image_batches
from pretrain.distributed import gather, rank, world_size
from pretrain.losses import normalise
from pretrain.methods.saliency.keys import MODEL_SOURCES, SaliencyRecipe
from pretrain.methods.two_encoders import TwoEncoders
from scenebench.errors import UserError
from transfer.networks.network import Backbone
from transfer.networks.resnet import ResNet

MAP_BATCH = 64  # images at a time


@dataclass(frozen=True)
class MapRequest:
    """For which images maps are wanted, and what they may be made of.

    Attributes:
        base: the method that learns; its ``follower`` is the momentum encoder.
        images: the image files, N.
        cells: (h, w) of a map.
        rng: for the controls.
    """

    base: TwoEncoders
    images: ImageFiles
    cells: tuple[int, int]
    rng: np.random.Generator

    @property
    def share(self) -> int:
        """Images of one process, at most: whole batches, so that no map depends on the number of processes."""
        return -(-len(self.images) // (MAP_BATCH * world_size())) * MAP_BATCH

    def own_images(self) -> ImageFiles:
        """This process's share of the images."""
        return self.images[rank() * self.share : (rank() + 1) * self.share]

    def of_all(self, own: Tensor) -> Tensor:
        """The maps of all images, from those that each process has made of :meth:`own_images`."""
        padded = torch.full((self.share, *self.cells), 255, dtype=torch.uint8)
        padded[: len(own)] = own
        return gather(padded.to(self.base.device)).cpu()[: len(self.images)]

    def feature_maps(self, images: ImageFiles) -> Iterator[tuple[list[int], Tensor]]:
        """Indices into ``images`` and the follower's last maps, n x C x h x w; only of images that can be decoded."""
        backbone, size = self.base.follower.backbone, self.base.recipe.section(SaliencyRecipe).map_input_size
        for indices, pixels in whole_image_batches(images, size, MAP_BATCH, loading_threads(self.base.recipe.data)):
            yield indices, backbone.feature_map(self.base.normalised(pixels))

    def full(self, images: ImageFiles) -> Tensor:
        """The map that says nothing, 1 everywhere: uint8, one for each of ``images``."""
        return torch.full((len(images), *self.cells), 255, dtype=torch.uint8)


def activation(request: MapRequest) -> Tensor:
    """The channel sum of the last feature map; 1 for an image that cannot be decoded."""
    images = request.own_images()
    maps = request.full(images)
    for indices, features in request.feature_maps(images):
        maps[indices] = saliency.to_uint8(saliency.activation_maps(features)).cpu()
    return request.of_all(maps)


def attention(request: MapRequest) -> Tensor:
    """A vision transformer's attention of the class token to the patches; 1 for an image that cannot be decoded."""
    backbone, size = request.base.follower.backbone, request.base.recipe.section(SaliencyRecipe).map_input_size
    if isinstance(backbone, ResNet):
        raise UserError("saliency.source: attention is a vision transformer's; set network.family=vit, or activation")
    images = request.own_images()
    maps = request.full(images)
    threads = loading_threads(request.base.recipe.data)
    for indices, pixels in whole_image_batches(images, size, MAP_BATCH, threads):
        attended = backbone.attention_map(request.base.normalised(pixels))
        maps[indices] = saliency.to_uint8(saliency.attention_maps(attended)).cpu()
    return request.of_all(maps)


def contracam(request: MapRequest) -> Tensor:
    """The gradient CAM of the contrastive score (:func:`saliency.contracam_maps`), after Mo et al., NeurIPS 2021.

    The score is that of an image's embedding against itself (detached), with other images as negatives:
    :func:`saliency.contrastive_scores`. What is chosen here, and why:

    * Embeddings are the follower's, backbone and projector in eval mode, of whole images.
    * Negatives are whole images too, ``saliency.cam_negatives`` of them spread evenly over the folder; an image is not
      a negative of itself. They are not MoCo's queue: that holds keys of augmented crops under batch statistics, and
      BYOL has none. Nor are they the other images of a batch: a map would depend on how images are batched. So both
      bases have one definition, and an image's map depends on the weights and the folder alone.
    * tau is ``saliency.cam_temperature`` for both bases, since BYOL has none of its own.

    The map is 1 for an image that cannot be decoded, or that has no negative.
    """
    recipe = request.base.recipe.section(SaliencyRecipe)
    projector = request.base.follower.projector

    def embed(feature_maps: Tensor) -> Tensor:
        return normalise(projector(feature_maps.mean(dim=(2, 3))))

    references = _spread(request.base.images, recipe.cam_negatives)
    slots: dict[ImageFile, int] = {}  # the row of each reference among the negatives
    parts = []
    for indices, features in request.feature_maps(references):
        slots |= {references[index]: len(slots) + row for row, index in enumerate(indices)}
        parts.append(embed(features))
    if not parts:
        return request.full(request.images)
    images = request.own_images()
    maps = request.full(images)
    negatives = torch.cat(parts)

    def cams(features: Tensor, own: Tensor) -> Tensor:
        def scores(feature_maps: Tensor) -> Tensor:
            return saliency.contrastive_scores(embed(feature_maps), negatives, recipe.cam_temperature, own)

        return saliency.contracam_maps(features, scores)

    for indices, features in request.feature_maps(images):
        own = torch.zeros(len(indices), len(negatives), dtype=torch.bool)
        for row, index in enumerate(indices):
            if images[index] in slots:
                own[row, slots[images[index]]] = True
        maps[indices] = saliency.to_uint8(cams(features, own.to(negatives.device))).cpu()
    return request.of_all(maps)


def uniform(request: MapRequest) -> Tensor:
    """A control: 1 everywhere."""
    return request.full(request.images)


def random(request: MapRequest) -> Tensor:
    """A control: noise."""
    return saliency.random_maps(len(request.images), request.cells, request.rng)


def shuffled(request: MapRequest) -> Tensor:
    """A control: the activation map (a vision transformer's attention) of another image."""
    of_model = model_source("shuffled", request.base.follower.backbone)
    return saliency.shuffled_maps(SOURCES[of_model](request), request.rng)


def mask(request: MapRequest) -> Tensor:
    """An oracle: the share of each cell that objects of ``data.annotations`` cover; 1 for an image without any.

    An object without a mask covers its box; what several cover counts once.
    """
    everything = request.base.images  # one image alone may not be listed; and they are read once
    maps = _object_maps(Path(request.base.recipe.data.annotations), tuple(everything), request.cells)
    places = {image: place for place, image in enumerate(everything)}
    return maps[[places[image] for image in request.images]]


SOURCES: dict[str, Callable[[MapRequest], Tensor]] = {
    "activation": activation,
    "contracam": contracam,
    "attention": attention,
    "uniform": uniform,
    "random": random,
    "shuffled": shuffled,
    "mask": mask,
}


def model_source(source: str, backbone: Backbone) -> str:
    """The source itself where it asks the network, else that which such a network has by itself."""
    if source in MODEL_SOURCES:
        return source
    return "activation" if isinstance(backbone, ResNet) else "attention"


@functools.lru_cache(maxsize=1)
def _object_maps(annotations: Path, images: tuple[ImageFile, ...], cells: tuple[int, int]) -> Tensor:
    return object_maps(annotations, images, cells)


def _spread(images: ImageFiles, count: int) -> ImageFiles:
    """At most ``count`` of the images, at equal distances."""
    count = min(count, len(images))
    return [images[place * len(images) // count] for place in range(count)]
