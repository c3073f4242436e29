"""The paired dictionary of MLS: Q_g, Q_z, image ids and crop boxes in one order, first in, first out (eq. 6).

Slot i of every part always belongs to the same crop of the same image: they are written by one call, at one place.
MoCo's queue is the same thing without Q_g.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from pretrain.distributed import gather
from pretrain.losses import normalise

NO_IMAGE = -1  # the id of a slot that still holds its random initial vector


class PairedDictionary(nn.Module):
    """A ring of D slots. Part of the method's state dict, so a checkpoint holds it, position included.

    Memory: ``D * (4 * (feature_dim + projection_dim) + 8 + 16)`` bytes; 38 MB for MLS on a ResNet-50 (D = 4096,
    d_g = 2048, d_z = 256), 35 MB for MoCo-v2 (D = 65536, d_z = 128). Twice that within a step that uses
    :meth:`after_enqueue`.

    Attributes:
        features: Q_g, float32, D x feature_dim, unit rows; D x 0 where ``feature_dim`` is 0.
        projections: Q_z, float32, D x projection_dim, unit rows.
        image_ids: int64, D; :data:`NO_IMAGE` before the slot's first key.
        boxes: float32, D x 4, the crop of the key as xyxy shares of the whole image.
        position: the slot that the next key takes.
    """

    features: Tensor
    projections: Tensor
    image_ids: Tensor
    boxes: Tensor

    def __init__(self, size: int, projection_dim: int, feature_dim: int = 0) -> None:
        super().__init__()
        # Normalised Gaussian vectors, as MoCo starts (and as figure 3 (a) of MLS shows).
        self.register_buffer("features", normalise(torch.randn(size, feature_dim)))
        self.register_buffer("projections", normalise(torch.randn(size, projection_dim)))
        self.register_buffer("image_ids", torch.full((size,), NO_IMAGE, dtype=torch.int64))
        self.register_buffer("boxes", torch.zeros(size, 4))
        self.position = 0

    @property
    def size(self) -> int:
        """D."""
        return int(self.projections.shape[0])

    @torch.no_grad()
    def enqueue(self, features: Tensor, projections: Tensor, image_ids: Tensor, boxes: Tensor) -> None:
        """Write the keys of one batch over the oldest slots; rows need not be normalised.

        With several processes every one of them writes the keys of all, in the order of the ranks, so that their
        dictionaries stay equal.

        Args:
            features: g2, B x feature_dim (any width where this dictionary keeps no features).
            projections: z2, B x projection_dim.
            image_ids: int64, B.
            boxes: B x 4.

        Raises:
            ValueError: the parts have different lengths, or D is not a multiple of the (global) batch.
        """
        parts = [part.detach() for part in (features, projections, image_ids, boxes)]
        if len({len(part) for part in parts}) != 1:
            raise ValueError(f"keys of one batch differ in length: {[len(part) for part in parts]}")
        features, projections, image_ids, boxes = (gather(part) for part in parts)
        batch = len(projections)
        if self.size % batch != 0:
            raise ValueError(f"a dictionary of {self.size} slots does not take whole batches of {batch}")
        slots = slice(self.position, self.position + batch)
        if self.features.shape[1]:
            self.features[slots] = normalise(features)
        self.projections[slots] = normalise(projections)
        self.image_ids[slots] = image_ids
        self.boxes[slots] = boxes
        self.position = (self.position + batch) % self.size

    def after_enqueue(
        self, features: Tensor, projections: Tensor, image_ids: Tensor, boxes: Tensor
    ) -> PairedDictionary:
        """A copy as :meth:`enqueue` would leave it; this one stays as it is."""
        later = copy.deepcopy(self)
        later.enqueue(features, projections, image_ids, boxes)
        return later

    def holds_image(self, image_ids: Tensor) -> Tensor:
        """bool, B x D: the slot holds a crop of the very image of that row (of this or an earlier epoch)."""
        return image_ids.unsqueeze(1) == self.image_ids.unsqueeze(0)

    def written(self) -> Tensor:
        """bool, D: the slot holds a key, not its random initial vector."""
        return self.image_ids != NO_IMAGE

    def ages(self) -> Tensor:
        """int64, D: how many slots were written later; 0 for the newest key, and D - 1 for the next to go."""
        slots = torch.arange(self.size, device=self.image_ids.device)
        return (self.position - 1 - slots) % self.size

    def is_unused(self) -> bool:
        """Whether no key has been written yet (waits for the device)."""
        return not bool(self.written().any())

    def get_extra_state(self) -> int:
        """The position, for the state dict (a plain number: no wait for the device)."""
        return self.position

    def set_extra_state(self, state: int) -> None:
        """Take the position from a state dict."""
        self.position = int(state)
