"""Cityscapes, fine annotations.

::

    ROOT/leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png
    ROOT/gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png       0-33
    ROOT/gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelTrainIds.png  0-18, 255 ignored; made by prepare
"""

from __future__ import annotations

from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import require_choice

CLASSES = [
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
]
TRAIN_ID_OF = {
    label: train_id
    for train_id, label in enumerate((7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33))
}
"""Label id to train id of the 19 classes that are evaluated; every other label id is ignored."""
LABEL_IDS = frozenset(range(34))
TRAIN_IDS = frozenset({*range(len(CLASSES)), 255})
_IMAGE = "_leftImg8bit.png"


def read_cityscapes(tree: Tree, fault: Fault = strict, labels: str = "labelIds") -> OfficialData:
    """``train``, ``val`` and, where it is there, ``test`` (its maps are blank: the labels are kept back).

    Args:
        labels: ``labelIds`` as distributed, or ``labelTrainIds`` as prepared.

    The classes are the 19 that are evaluated; label ids reach them through :data:`TRAIN_ID_OF`.
    """
    require_choice("labels", labels, ("labelIds", "labelTrainIds"))
    splits: dict[str, list[Sample]] = {}
    for split in ("train", "val", "test"):
        if split != "test" or tree.has_folder("leftImg8bit/test"):
            splits[split] = _read_split(tree, split, labels, fault)
    values = LABEL_IDS if labels == "labelIds" else TRAIN_IDS
    return OfficialData("cityscapes", tree.root, list(CLASSES), splits, [tuple(splits)], values)


def _read_split(tree: Tree, split: str, labels: str, fault: Fault) -> list[Sample]:
    samples: list[Sample] = []
    ending = f"_gtFine_{labels}.png"
    for city in tree.folders(f"leftImg8bit/{split}"):
        images, maps = f"leftImg8bit/{split}/{city}", f"gtFine/{split}/{city}"
        frames = {name.removesuffix(_IMAGE) for name in tree.files(images) if name.endswith(_IMAGE)}
        mapped = {name.removesuffix(ending) for name in tree.files(maps) if name.endswith(ending)}
        for name in sorted(tree.files(images)):
            if not name.endswith(_IMAGE):
                fault("unlisted", tree.path(f"{images}/{name}"), f"its name does not end in {_IMAGE}")
        for frame in sorted(mapped - frames):
            fault("missing", tree.path(f"{maps}/{frame}{ending}"), f"has no {images}/{frame}{_IMAGE}")
        for frame in sorted(frames):
            image, mask = tree.path(f"{images}/{frame}{_IMAGE}"), tree.path(f"{maps}/{frame}{ending}")
            if frame in mapped:
                samples.append(Sample(image, mask=mask))
            elif split == "test":
                samples.append(Sample(image))
            else:
                fault("missing", image, f"has no {maps}/{frame}{ending}")
    return samples
