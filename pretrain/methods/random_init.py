"""Random initialisation as a method, so that it is judged fairly.

A freshly initialised network has running statistics 0 and 1, which describe none of its activations; probed so, it
would lose by its normalisation alone. Here they are estimated on whole images at the evaluation's resolution. (A
vision transformer has none.)
"""

from __future__ import annotations

from pretrain.data.sources import ImageFiles
from pretrain.data.whole_images import whole_image_batches
from pretrain.methods.base import Method
from pretrain.networks import architecture_of, estimate_running_statistics
from pretrain.recipes.recipe import Recipe
from transfer.networks.network import Backbone, build_network


class RandomInit(Method):
    """Initialises, estimates BN's statistics, trains nothing."""

    branch = "only"
    trains = False

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__(recipe, images)
        self.network = build_network(architecture_of(recipe.network))

    @property
    def backbone(self) -> Backbone:
        """The only network there is."""
        return self.network

    def finish(self) -> None:
        """Estimate BN's running statistics over the first ``random_init.images`` images."""
        recipe = self.recipe.random_init
        batches = whole_image_batches(self.images[: recipe.images], recipe.resolution, recipe.batch_size)
        estimate_running_statistics(self.network, (self.normalised(pixels) for _, pixels in batches))
