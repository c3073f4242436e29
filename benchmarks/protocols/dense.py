"""What a dense protocol can say: which probe reads a frozen backbone's maps, of which layer, at which grid."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.protocols.classification import KNNSettings
from benchmarks.protocols.schema import require_positive
from scenebench.errors import UserError, require_choice

REGION_PROBES = ("region_knn", "region_linear")
DENSE_PROBES = ("dense_knn", "dense_linear")
DISCOVERY = "object_discovery"
PROBES = (*REGION_PROBES, *DENSE_PROBES, DISCOVERY)
LAYERS = ("layer3", "layer4")
CENTRES = ("map", "channel")
VIEWS = ("box", "blanked", "crop")
REGION_METRICS = ("object_acc", "object_top1", "object_small", "object_medium", "object_large")
DENSE_METRICS = ("dense_mIoU", "dense_mAcc", "dense_aAcc")
DISCOVERY_METRICS = ("CorLoc", "CorLoc_whole", "CorLoc_central")
METRICS_OF = {
    **dict.fromkeys(REGION_PROBES, REGION_METRICS),
    **dict.fromkeys(DENSE_PROBES, DENSE_METRICS),
    DISCOVERY: DISCOVERY_METRICS,
}
"""What each probe measures, the main metric first."""
_SECTIONS = {
    "region_knn": ("region", "knn"),
    "region_linear": ("region", "linear"),
    "dense_knn": ("patches", "knn"),
    "dense_linear": ("patches", "linear"),
    "object_discovery": ("discovery",),
}


@dataclass
class RegressionSettings:
    """Logistic regression (softmax) on standardised features, fitted to convergence.

    ``l2`` are candidate strengths (of ``l2/2 * |w|^2`` beside the mean loss); the best on the validation split is
    taken, or ``default_l2`` where the data has no validation split.
    """

    l2: list[float] = field(default_factory=lambda: [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001])
    default_l2: float = 0.01
    max_iterations: int = 200

    def __post_init__(self) -> None:
        if not self.l2 or min([*self.l2, self.default_l2]) <= 0:
            raise UserError("settings.linear: l2 and default_l2 must be positive")
        if self.max_iterations < 1:
            raise UserError(f"settings.linear.max_iterations: {self.max_iterations} is not positive")


@dataclass
class RegionSettings:
    """Objects in their ground-truth boxes. Crowds, objects marked difficult and boxes without area are left out.

    Attributes:
        view: ``box``: the map of the whole image, pooled by RoIAlign in the box; ``blanked``: the same with the box's
            pixels replaced by the mean colour, which leaves the surroundings; ``crop``: the box alone, resized to the
            whole input, pooled globally.
        cells, sampling: RoIAlign (aligned, as in Detectron2) takes ``cells`` x ``cells`` values of a box, each the
            mean of ``sampling`` x ``sampling`` bilinear samples; their mean is the object's feature.
        max_per_category: training objects of a category, in all a fixed draw.
        max_objects: test objects, a fixed draw over all categories.
        size_limits: shares of the image's area; below the first a box is small, from the second on large.
    """

    view: str = "box"
    cells: int = 7
    sampling: int = 2
    max_per_category: int = 300
    max_objects: int = 10000
    size_limits: list[float] = field(default_factory=lambda: [1 / 64, 1 / 16])

    def __post_init__(self) -> None:
        require_choice("settings.region.view", self.view, VIEWS)
        for name in ("cells", "sampling", "max_per_category", "max_objects"):
            if getattr(self, name) < 1:
                raise UserError(f"settings.region.{name}: {getattr(self, name)} is not positive")
        limits = self.size_limits
        if len(limits) != 2 or not 0 < limits[0] < limits[1] < 1:
            raise UserError(f"settings.region.size_limits: {limits} are not two rising shares between 0 and 1")


@dataclass
class PatchSettings:
    """Patches of the grid with the labels of the pixels below them; pixels labelled 255 count nowhere.

    Attributes:
        max_patches: training patches, drawn with an equal quota of every training image: for ``dense_linear`` at
            random, for ``dense_knn`` patches with rare classes more often.
    """

    max_patches: int = 20000

    def __post_init__(self) -> None:
        if self.max_patches < 1:
            raise UserError(f"settings.patches.max_patches: {self.max_patches} is not positive")


@dataclass
class DiscoverySettings:
    """LOST (Simeoni et al., BMVC 2021) in its variant for ResNets.

    Attributes:
        centre: what is taken off a map before its patches are compared: ``map``: the mean of the whole map (and it is
            divided by its standard deviation), which is LOST's layer norm; ``channel``: each channel's mean over the
            image's patches.
        expand: how many patches of lowest degree the seed may expand to; LOST takes 100 of about 1,000.
        min_iou: a box is right from this overlap on, with any object of the image.
        central_area: share of the image's area of the trivial central box.
    """

    centre: str = "map"
    expand: int = 100
    min_iou: float = 0.5
    central_area: float = 0.5

    def __post_init__(self) -> None:
        require_choice("settings.discovery.centre", self.centre, CENTRES)
        if self.expand < 1:
            raise UserError(f"settings.discovery.expand: {self.expand} is not positive")
        for name in ("min_iou", "central_area"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"settings.discovery.{name}: {getattr(self, name)} is not in (0, 1]")


@dataclass
class DenseSettings:
    """How the maps of a frozen backbone are made and probed.

    Attributes:
        probe: ``region_knn`` and ``region_linear`` (objects in ground-truth boxes), ``dense_knn`` and ``dense_linear``
            (semantic maps), ``object_discovery`` (one box an image, without any training).
        image_size: side in pixels of the square that the whole image is squeezed to.
        stride: pixels a cell of the last stage, 8 or 16, by dilation. At 16 layer3 is as it always is. A vision
            transformer keeps its patch.
        layer: ``layer3`` or ``layer4``; of a vision transformer, which has no stages, always the patches' tokens after
            the last norm.
        knn, linear, region, patches, discovery: sections of what reads them; a probe has no others.
    """

    probe: str = "region_knn"
    image_size: int = 128
    stride: int = 16
    layer: str = "layer3"
    batch_size: int = 64
    knn: KNNSettings | None = None
    linear: RegressionSettings | None = None
    region: RegionSettings | None = None
    patches: PatchSettings | None = None
    discovery: DiscoverySettings | None = None

    def __post_init__(self) -> None:
        require_choice("settings.probe", self.probe, PROBES)
        require_choice("settings.layer", self.layer, LAYERS)
        require_choice("settings.stride", str(self.stride), ["8", "16"])
        require_positive(self, "image_size", "batch_size")
        if self.knn is not None and (self.knn.k < 1 or self.knn.temperature <= 0):
            raise UserError("settings.knn: k and temperature must be positive")

    def settle_sections(self) -> None:
        """Give the probe the sections that it reads, with their defaults where nothing was said.

        Raises:
            UserError: a section that it does not read: its values would change the hash and no number.
        """
        sections = {
            "knn": KNNSettings,
            "linear": RegressionSettings,
            "region": RegionSettings,
            "patches": PatchSettings,
            "discovery": DiscoverySettings,
        }
        for name, schema in sections.items():
            is_read = name in _SECTIONS[self.probe]
            if getattr(self, name) is None and is_read:
                setattr(self, name, schema())
            elif getattr(self, name) is not None and not is_read:
                raise UserError(f"settings.{name}: the probe '{self.probe}' does not read this section; remove it")
