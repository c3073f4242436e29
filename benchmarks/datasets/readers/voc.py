"""PASCAL VOC: XML boxes with the difficult flag, ``ImageSets`` lists, palette PNGs. Also anybody's data in that layout
(:mod:`.voc_files`: pictures of any suffix, names with blanks).

::

    ROOT/JPEGImages/<stem>.jpg
    ROOT/Annotations/<stem>.xml            boxes: 1-based coordinates of the outermost pixels
    ROOT/ImageSets/Main/<split>.txt        stems of the detection and classification splits
    ROOT/ImageSets/Segmentation/<split>.txt
    ROOT/SegmentationClass/<stem>.png      0 background, 1 + i class i, 255 border and ignored
    ROOT/SegmentationClassAug/<stem>.png   the same for the 12,031 images of the "aug" set (train: 10,582)
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks.datasets.readers.lists import require_image
from benchmarks.datasets.readers.voc_files import OwnFiles, VocFiles
from benchmarks.datasets.samples import Box, Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.pictures import suffix_of

VOC_CLASSES = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
MASK_VALUES = frozenset({*range(len(VOC_CLASSES) + 1), 255})
SPLITS = ("train", "val", "trainval", "test")
_DISJOINT = ("train", "val", "test")


def read_voc(tree: Tree, fault: Fault = strict, name: str = "voc", classes: list[str] | None = None) -> OfficialData:
    """One year of VOC, or another data set of the layout.

    Splits: those of ``ImageSets/Main`` that are there, and ``segmentation_<split>`` of ``ImageSets/Segmentation``.

    Args:
        classes: names in the order of the labels; None: those that the annotations name, sorted.
    """
    files: VocFiles = OwnFiles(tree, fault) if classes is None else VocFiles(tree, fault)
    annotations = _Annotations(files, classes)
    found = [split for split in SPLITS if tree.has_file(f"ImageSets/Main/{split}.txt")]
    if not found:
        tree.require_file("ImageSets/Main/trainval.txt")  # says what is there instead
    splits = {split: annotations.samples(f"ImageSets/Main/{split}.txt") for split in found}
    disjoint = [tuple(split for split in found if split in _DISJOINT)]
    segmented = [split for split in SPLITS if tree.has_file(f"ImageSets/Segmentation/{split}.txt")]
    if classes and tree.has_folder("SegmentationClass"):
        for split in segmented:
            key = f"segmentation_{split}"
            splits[key] = read_masks(tree, f"ImageSets/Segmentation/{split}.txt", "SegmentationClass", fault)
        disjoint.append(tuple(f"segmentation_{split}" for split in segmented if split in _DISJOINT))
    files.report_unpaired()
    values = MASK_VALUES if classes and segmented else None
    classes = annotations.classes
    return OfficialData(name, tree.root, classes, splits, disjoint, values, smallest_box=1.0, notes=files.notes)


def read_voc0712(tree: Tree, fault: Fault = strict) -> OfficialData:
    """VOC 2007 and 2012 below one folder: ``trainval`` of both (16,551 images), ``test`` of 2007 (4,952)."""
    splits: dict[str, list[Sample]] = {"trainval": [], "test": []}
    for year, split in (("VOC2007", "trainval"), ("VOC2012", "trainval"), ("VOC2007", "test")):
        annotations = _Annotations(VocFiles(tree, fault, prefix=f"{year}/"), list(VOC_CLASSES))
        splits[split] += annotations.samples(f"{year}/ImageSets/Main/{split}.txt")
    disjoint = [("trainval", "test")]
    return OfficialData("voc0712", tree.root, list(VOC_CLASSES), splits, disjoint, smallest_box=1.0)


def read_voc2012aug(tree: Tree, fault: Fault = strict) -> OfficialData:
    """VOC 2012 with the maps of SBD: ``train`` (10,582 images) and ``val`` (1,449, the official maps).

    The list is ``ImageSets/Segmentation/trainaug.txt``; 'scenebench data prepare voc2012aug' writes it.
    """
    segmentation = "ImageSets/Segmentation"
    splits = {
        "train": read_masks(tree, f"{segmentation}/trainaug.txt", "SegmentationClassAug", fault),
        "val": read_masks(tree, f"{segmentation}/val.txt", "SegmentationClass", fault),
    }
    return OfficialData("voc2012aug", tree.root, list(VOC_CLASSES), splits, [("train", "val")], MASK_VALUES)


def read_masks(tree: Tree, listed_in: str, folder: str, fault: Fault) -> list[Sample]:
    """The images of a segmentation list with their maps in ``folder``."""
    samples: list[Sample] = []
    files = VocFiles(tree, fault)
    for stem in files.stems(listed_in):
        image, mask = files.image(stem), f"{folder}/{stem}.png"
        if require_image(tree, image, fault, listed_in) and require_image(tree, mask, fault, listed_in):
            samples.append(Sample(tree.path(image), mask=tree.path(mask)))
    return samples


class _Annotations:
    """The XML files of one year; each is read once, however many splits name it."""

    def __init__(self, files: VocFiles, classes: list[str] | None) -> None:
        self.tree, self.fault, self.files = files.tree, files.fault, files
        self.classes = classes if classes is not None else self._named_classes()
        self._label_of = {name: index for index, name in enumerate(self.classes)}
        self._samples: dict[str, Sample | None] = {}

    def samples(self, listed_in: str) -> list[Sample]:
        samples: list[Sample] = []
        for stem in self.files.stems(listed_in):
            if stem not in self._samples:
                self._samples[stem] = self._sample(stem, listed_in)
            sample = self._samples[stem]
            if sample is not None:
                samples.append(sample)
        return samples

    def _sample(self, stem: str, listed_in: str) -> Sample | None:
        image, xml = self.files.image(stem), self.files.annotation(stem)
        if not require_image(self.tree, image, self.fault, listed_in):
            return None
        if not require_image(self.tree, xml, self.fault, listed_in):
            return None
        path = self.tree.path(xml)
        root = parse_xml(path, self.fault)
        if root is None:
            return None
        self.files.compare_name(stem, path, (root.findtext("filename") or "").strip())
        boxes = tuple(box for node in root.findall("object") if (box := self._box(path, node)) is not None)
        labels = tuple(sorted({box.label for box in boxes if not box.difficult}))
        return Sample(self.tree.path(image), labels, boxes, size=_size(root))

    def _named_classes(self) -> list[str]:
        names: set[str] = set()
        for file in self.tree.files("Annotations"):
            if suffix_of(file) == ".xml":
                root = parse_xml(self.tree.path(f"Annotations/{file}"), self.fault)
                if root is not None:
                    names |= {(node.findtext("name") or "").strip() for node in root.findall("object")}
        return sorted(names - {""})

    def _box(self, path: Path, node: ElementTree.Element) -> Box | None:
        name = (node.findtext("name") or "").strip()
        if name not in self._label_of:
            self.fault("label", path, f"class '{name}' is none of the data set's {len(self.classes)}")
            return None
        corners = [_number(node.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
        left, top, right, bottom = corners
        if left is None or top is None or right is None or bottom is None:
            self.fault("box", path, f"an object '{name}' has no complete bndbox")
            return None
        difficult = (node.findtext("difficult") or "0").strip() == "1"
        where = f"object '{name}' ({left:g}, {top:g}, {right:g}, {bottom:g})"
        return Box(self._label_of[name], left - 1, top - 1, right, bottom, difficult, where=where)


def parse_xml(path: Path, fault: Fault) -> ElementTree.Element | None:
    """The root of an XML file; None after telling the fault. Entities are refused: no VOC file has any."""
    try:
        content = path.read_bytes()
        if b"<!ENTITY" in content:
            raise ElementTree.ParseError("declares entities")
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, OSError, ValueError) as error:
        fault("list", path, f"not an annotation in XML: {error}")
        return None


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    width, height = (_number(root.findtext(f"size/{key}")) for key in ("width", "height"))
    return (int(width), int(height)) if width and height else None


def _number(text: str | None) -> float | None:
    """VOC 2012 has some coordinates with decimals."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
