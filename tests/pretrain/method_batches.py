"""Batches without a loader, for tests of what a method does with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pretrain.data import augment
from pretrain.data.views import Batch
from pretrain.recipes.method_registry import method_class, method_names

BATCH = 4


def own_keys(method: str, keys: Sequence[str]) -> list[str]:
    """Those of ``keys`` that a recipe of ``method`` takes: general ones, and those of its own sections."""
    sections = {section for name in method_names() for section in method_class(name).sections}
    foreign = sections - method_class(method).sections.keys()
    return [key for key in keys if key.partition(".")[0] not in foreign]


def batch_of(seed: int = 0, pairs: int = 0, images: int = 10, crop_size: int = 32) -> Batch:
    """Random crops, unaugmented."""
    generator = torch.Generator().manual_seed(seed)
    batch = Batch.empty(BATCH, crop_size, pairs, 32)
    batch.indices = torch.randperm(images, generator=generator)[:BATCH]
    batch.global_views = torch.randint(0, 256, batch.global_views.shape, generator=generator, dtype=torch.uint8)
    batch.global_boxes = torch.rand(batch.global_boxes.shape, generator=generator)
    batch.global_photometric = unaugmented(batch.global_photometric)
    if pairs:
        assert batch.local_views is not None
        assert batch.local_photometric is not None
        batch.local_views = torch.randint(0, 256, batch.local_views.shape, generator=generator, dtype=torch.uint8)
        corners = torch.rand(BATCH, pairs, 2, 2, generator=generator) * 0.6
        batch.local_boxes = torch.cat([corners, corners + 0.3], dim=-1)
        batch.local_photometric = unaugmented(batch.local_photometric)
    return batch


def unaugmented(parameters: Tensor) -> Tensor:
    parameters = torch.zeros_like(parameters)
    parameters[..., augment.ORDER] = -1
    parameters[..., augment.SOLARISE] = 256
    return parameters
