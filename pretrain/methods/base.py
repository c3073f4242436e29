"""What the training loop asks of a method."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.data.augment import apply_photometric
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch, LocalBoxSampler
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import MethodTraits, Recipe
from transfer.backbone_file import Preprocessing
from transfer.networks.network import Backbone

PREPROCESSING = Preprocessing()  # ImageNet's statistics, as every method here


class Method(MethodTraits, nn.Module):
    """A pretraining method: networks, dictionaries, loss.

    Everything that must survive a resume is in ``state_dict()``. The loop, at each step, calls the module with a batch,
    steps the optimiser over the parameters that want a gradient, then calls :meth:`after_step`.

    Attributes:
        recipe: the whole recipe.
        images: the image files; ``batch.indices`` point into it.
        branch: the name of the kept copy in the backbone file.
        is_logged: whether a line of the log is written of the step under way; what costs something and is only for the
            log is computed then alone. It changes nothing else.
    """

    branch = "query"
    is_logged = False

    def __init__(self, recipe: Recipe, images: ImageFiles) -> None:
        super().__init__()
        self.recipe = recipe
        self.images = images

    @property
    def backbone(self) -> Backbone:
        """The network whose weights go into the backbone file."""
        raise AttributeError(f"{type(self).__name__} does not say which network is its backbone")

    def training_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar loss of a batch on the method's device, and what to log (scalars without gradient)."""
        raise TypeError(f"{type(self).__name__} has nothing to train")

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """:meth:`training_step`; a plain call, so that distributed wrappers see it."""
        return self.training_step(batch)

    def after_step(self) -> None:
        """Called after each optimiser step."""

    def on_epoch_start(self, epoch: int) -> None:
        """Called before the first step of an epoch, and again where a run resumes within it."""

    def local_box_sampler(self) -> LocalBoxSampler | None:
        """Draws the boxes of an image's local crops in the loader, or None where the method has none."""
        return None

    def finish(self) -> None:
        """Called once after the last step, before the backbone is written."""

    def network_input(self, views: Tensor, photometric: Tensor) -> Tensor:
        """uint8 crops N x 3 x S x S and their photometric parameters N x P to augmented, normalised network input."""
        return self.normalised(apply_photometric(views, photometric, self.recipe.views.augment))

    def both_inputs(self, views: Tensor, photometric: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`network_input` of the two views of N crops, N x 2 x 3 x S x S, augmented in one pass."""
        augment = self.recipe.views.augment
        pixels = apply_photometric(views.flatten(0, 1), photometric.flatten(0, 1), augment).unflatten(0, (-1, 2))
        return self.normalised(pixels[:, 0]), self.normalised(pixels[:, 1])

    def normalised(self, pixels: Tensor) -> Tensor:
        """RGB pixels 0..255, N x 3 x H x W on any device, to network input on the method's."""
        return self.laid_out(PREPROCESSING.normalise(pixels.to(self.device)).to(self.dtype))

    def laid_out(self, images: Tensor) -> Tensor:
        """``images`` in the memory format that the recipe asks for."""
        if self.recipe.run.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters: float32, or float64 where equalities are tested."""
        return next(self.parameters()).dtype


def build_method(recipe: Recipe, images: ImageFiles) -> Method:
    """The method as a run begins with it, in training mode, on the CPU; torch's generator is seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    method: Method = method_class(recipe.method)(recipe, images)
    if recipe.run.channels_last:
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return method.train()
