"""COCO instances JSON on the layout of the official archives.

::

    ROOT/annotations/instances_train2017.json, instances_val2017.json
    ROOT/train2017/<12 digits>.jpg, ROOT/val2017/<12 digits>.jpg
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets.readers.lists import report_unlisted
from benchmarks.datasets.samples import Box, Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.coco import boxes
from scenebench.coco.boxes import Evidence
from scenebench.coco.document import Annotation, CocoFile, ImageEntry, read_coco_file
from scenebench.coco.document import Fault as Tell
from scenebench.coco.file_names import FileFinder, describe_other_forms, inside
from scenebench.coco.masks import require_mask
from scenebench.coco.mends import BOX_FOR_MASK, CLIPPED, CONTRADICTS, ZERO_BOX, Mend
from scenebench.coco.objects import AnnotationFault, mask_fault, read_box_of, read_object
from scenebench.coco.turning import size_of_file
from scenebench.coco.values import as_id, shown


def read_coco2017(tree: Tree, fault: Fault = strict) -> OfficialData:
    """``train`` and ``val``. Category ids have gaps (1-90 for 80 classes); labels are their places in id order."""
    splits: dict[str, list[Sample]] = {}
    names: list[str] = []
    for split in ("train", "val"):
        relative = f"annotations/instances_{split}2017.json"
        classes, splits[split] = read_instances(tree, relative, f"{split}2017", fault)
        if names and classes != names:
            fault("label", tree.path(relative), "its categories are not those of the training split")
        names = names or classes
    return OfficialData("coco2017", tree.root, names, splits, [("train", "val")])


def read_instances(tree: Tree, relative: str, folder: str, fault: Fault) -> tuple[list[str], list[Sample]]:
    """One instances JSON and its images in ``folder``: (class names in id order, samples).

    A check that collects faults draws every mask and compares its box with it. A protocol, which stops at the first
    fault, looks at the form of masks alone: a minute less before each run on COCO.

    Raises:
        UserError: the file is missing or not COCO instances at all.
    """
    path = tree.require_file(relative)

    def tell(kind: str, message: str) -> None:
        fault(kind, path, message)

    coco = read_coco_file(path, tell)
    if coco.constants:
        tell("list", f"{coco.constants} values are NaN or infinite, which is no number of JSON")
    _tell_doubled_ids(coco, tell)
    files = _files(tree, coco, folder, fault, path)
    reader = _Reader(tell, thorough=fault is not strict)
    samples: list[Sample] = []
    for image in coco.images:
        file = files.get(image.id)
        if file is None:
            continue
        own = tuple(reader.boxes_of(image, coco.annotations[image.id], tree.path(file)))
        labels = tuple(sorted({box.label for box in own}))
        size = (image.width, image.height) if image.width and image.height else None
        samples.append(Sample(tree.path(file), labels, own, size=size))
    problem = boxes.fault_of(reader.evidence)
    if problem:
        tell("box", problem)
    report_unlisted(tree, folder, set(files.values()), fault, f"{Path(relative).name}")
    return [name for _, name in coco.categories], samples


def _tell_doubled_ids(coco: CocoFile, tell: Tell) -> None:
    """Whoever prepares data gives new ids; evaluations on the file itself find annotations by them."""
    seen: set[object] = set()
    for annotation in itertools.chain(*coco.annotations.values()):
        number = as_id(annotation.content.get("id"))
        if number is None:
            tell("list", f"{annotation.name}: needs an id")
        elif number in seen:
            tell("list", f"{annotation.name}: this id is given twice")
        else:
            seen.add(number)


def _files(tree: Tree, coco: CocoFile, folder: str, fault: Fault, path: Path) -> dict[object, str]:
    """The file of each image that has one, relative to the tree."""
    finder = FileFinder(
        tree.path(folder),
        lambda relative: tree.has_file(f"{folder}/{relative}"),
        lambda: (f"{place}/{name}"[len(folder) + 1 :] for place in tree.walk(folder) for name in tree.files(place)),
    )
    files: dict[object, str] = {}
    taken: set[str] = set()
    for image in coco.images:
        relative = inside(image.file_name, tree.path(folder))
        found = finder.find(relative) if relative is not None else None
        if relative is None:
            fault("list", path, f"file_name '{image.file_name}' must be a path inside the folder of images")
        elif found is None:
            fault("missing", path, f"names {folder}/{image.file_name}, which is not there")
        elif found in taken:
            fault("list", path, f"file_name {shown(image.file_name)} is given twice")
        else:
            taken.add(found)
            files[image.id] = f"{folder}/{found}"
    if finder.other_form:
        fault("list", path, describe_other_forms(finder.other_form))
    return files


@dataclass
class _Reader:
    tell: Tell
    thorough: bool

    def __post_init__(self) -> None:
        self.evidence: Evidence = Counter()

    def boxes_of(self, image: ImageEntry, annotations: list[Annotation], file: Path) -> list[Box]:
        size = (image.width, image.height)
        if annotations and None in size and self.thorough:
            size = size_of_file(file) or size
        found = (self._box(image, annotation, *size) for annotation in annotations)
        return [box for box in found if box is not None]

    def _box(self, image: ImageEntry, annotation: Annotation, width: int | None, height: int | None) -> Box | None:
        try:
            box = read_box_of(annotation, image.file_name)
        except AnnotationFault as error:
            self.tell(error.kind, str(error))
            return None
        if width and height:
            own = self._look(image, annotation, width, height, box)
            box = box or own
        if box is None:
            self.tell("box", f"{annotation.name}: bbox is null, not four numbers")
            return None
        left, top, width_of, height_of = annotation.content.get("bbox") or box  # as written: 3 stays 3, not 3.0
        corners = left, top, left + width_of, top + height_of
        return Box(annotation.category, *corners, crowd=annotation.crowd, where=annotation.name)

    def _look(
        self, image: ImageEntry, annotation: Annotation, width: int, height: int, box: boxes.Box | None
    ) -> boxes.Box | None:
        """Tell what is wrong with the mask, and with the box beside it; the box of the object."""
        try:
            if self.thorough:
                reading = read_object(annotation, width, height, image.file_name)
                mends, found = reading.mends, reading.object
                self.evidence.update(reading.evidence)
            else:
                mends, found = self._form(image, annotation, width, height), None
        except AnnotationFault as error:
            self.tell(error.kind, str(error))
            return None
        told: set[str] = set()
        for mend in mends:
            if mend.kind not in told and not _is_told_elsewhere(mend, box, width, height):
                self.tell(mend.kind, f"{annotation.name}: {mend.found}")
            told.add(mend.kind)
        return found.box if found is not None else None

    def _form(self, image: ImageEntry, annotation: Annotation, width: int, height: int) -> list[Mend]:
        segmentation = annotation.content.get("segmentation")
        try:
            return require_mask(segmentation, width, height) if segmentation else [BOX_FOR_MASK]
        except ValueError as error:
            raise mask_fault(annotation, width, height, image.file_name, error) from error


def _is_told_elsewhere(mend: Mend, box: boxes.Box | None, width: int, height: int) -> bool:
    """The rules on boxes tell which are empty or reach out of the picture, once its true size is known."""
    if mend in (ZERO_BOX, CLIPPED):
        return True
    if mend != CONTRADICTS or box is None:
        return False
    left, top, right, bottom = boxes.corners(box)
    return box[2] <= 0 or box[3] <= 0 or left < 0 or top < 0 or right > width or bottom > height
