"""The saliency maps of a few images over training, for the figure that shows them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

WATCHED = 6  # images


def some_images(total: int, count: int) -> list[int]:
    """Indices of at most ``count`` of ``total`` images, sorted: always the same ones."""
    return sorted(np.random.default_rng(0).permutation(total)[:count].tolist())


class SaliencyHistory(torch.nn.Module):
    """The maps of :data:`WATCHED` images before training and at each refresh; training does not read them.

    Part of the state dict, so that a resumed run draws what an uninterrupted one would. Memory: 6 * h * w bytes a
    refresh (2 kB over a run of 800 epochs with five refreshes at 7 x 7).

    Attributes:
        indices: which images.
        epochs: after how many epochs of training the maps were made.
        maps: uint8, len(epochs) x len(indices) x h x w. Always on the CPU.
    """

    def __init__(self, images: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.indices = some_images(images, WATCHED)
        self.epochs: list[int] = []
        self.maps = torch.empty((0, len(self.indices), *size), dtype=torch.uint8)

    def add(self, epoch: int, maps: Tensor) -> None:
        """Keep the maps, uint8 len(indices) x h x w, that the images have at the start of ``epoch``."""
        self.epochs.append(epoch)
        self.maps = torch.cat([self.maps, maps.cpu()[None]])

    def get_extra_state(self) -> dict[str, object]:
        """For the state dict; not a buffer, since it grows."""
        return {"epochs": list(self.epochs), "maps": self.maps.clone()}

    def set_extra_state(self, state: dict[str, object]) -> None:
        """Take the history from a state dict."""
        self.epochs = list(state["epochs"])  # type: ignore[call-overload]
        self.maps = state["maps"]  # type: ignore[assignment]
