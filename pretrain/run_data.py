"""By what a run knows its data again, wherever they lie: where a copy is read is no part of what a run is."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.checkpoint import load_checkpoint
from pretrain.data.sources import ImageFiles
from pretrain.data.sources.description import Source, describe_source, names_and_sizes
from pretrain.data.sources.image_file import read_image_file
from pretrain.recipes.recipe import Recipe
from pretrain.run_folder import BACKBONE, CHECKPOINTS, changed_places
from scenebench.errors import UserError
from scenebench.files import sha256_of
from transfer.backbone_file import read_info

SAMPLE = 64  # images whose bytes are compared, spread evenly over the list
_DIGITS = 16


@dataclass(frozen=True)
class RunData:
    """Sixteen hexadecimal digits for each thing that is compared where a run goes on.

    Attributes:
        images: the source's fingerprint; of a prepared data set, its own.
        files: of the names and sizes of all images; "" where it was not kept.
        sample: of the bytes of :data:`SAMPLE` images; "" where it was not kept.
        labels: of the file of ``data.annotations``; "" where the recipe learns from no labels, or it was not kept.
    """

    images: str
    files: str = ""
    sample: str = ""
    labels: str = ""

    @classmethod
    def found(cls, recipe: Recipe, images: ImageFiles, source: Source) -> RunData:
        """What ``recipe`` reads now."""
        reads = recipe.reads_labels() and Path(recipe.data.annotations).is_file()
        labels = sha256_of(recipe.data.annotations)[:_DIGITS] if reads else ""
        return cls(source.fingerprint, names_and_sizes(images), _sample_of(images), labels)

    @classmethod
    def kept(cls, checkpoint: dict[str, Any]) -> RunData:
        """What the run of a checkpoint had read."""
        return cls(checkpoint["images"], **checkpoint.get("data", {}))

    def to_keep(self) -> dict[str, Any]:
        """The part of a checkpoint that :meth:`kept` reads."""
        plain = asdict(self)
        return {"images": plain.pop("images"), "data": plain}

    def has_images_of(self, other: RunData) -> bool:
        """Whether both have the same pictures: also where only one lies in the folder of a prepared data set."""
        if self.sample and other.sample and self.sample != other.sample:
            return False
        return self.images == other.images or (self.files != "" and self.files == other.files)


def require_same_data(kept: RunData, found: RunData, recipe: Recipe, out: Path) -> None:
    """Raise UserError where the run in ``out`` learnt from something else than ``recipe`` finds at its places now."""
    if not found.has_images_of(kept):
        raise UserError(
            f"{out}: was trained on other images ({kept.images}) than {recipe.data.root} holds now "
            f"({found.images}); choose another folder, or give the images it began with"
        )
    # Checkpoints have not always said which labels they were learnt from; then they must lie where they lay.
    same_labels = kept.labels == found.labels if kept.labels else "data.annotations" not in changed_places(out, recipe)
    if not same_labels:
        raise UserError(
            f"{out}: was trained on other labels than {recipe.data.annotations} holds now; choose another folder, or "
            "give by data.annotations those that it began with"
        )


def require_data_of_finished(out: Path, recipe: Recipe, images: ImageFiles) -> None:
    """Raise UserError where the finished run in ``out`` learnt from something else than ``recipe`` names.

    Its newest checkpoint tells; where there is none (a method without training, or it was deleted) its backbone file.
    """
    state = load_checkpoint(out / CHECKPOINTS)
    kept = RunData(read_info(out / BACKBONE).dataset_fingerprint) if state is None else RunData.kept(state)
    require_same_data(kept, RunData.found(recipe, images, describe_source(images)), recipe, out)


def _sample_of(images: ImageFiles) -> str:
    digest = hashlib.sha256()
    for index in np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).round().astype(int).tolist():
        try:
            digest.update(hashlib.sha256(read_image_file(images[index]).tobytes()).digest())
        except OSError:
            digest.update(b"unreadable")  # the loader names it, and skips it
    return digest.hexdigest()[:_DIGITS]
