"""The network's maps against what people find salient, over training: ``diagnostics.human_root``."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from pretrain.diagnostics.files import Row
from pretrain.methods.saliency.history import some_images
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.watching import DiagnosticsRecipe
from pretrain.saliency import to_float
from scenebench.errors import UserError
from scenebench.salient_folder import read_mask, read_salient_folder
from scenebench.salient_quality import centre_prior, in_cells, salient_quality

_KEY = "diagnostics.human_root"


class People:
    """Pictures with masks of what people find salient. They judge maps; nothing is learnt from them.

    Raises:
        UserError: no such folder, a picture without its mask, or one that does not fit.
    """

    def __init__(self, recipe: DiagnosticsRecipe) -> None:
        try:
            pairs = read_salient_folder(recipe.human_root)
            chosen = [pairs[index] for index in some_images(len(pairs), recipe.images)]
            self.images = [image for image, _ in chosen]
            self.masks = [read_mask(mask, _size(image)) for image, mask in chosen]
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"{_KEY}: {recipe.human_root}: a picture cannot be decoded ({error})") from error
        except UserError as error:
            raise UserError(f"{_KEY}: {error}") from error
        if len(self.images) < 2:
            raise UserError(f"{_KEY}: {recipe.human_root}: one picture alone; two or more are needed")
        self._controls = functools.cache(self._controls_in)

    def row(self, method: Saliency) -> Row:
        """The measures of the protocol saliency_human (:mod:`scenebench.salient_quality`), shares in 0..1.

        Of the network's own maps, also where the crops go by a control or the oracle; of another image's; and of the
        controls: a Gaussian in the centre, uniform maps, and the masks in the map's cells (``known``: about the most
        that maps of this size can reach).
        """
        maps = list(to_float(method.model_maps_of(self.images)))
        measured = self._measured("", maps) | self._measured("other_", [maps[-1], *maps[:-1]])
        return {**measured, **self._controls(method.maps.size), "images": len(self.images)}

    def _controls_in(self, cells: tuple[int, int]) -> Row:
        return {
            **self._measured("centre_", [centre_prior(mask.shape).float() for mask in self.masks]),
            **self._measured("uniform_", [torch.ones(cells) for _ in self.masks]),
            **self._measured("known_", [in_cells(mask, cells) for mask in self.masks]),
        }

    def _measured(self, prefix: str, maps: Sequence[Tensor]) -> Row:
        found = salient_quality(maps, self.masks)
        return {f"{prefix}max_f": found.max_f, f"{prefix}auc": found.auc, f"{prefix}mae": found.mae}


def _size(path: object) -> tuple[int, int]:
    with Image.open(path) as image:  # type: ignore[arg-type]
        return image.size
