"""Images as the network sees them: random crops in training, one central crop in the test. torchvision cuts them.

What happens to an image depends on the seed, the epoch and its position in the split, and on nothing else: neither on
the order of the images nor on how many processes load them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ColorJitter, RandomCrop, RandomResizedCrop
from torchvision.transforms import functional as cut

from benchmarks.evaluation.inputs import read_image
from benchmarks.protocols.classification import ViewSettings
from scenebench.errors import UserError

# Principal axes (columns) and standard deviations of ImageNet's RGB values on the 0-1 scale; Krizhevsky et al., 2012,
# with the numbers that every implementation has.
_AXES = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_SPREADS = torch.tensor([0.2175, 0.0188, 0.0045])
_RATIO = (3 / 4, 4 / 3)
_MOST_WORKERS = 16


def test_view(image: Image.Image, settings: ViewSettings) -> Image.Image:
    """The short side resized, the centre cut out; or the whole image squeezed (``resize`` 0)."""
    if not settings.resize:
        return cut.resize(image, [settings.size, settings.size])
    return cut.center_crop(cut.resize(image, [settings.resize]), [settings.size, settings.size])


def train_view(image: Image.Image, settings: ViewSettings) -> Image.Image:
    """A random view, from torch's global generator."""
    if settings.train == "random_resized_crop":
        image = RandomResizedCrop(settings.size, (settings.min_scale, 1.0), _RATIO)(image)
    elif settings.train == "random_crop":
        image = cut.resize(image, [settings.resize] if settings.resize else [settings.size, settings.size])
        image = RandomCrop(settings.size)(image)
    else:
        image = test_view(image, settings)
    if settings.flip and float(torch.rand(())) < 0.5:
        image = cut.hflip(image)
    if settings.jitter:
        image = ColorJitter(settings.jitter, settings.jitter, settings.jitter)(image)
    return image


class Views(Dataset[Tensor]):
    """Views of images: uint8, 3 x size x size; with lighting noise float32 on the 0-255 scale.

    Args:
        seed: None: test views. Else training views of this seed and ``epoch``.
    """

    def __init__(self, paths: Sequence[Path], settings: ViewSettings, seed: int | None = None, epoch: int = 0) -> None:
        self.paths, self.settings, self.seed, self.epoch = paths, settings, seed, epoch

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = read_image(self.paths[index])
        if self.seed is None:
            return cut.pil_to_tensor(test_view(image, self.settings))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_seed_of(self.seed, self.epoch, index))
            pixels = cut.pil_to_tensor(train_view(image, self.settings))
            if self.settings.lighting:
                amounts = torch.randn(3) * self.settings.lighting * _SPREADS
                return pixels.float() + 255.0 * (_AXES @ amounts)[:, None, None]
            return pixels


def batches(views: Views, indices: Sequence[Sequence[int]]) -> Iterator[Tensor]:
    """The views of each batch of positions, stacked; loaded by several processes where a GPU waits for them.

    Raises:
        UserError: an image cannot be decoded.
    """
    loader = DataLoader(views, batch_sampler=[list(batch) for batch in indices], num_workers=_workers())
    try:
        yield from loader
    except UserError as error:
        # From another process it comes with that process's trace around it; its own line is the last.
        raise UserError(str(error).splitlines()[-1].partition("UserError: ")[2] or str(error)) from error


def _workers() -> int:
    return min(_MOST_WORKERS, os.cpu_count() or 1) if torch.cuda.is_available() else 0


def shuffled(count: int, batch_size: int, seed: int, epoch: int, smallest: int = 1) -> list[list[int]]:
    """Every position once, in an order of this seed and epoch, cut into batches.

    A last batch below ``smallest`` (batch norm cannot train on one image) joins the one before it.
    """
    generator = torch.Generator().manual_seed(_seed_of(seed, epoch, -1))
    order = torch.randperm(count, generator=generator).tolist()
    cuts = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    if len(cuts) > 1 and len(cuts[-1]) < smallest:
        last = cuts.pop()
        cuts[-1] += last
    return cuts


def in_order(count: int, batch_size: int) -> list[list[int]]:
    """Every position once, ascending, cut into batches."""
    return [list(range(start, min(start + batch_size, count))) for start in range(0, count, batch_size)]


def _seed_of(seed: int, epoch: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"view {seed} {epoch} {index}".encode()).digest()[:8], "big") >> 1
