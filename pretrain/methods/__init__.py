"""The pretraining methods by name. A new one is a file here, a line here, and a recipe."""

import torch

from pretrain.data.sources import ImageFiles
from pretrain.methods.base import Method
from pretrain.methods.byol import Byol
from pretrain.methods.densecl import DenseCl
from pretrain.methods.mls import Mls
from pretrain.methods.moco import Moco
from pretrain.methods.random_init import RandomInit
from pretrain.methods.saliency import Saliency
from pretrain.methods.supervised import Supervised
from pretrain.recipes.recipe import Recipe

METHODS: dict[str, type[Method]] = {
    "random_init": RandomInit,
    "supervised": Supervised,
    "moco": Moco,
    "densecl": DenseCl,
    "byol": Byol,
    "mls": Mls,
    "saliency": Saliency,
}


def build_method(recipe: Recipe, images: ImageFiles) -> Method:
    """The method as a run begins with it, in training mode, on the CPU; torch's generator is seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    method = METHODS[recipe.method](recipe, images)
    if recipe.run.channels_last:
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return method.train()
