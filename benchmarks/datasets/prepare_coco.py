"""The user's own COCO-format instance data, brought into the layout of ``folder``.

What happens to what is unusual (each is counted and printed):

* category ids may have gaps; they stay as they are. Categories without any object stay too;
* images without objects stay: they are negatives;
* crowds (``iscrowd`` 1) stay in the JSON, where COCO's evaluation ignores what falls on them and Detectron2 leaves them
  out of training; in the semantic maps they are ignored (255); in the multi-label lists they make their category
  present, for it is in the picture;
* boxes are clipped to the image; an instance whose box is empty or whose mask covers no pixel is dropped;
* a box that contradicts its mask is replaced by the mask's own; where most do, nothing is prepared, and the error names
  the likely mistake (``scenebench.coco.boxes``);
* an instance without a mask gets its box as mask; a part of a mask that is no polygon is dropped, and ``area`` is then
  that of what remains;
* in the semantic maps smaller masks lie on larger ones, by their own pixels and not by the JSON's ``area``;
* all masks become run-length encodings (for Detectron2: ``INPUT.MASK_FORMAT`` "bitmask"), pixel for pixel what
  pycocotools makes of the polygons;
* pictures: see ``coco_images``.

Without a second JSON the images are ordered by a hash of seed and file name, and the first ``test_share`` of them test.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.datasets.coco_images import TRUNCATED, take_image
from benchmarks.datasets.coco_source import CocoSource, SourceImage, read_coco
from benchmarks.datasets.contact_sheet import draw_contact_sheet
from benchmarks.datasets.existing_folder import already_built
from benchmarks.datasets.folder import IGNORED, DatasetFolder
from benchmarks.datasets.parallel import run_in_chunks
from benchmarks.datasets.writing import (
    Instance,
    PreparedImage,
    as_text,
    make_split_folders,
    semantic_map,
    write_description,
    write_semantic,
    write_split,
)
from scenebench.coco import boxes
from scenebench.coco.boxes import Evidence
from scenebench.coco.objects import read_object
from scenebench.errors import UserError
from scenebench.files import sha256_of
from scenebench.staging import whole_folder

VERSION = "2"
"""Rises when the same source would be prepared otherwise."""

Repairs = Counter[str]
"""How often something was mended or dropped, by a phrase that says what."""

CROWDS = "crowd regions: kept for COCO's evaluation, ignored in the semantic maps, positive in the multi-label lists"


@dataclass(frozen=True)
class CocoSpec:
    """What to prepare.

    Attributes:
        images: the folder that the JSON's file names are relative to.
        annotations: a COCO instances JSON.
        test_annotations: a second one for testing; empty: split the first.
        test_images: the folder of the second's images; empty: ``images``.
        test_share: share of the images that test, where the first is split; at least one image on each side.
        seed: of the split and of the choice of images where there is a maximum.
        max_train, max_test: keep at most so many images; None keeps all.
        name: of the data set; empty: that of the folder of images.
        link: pictures that stay as they are become hard links to the originals and no copies; the data are the same.
    """

    images: str
    annotations: str
    test_annotations: str = ""
    test_images: str = ""
    test_share: float = 0.3
    seed: int = 0
    max_train: int | None = None
    max_test: int | None = None
    name: str = ""
    link: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.test_share < 1.0:
            raise UserError(f"test_share is {self.test_share}; it must be between 0 and 1")
        for key in ("max_train", "max_test"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"{key} is {value}; it must be at least 1")
        if self.test_images and not self.test_annotations:
            raise UserError("test_images needs test_annotations")


def prepare_coco(
    out: Path | str, spec: CocoSpec, workers: int = 1, report: Callable[[str], None] = print
) -> DatasetFolder:
    """Write the prepared data set to ``out``, or return it where it already is.

    Args:
        report: takes each line of the summary.

    Raises:
        UserError: the source is not usable (see ``coco_source``, ``scenebench.coco``, ``coco_images``), most boxes
            contradict their masks, a split would hold no object, ``out`` holds something else or cannot be written.
    """
    out = Path(out)
    train = read_coco(spec.annotations, spec.images)
    test = read_coco(spec.test_annotations, spec.test_images or spec.images) if spec.test_annotations else None
    splits = split_sources(train, test, spec)
    name = spec.name or Path(spec.images).resolve().name
    source = _describe_source(spec, splits, workers)
    existing = already_built(out, name, VERSION, source)
    if existing is not None:
        return existing
    repairs: Repairs = Counter()
    evidence: dict[str, Evidence] = {}
    truncated: list[str] = []
    with whole_folder(out) as root:
        prepared: dict[str, list[PreparedImage]] = {}
        for split, images in splits.items():
            make_split_folders(root, split)
            tasks = list(zip(images, _output_stems([image.name for image in images]), strict=True))
            prepare = partial(_prepare_images, root=root, split=split, link=spec.link)
            parts = run_in_chunks(prepare, tasks, label=f"{name} {split}", workers=workers)
            for image, image_repairs, image_evidence in parts:
                repairs += image_repairs
                evidence.setdefault(_json_of(split, spec), Counter()).update(image_evidence)
                truncated += [image.source_name] if TRUNCATED in image_repairs else []
            prepared[split] = sorted((image for image, _, _ in parts), key=lambda image: image.file_name)
        _check_boxes(evidence)
        for split in splits:
            _check_has_objects(split, prepared[split], spec)
            write_split(root, split, train.categories, prepared[split])
        categories = [category for _, category in train.categories]
        draw_contact_sheet(root, "train", prepared["train"], categories, title=name)
        counts = {split: len(images) for split, images in prepared.items()}
        folder = write_description(root, DatasetFolder(out, name, VERSION, "", categories, counts, source))
    notes = train.notes + (test.notes if test is not None else [])
    for line in _summary(folder, prepared, repairs, truncated, notes):
        report(line)
    return folder


def split_sources(train: CocoSource, test: CocoSource | None, spec: CocoSpec) -> dict[str, list[SourceImage]]:
    """Which images train and which test.

    Raises:
        UserError: too few images, or two JSONs that differ in their categories or share an image.
    """
    ordered = _hash_order(train.images, spec.seed)
    if test is None:
        if len(ordered) < 2:
            raise UserError(f"{train.path}: {len(ordered)} image(s); a split into train and test needs at least 2")
        testing = min(max(1, round(len(ordered) * spec.test_share)), len(ordered) - 1)
        splits = {"train": ordered[testing:], "test": ordered[:testing]}
    else:
        _check_pair(train, test)
        splits = {"train": ordered, "test": _hash_order(test.images, spec.seed)}
    return {"train": splits["train"][: spec.max_train], "test": splits["test"][: spec.max_test]}


def _check_pair(train: CocoSource, test: CocoSource) -> None:
    for number, name in sorted(set(train.categories) ^ set(test.categories)):
        raise UserError(f"{train.path} and {test.path} differ in their categories, first in '{name}' (id {number})")
    in_training = {image.path.resolve() for image in train.images}
    for image in test.images:
        if image.path.resolve() in in_training:
            raise UserError(f"{image.where} is in {train.path} too; an image cannot both train and test")


def _hash_order(images: Sequence[SourceImage], seed: int) -> list[SourceImage]:
    return sorted(images, key=lambda image: hashlib.sha256(f"{seed}:{image.name}".encode()).digest())


def _describe_source(spec: CocoSpec, splits: dict[str, list[SourceImage]], workers: int) -> dict[str, Any]:
    """Everything the prepared data depends on; of files the bytes, not where they lie."""
    jsons = [spec.annotations] + ([spec.test_annotations] if spec.test_annotations else [])
    total = hashlib.sha256("".join(sha256_of(path) for path in jsons).encode())
    for images in splits.values():
        for line in run_in_chunks(_file_hashes, images, label="reading", workers=workers):
            total.update(line.encode())
    return {
        "annotations": Path(spec.annotations).name,
        "test_annotations": Path(spec.test_annotations).name if spec.test_annotations else "",
        "test_share": spec.test_share,
        "seed": spec.seed,
        "max_train": spec.max_train,
        "max_test": spec.max_test,
        "content": total.hexdigest()[:16],
    }


def _file_hashes(images: Sequence[SourceImage]) -> list[str]:
    try:
        return [f"{image.name}\0{sha256_of(image.path)}\n" for image in images]
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror or error}") from error


def _output_stems(names: Sequence[str]) -> list[str]:
    """A plain, unique file stem for each path; sub-folders become part of it."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        plain = re.sub(r"[^\w.-]+", "_", Path(name).with_suffix("").as_posix().replace("/", "__"), flags=re.ASCII)
        stem = plain = plain.lstrip(".-")[:150] or "image"
        number = 1
        while stem.lower() in taken:  # 0.jpg beside 0.png, or names that differ in odd characters only
            number += 1
            stem = f"{plain}_{number}"
        taken.add(stem.lower())
        stems[name] = stem
    return [stems[name] for name in names]


def _prepare_images(
    tasks: Sequence[tuple[SourceImage, str]], root: Path, split: str, link: bool
) -> list[tuple[PreparedImage, Repairs, Evidence]]:
    return [_prepare_image(image, stem, root, split, link) for image, stem in tasks]


def _prepare_image(
    image: SourceImage, stem: str, root: Path, split: str, link: bool
) -> tuple[PreparedImage, Repairs, Evidence]:
    repairs: Repairs = Counter()
    evidence: Evidence = Counter()
    target = root / "images" / split / f"{stem}.jpg"
    taken = take_image(image.path, target, (image.width, image.height), image.where, link)
    repairs.update(taken.repairs)
    instances: list[Instance] = []
    for annotation in image.annotations:
        try:
            reading = read_object(annotation, taken.width, taken.height, image.file_name)
        except UserError as error:
            raise UserError(f"{image.json}: {error}") from error
        repairs.update(mend.counted for mend in reading.mends)
        evidence.update(reading.evidence)
        if reading.object is not None:
            found = reading.object
            repairs[CROWDS] += int(found.crowd)
            instances.append(Instance(found.category, found.box, found.area, as_text(found.rle), found.crowd))
    prepared = PreparedImage(target.name, taken.width, taken.height, instances, source_name=image.name)
    write_semantic(root / "semantic" / split / f"{stem}.png", semantic_map(prepared, IGNORED))
    return prepared, repairs, evidence


def _json_of(split: str, spec: CocoSpec) -> str:
    return spec.test_annotations if split == "test" and spec.test_annotations else spec.annotations


def _check_boxes(evidence: dict[str, Evidence]) -> None:
    for json, of_json in evidence.items():
        problem = boxes.fault_of(of_json)
        if problem:
            raise UserError(f"{json}: {problem}")


def _check_has_objects(split: str, images: Sequence[PreparedImage], spec: CocoSpec) -> None:
    if any(not instance.crowd for image in images for instance in image.instances):
        return
    crowds = sum(len(image.instances) for image in images)
    only = f" ({crowds} crowds, 'iscrowd' 1, are none)" if crowds else ""
    raise UserError(
        f"{_json_of(split, spec)}: not one of the {len(images)} images of split '{split}' has an object{only}; "
        "annotate more images, or choose another seed or test share"
    )


def _summary(
    folder: DatasetFolder,
    prepared: dict[str, list[PreparedImage]],
    repairs: Repairs,
    truncated: list[str],
    notes: list[str],
) -> list[str]:
    lines = [f"{folder.name}: {len(folder.categories)} categories, fingerprint {folder.fingerprint}"]
    for split, images in prepared.items():
        empty = sum(not image.instances for image in images)
        instances = sum(len(image.instances) for image in images)
        lines.append(f"  {split}: {len(images)} images, {instances} instances, {empty} images without objects")
    lines += [f"  {count} {what}" for what, count in sorted(repairs.items())]
    lines += [f"  {note}" for note in notes]
    lines += [f"  truncated: {', '.join(truncated[:10])}{', ...' if len(truncated) > 10 else ''}"] if truncated else []
    return lines
