"""(a) Two MoCo-v2 views of a photograph, images per second of one core, by each pipeline."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image

from benchmarks.speed.peers import PilPairs, lightly_is_here, lightly_views, torchvision_views
from pretrain.data.augment import apply_photometric
from pretrain.data.images import decode_image
from pretrain.data.loading import PretrainDataset
from pretrain.recipes.recipe import Recipe

OURS = "ours, the loader's part (decode, crop, resize, flip)"
OURS_WHOLE = "ours, the device's part too (jitter, grey, blur)"
TORCHVISION = "torchvision on PIL images, MoCo-v2's transform"
LIGHTLY = "lightly, MoCoV2Transform"
PORTION = 16  # images


def pipelines(recipe: Recipe, files: Sequence[Path]) -> dict[str, Callable[[], int]]:
    """Contenders for :func:`benchmarks.speed.interleaved.interleave`; every call takes the next portion of files.

    Args:
        recipe: MoCo-v2's at the size to measure; its batch is not used.
    """
    recipe.schedule.batch_size = PORTION
    dataset = PretrainDataset(recipe, list(files))

    def ours() -> int:
        dataset.load_batch(0, steps.next())
        return PORTION

    def ours_whole() -> int:
        batch = dataset.load_batch(0, whole_steps.next())
        apply_photometric(batch.global_views.flatten(0, 1), batch.global_photometric.flatten(0, 1))
        return PORTION

    steps, whole_steps = (_Counter(dataset.steps_per_epoch) for _ in range(2))
    crop = recipe.views.crop_size
    contenders = {OURS: ours, OURS_WHOLE: ours_whole, TORCHVISION: _per_image(files, torchvision_views(crop))}
    if lightly_is_here():
        contenders[LIGHTLY] = _per_image(files, lightly_views(crop))
    return contenders


def decoders(files: Sequence[Path]) -> dict[str, Callable[[], int]]:
    """Decoding alone: what ours uses, Pillow, and Pillow at half scale (not used, for it gives other pixels)."""
    contents = [path.read_bytes() for path in files]

    def with_pillow(draft: bool) -> Callable[[], int]:
        places = _Counter(len(files))

        def work() -> int:
            image = Image.open(io.BytesIO(contents[places.next()]))
            if draft:
                image.draft("RGB", (image.width // 2, image.height // 2))
            image.load()
            return 1

        return work

    places = _Counter(len(files))

    def with_ours() -> int:
        decode_image(files[places.next()])
        return 1

    return {
        "ours (torchvision's decoder)": with_ours,
        "Pillow": with_pillow(draft=False),
        "Pillow, half scale (other pixels)": with_pillow(draft=True),
    }


def _per_image(files: Sequence[Path], views: Callable[[Image.Image], list[torch.Tensor]]) -> Callable[[], int]:
    places = _Counter(len(files))
    dataset = PilPairs(files, views, len(files))

    def work() -> int:
        for _ in range(PORTION):
            dataset[places.next()]
        return PORTION

    return work


class _Counter:
    """0, 1, ..., ``length`` - 1, 0, ..."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._last = -1

    def next(self) -> int:
        self._last = (self._last + 1) % self.length
        return self._last
