"""The part of a recipe about images: which, how they are read, and how views are made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pretrain.recipes.checks import number_range, require, require_probability
from scenebench.errors import require_choice

PATH_KEYS = ("data.root", "data.images", "data.annotations", "init_from")
"""Whose values are the names of files and folders, whatever they look like: ``1e3``, ``on``, ``[x]``."""


def at_home(path: str) -> str:
    """``path`` with a leading ``~`` replaced, which a shell leaves alone behind ``key=``."""
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:  # no home, or a folder that is called so
        return path


@dataclass
class DataRecipe:
    """Which images, and how they are read."""

    root: str = ""  # a folder (searched recursively), COCO .json, list .txt or .tar; no default is right for everybody
    images: str = ""  # the folder that the names in a .json or .txt are relative to; "": that file's own folder
    # COCO instances of (some of) the images, for what needs labels: the supervised bound, oracle masks, the kNN probe.
    annotations: str = ""
    images_per_epoch: int | None = None  # None: every image once an epoch (the last, incomplete batch is dropped)
    workers: int = 8  # loader processes; 0 decodes in the training process
    max_bad_share: float = 0.01  # more undecodable images than this share stop the run
    cache: str = "none"  # "ram": decode all at the start and keep them (3 bytes a pixel): for small images only

    def __post_init__(self) -> None:
        self.root, self.images, self.annotations = map(at_home, (self.root, self.images, self.annotations))
        if self.images_per_epoch is not None:
            require(self.images_per_epoch >= 2, "data.images_per_epoch", self.images_per_epoch, "at least 2, or null")
        require(self.workers >= 0, "data.workers", self.workers, "0 or more")
        require(0 <= self.max_bad_share < 1, "data.max_bad_share", self.max_bad_share, "in [0, 1)")
        require_choice("data.cache", self.cache, ["none", "ram"])


@dataclass
class SecondViewRecipe:
    """What the second view does otherwise; None: as the first view. BYOL: ``blur_p: 0.1, solarise_p: 0.2``."""

    jitter_p: float | None = None
    grey_p: float | None = None
    blur_p: float | None = None
    solarise_p: float | None = None

    def __post_init__(self) -> None:
        for key in ("jitter_p", "grey_p", "blur_p", "solarise_p"):
            if getattr(self, key) is not None:
                require_probability(f"views.view2.{key}", getattr(self, key))


@dataclass
class ViewsRecipe:
    """How two views are made of one image. Defaults: MoCo-v2's (MOCO, ORL), which MLS follows."""

    crop_size: int = 224  # pixels; 112 for scenes of 128 px
    scale: tuple[float, float] = (0.2, 1.0)  # area of a crop as a share of the image
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height
    flip_p: float = 0.5
    jitter_p: float = 0.8
    brightness: float = 0.4  # a factor from [1 - b, 1 + b]; contrast and saturation alike
    contrast: float = 0.4
    saturation: float = 0.4  # BYOL: 0.2
    hue: float = 0.1  # a shift from [-h, h] of the whole circle
    grey_p: float = 0.2
    blur_p: float = 0.5  # BYOL: 1.0, second view 0.1
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # pixels of the crop
    blur_kernel: int | None = None  # pixels, odd; None: the odd number nearest to a tenth of the crop (SimCLR)
    solarise_p: float = 0.0  # BYOL: second view 0.2
    solarise_threshold: int = 128  # pixels at or above it are inverted
    view2: SecondViewRecipe = field(default_factory=SecondViewRecipe)
    augment: str = "batched"  # "reference": torchvision's operators image by image, slow, the same result

    def __post_init__(self) -> None:
        require(self.crop_size >= 32, "views.crop_size", self.crop_size, "at least 32 (the backbone's stride)")
        self.scale = number_range("views.scale", self.scale, high=1.0)
        self.ratio = number_range("views.ratio", self.ratio)
        self.blur_sigma = number_range("views.blur_sigma", self.blur_sigma)
        for key in ("flip_p", "jitter_p", "grey_p", "blur_p", "solarise_p"):
            require_probability(f"views.{key}", getattr(self, key))
        for key in ("brightness", "contrast", "saturation"):
            require(0 <= getattr(self, key) <= 1, f"views.{key}", getattr(self, key), "in [0, 1]")
        require(0 <= self.hue <= 0.5, "views.hue", self.hue, "in [0, 0.5]")
        if self.blur_kernel is not None:
            odd = self.blur_kernel >= 1 and self.blur_kernel % 2 == 1
            require(odd, "views.blur_kernel", self.blur_kernel, "odd and positive, or null")
            require(
                self.blur_kernel <= self.crop_size, "views.blur_kernel", self.blur_kernel, "at most views.crop_size"
            )
        require(0 <= self.solarise_threshold <= 255, "views.solarise_threshold", self.solarise_threshold, "in 0..255")
        require_choice("views.augment", self.augment, ["batched", "reference"])
