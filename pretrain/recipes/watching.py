"""The part of a recipe about what looks on while a run trains; the run is the same without."""

from __future__ import annotations

from dataclasses import dataclass, field

from pretrain.recipes.checks import require
from scenebench.errors import UserError


@dataclass
class ProbeRecipe:
    """A multi-label kNN probe while training, where ``data.annotations`` gives labels; the run is the same without."""

    every_epochs: int | None = None  # None: never
    images: int = 2000  # labelled images at most; four in five are the bank, the fifth is evaluated
    resolution: int = 224  # pixels of the whole image; the evaluation's
    k: int = 20
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.every_epochs is not None:
            require(self.every_epochs >= 1, "probe.every_epochs", self.every_epochs, "at least 1, or null")
        require(self.images >= 10, "probe.images", self.images, "at least 10")
        require(self.resolution >= 32, "probe.resolution", self.resolution, "at least 32 (the backbone's stride)")
        require(self.k >= 1, "probe.k", self.k, "at least 1")
        require(self.temperature > 0, "probe.temperature", self.temperature, "positive")


@dataclass
class DiagnosticsRecipe:
    """Pseudo-labels and saliency maps held against ``data.annotations``; the run is the same without. Ours."""

    every_epochs: int | None = None  # None: never
    images: int = 512  # queries, or images whose maps are looked at
    ks: list[int] = field(default_factory=lambda: [1, 2, 5, 10, 20, 40])  # of pseudo-labels, beside mls.k
    human_root: str = ""  # saliency: also against people, in ROOT/images and ROOT/masks (scenebench.salient_folder)
    causes: bool = False  # MLS: also without stale keys, without changed colours, without crops

    def __post_init__(self) -> None:
        if self.every_epochs is not None:
            require(self.every_epochs >= 1, "diagnostics.every_epochs", self.every_epochs, "at least 1, or null")
        elif self.human_root:
            raise UserError(
                f"diagnostics.human_root: {self.human_root} is read by the diagnostics; add diagnostics.every_epochs=1"
            )
        require(self.images >= 2, "diagnostics.images", self.images, "at least 2")
        require(bool(self.ks) and min(self.ks) >= 1, "diagnostics.ks", self.ks, "numbers of at least 1")
