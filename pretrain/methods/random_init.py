"""Random initialisation as a method, so that it is evaluated fairly.

A freshly initialised network has running statistics 0 and 1, which describe none of its activations; probed so, it
would lose by its normalisation alone. Here they are estimated on whole images at the evaluation's resolution. (A
vision transformer has none.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pretrain.data.sources import ImageFiles
from pretrain.data.whole_images import whole_image_batches
from pretrain.methods.base import Method
from pretrain.networks import architecture_of, estimate_running_statistics
from pretrain.recipes.checks import require
from pretrain.recipes.method_registry import register
from pretrain.recipes.recipe import Recipe
from transfer.networks.network import Backbone, build_network


@dataclass
class RandomInitRecipe:
    """Random initialisation: only BN's running statistics are estimated, on whole images. Ours."""

    resolution: int = 224  # pixels; the evaluation's
    images: int = 2048  # at most; the first of the list
    batch_size: int = 64

    def __post_init__(self) -> None:
        require(self.resolution >= 32, "random_init.resolution", self.resolution, "at least 32 (the backbone's stride)")
        require(self.images >= 2, "random_init.images", self.images, "at least 2")
        require(self.batch_size >= 2, "random_init.batch_size", self.batch_size, "at least 2 (batch normalisation)")


@register("random_init")
class RandomInit(Method):
    """Initialises, estimates BN's statistics, trains nothing."""

    branch = "only"
    trains = False
    sections: ClassVar = {"random_init": RandomInitRecipe}

    @classmethod
    def image_sizes(cls, recipe: Recipe) -> dict[str, int]:
        """Whole images, at the evaluation's resolution."""
        return {"random_init.resolution": recipe.section(RandomInitRecipe).resolution}

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__(recipe, images)
        self.network = build_network(architecture_of(recipe.network))

    @property
    def backbone(self) -> Backbone:
        """The only network there is."""
        return self.network

    def finish(self) -> None:
        """Estimate BN's running statistics over the first ``random_init.images`` images."""
        recipe = self.recipe.section(RandomInitRecipe)
        batches = whole_image_batches(self.images[: recipe.images], recipe.resolution, recipe.batch_size)
        estimate_running_statistics(self.network, (self.normalised(pixels) for _, pixels in batches))
