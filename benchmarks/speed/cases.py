"""What is measured: networks, crops and batches for a machine with and without a GPU, as recipes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pretrain.computer import gpu_computes_bf16
from pretrain.recipes.recipe import Recipe, load_recipe
from transfer.networks.resnet import Architecture

METHODS = ("moco", "mls", "saliency", "densecl", "byol")


@dataclass(frozen=True)
class Case:
    """One size of network and input.

    Attributes:
        stem_width: 64 is the standard network.
        crop_size: of the global views, pixels.
        batch_size: images a step.
        methods: of ours.
    """

    depth: int
    stem_width: int
    crop_size: int
    batch_size: int
    methods: tuple[str, ...] = METHODS

    @property
    def architecture(self) -> Architecture:
        """Of the backbone."""
        return Architecture(depth=self.depth, stem_width=self.stem_width)

    @property
    def name(self) -> str:
        """``resnet18, 112 px, batch 32``."""
        return f"{self.architecture.name}, {self.crop_size} px, batch {self.batch_size}"

    def recipe(self, method: str, workers: int = 0) -> Recipe:
        """The paper's recipe of the method at this size, so that only the size departs from it.

        Groups of shuffle-BN are one: they stand for several GPUs. The local crops keep their share of a global crop.
        """
        local = max(32, round(96 / 224 * self.crop_size))
        return load_recipe(
            f"{method}_coco",
            [
                f"data.workers={workers}",
                f"network.depth={self.depth}",
                f"network.stem_width={self.stem_width}",
                "network.bn_groups=1",
                f"views.crop_size={self.crop_size}",
                *([f"saliency.crop_size={local}"] if method == "saliency" else []),
                f"schedule.batch_size={self.batch_size}",
                f"run.precision={'bf16' if torch.cuda.is_available() and gpu_computes_bf16() else 'float32'}",
                "run.tensorboard=false",
            ],
        )


def cases() -> list[Case]:
    """For this machine; the first is the one that peers are compared on."""
    if torch.cuda.is_available():
        return [Case(depth=50, stem_width=64, crop_size=224, batch_size=256), Case(18, 64, 112, 256)]
    return [
        Case(depth=18, stem_width=64, crop_size=112, batch_size=32),
        Case(depth=18, stem_width=16, crop_size=64, batch_size=32),
        Case(depth=50, stem_width=64, crop_size=224, batch_size=8, methods=("moco", "mls", "saliency")),
    ]


def pixel_share(recipe: Recipe) -> float:
    """Pixels that the saliency method encodes as a multiple of its base's: 1.37 for 2 x 224 and 4 x 96."""
    pairs, size = recipe.about.local_crops(recipe)
    return 1 + pairs * size**2 / recipe.views.crop_size**2
