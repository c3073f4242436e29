"""The seven small classification sets, each on its official layout. Labels are 0-based.

The split that papers train on is ``trainval`` wherever there is one: Flowers-102 (2,040 images; its official ``train``
alone has ten a class), FGVC-Aircraft (6,667), DTD (3,760, partition 1) and Pets (3,680).
"""

from __future__ import annotations

from benchmarks.datasets.readers.lists import (
    parse_label,
    read_fields,
    read_lines,
    read_numbered,
    report_unlisted,
    require_image,
)
from benchmarks.datasets.readers.matlab import integers, read_mat
from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

_TRAIN_TEST = [("train", "test")]
_TRAIN_VAL_TEST = [("train", "val", "test")]
FLOWER_CLASSES = 102
DTD_PARTITIONS = range(1, 11)


def read_cub200(tree: Tree, fault: Fault = strict) -> OfficialData:
    """CUB-200-2011: ``images.txt``, ``image_class_labels.txt``, ``train_test_split.txt``, ``classes.txt``."""
    names = read_numbered(tree, "classes.txt", fault)
    images = read_numbered(tree, "images.txt", fault)
    labels = read_numbered(tree, "image_class_labels.txt", fault)
    trains = read_numbered(tree, "train_test_split.txt", fault)
    splits: dict[str, list[Sample]] = {"train": [], "test": []}
    for number, file in images.items():
        if number not in labels or trains.get(number) not in ("0", "1"):
            lacking = "image_class_labels.txt" if number not in labels else "train_test_split.txt"
            fault("list", tree.path(lacking), f"says nothing usable of image {number} ({file})")
            continue
        what = f"image {number} ({file})"
        label = parse_label(labels[number], len(names), fault, tree, "image_class_labels.txt", what)
        if label is None or not require_image(tree, f"images/{file}", fault, "images.txt"):
            continue
        if names.get(label + 1) != file.partition("/")[0]:
            fault("label", tree.path("image_class_labels.txt"), f"{what}: labelled '{names.get(label + 1)}'")
            continue
        split = "train" if trains[number] == "1" else "test"
        splits[split].append(Sample(tree.path(f"images/{file}"), (label,)))
    listed = {f"images/{file}" for file in images.values()}
    for folder in tree.folders("images"):
        report_unlisted(tree, f"images/{folder}", listed, fault, "images.txt")
    return OfficialData("cub200", tree.root, [names[key] for key in sorted(names)], splits, _TRAIN_TEST)


def read_flowers102(tree: Tree, fault: Fault = strict) -> OfficialData:
    """Flowers-102: ``imagelabels.mat`` (1-102, by image number) and ``setid.mat``; classes have no official names."""
    (labels,) = read_mat(tree, "imagelabels.mat", "labels")
    sets = read_mat(tree, "setid.mat", "trnid", "valid", "tstid")
    numbers = integers(labels, f"{tree.path('imagelabels.mat')}: labels")
    splits: dict[str, list[Sample]] = {}
    for split, values in zip(("train", "val", "test"), sets, strict=True):
        splits[split] = []
        for image in integers(values, f"{tree.path('setid.mat')}: {split}"):
            file = f"jpg/image_{image:05d}.jpg"
            if not 1 <= image <= len(numbers):
                fault("list", tree.path("setid.mat"), f"names image {image} of {len(numbers)}")
                continue
            label = parse_label(numbers[image - 1], FLOWER_CLASSES, fault, tree, "imagelabels.mat", f"image {image}")
            if label is not None and require_image(tree, file, fault, "setid.mat"):
                splits[split].append(Sample(tree.path(file), (label,)))
    listed = {f"jpg/image_{number:05d}.jpg" for number in range(1, len(numbers) + 1)}
    report_unlisted(tree, "jpg", listed, fault, "label file")
    splits["trainval"] = splits["train"] + splits["val"]
    names = [str(number) for number in range(1, FLOWER_CLASSES + 1)]
    return OfficialData("flowers102", tree.root, names, splits, _TRAIN_VAL_TEST)


def read_cars(tree: Tree, fault: Fault = strict) -> OfficialData:
    """Stanford Cars: the devkit's .mat files; the test labels are in ``cars_test_annos_withlabels.mat``."""
    (meta,) = read_mat(tree, "devkit/cars_meta.mat", "class_names")
    names = [str(name) for name in meta]
    test = "cars_test_annos_withlabels.mat"
    if tree.has_file(f"devkit/{test}"):
        test = f"devkit/{test}"
    elif not tree.has_file(test) and tree.has_file("devkit/cars_test_annos.mat"):
        raise UserError(f"{tree.root}: devkit/cars_test_annos.mat has no labels; add {test} beside it")
    splits: dict[str, list[Sample]] = {}
    for split, relative in (("train", "devkit/cars_train_annos.mat"), ("test", test)):
        (annotations,) = read_mat(tree, relative, "annotations")
        fields = annotations.dtype.names or ()
        if "fname" not in fields or "class" not in fields:
            raise UserError(f"{tree.path(relative)}: its annotations have no fname and class, but {', '.join(fields)}")
        splits[split] = []
        for entry in annotations:
            file = f"cars_{split}/{entry['fname']}"
            label = parse_label(entry["class"], len(names), fault, tree, relative, str(entry["fname"]))
            if label is not None and require_image(tree, file, fault, relative):
                splits[split].append(Sample(tree.path(file), (label,)))
        listed = {f"cars_{split}/{name}" for name in annotations["fname"]}
        report_unlisted(tree, f"cars_{split}", listed, fault, relative)
    return OfficialData("cars", tree.root, names, splits, _TRAIN_TEST)


def read_aircraft(tree: Tree, fault: Fault = strict) -> OfficialData:
    """FGVC-Aircraft by variant: ``data/images_variant_<split>.txt`` with lines ``number variant``."""
    names = read_lines(tree, "data/variants.txt")
    label_of = {name: label for label, name in enumerate(names)}
    splits: dict[str, list[Sample]] = {}
    listed: set[str] = set()
    for split in ("train", "val", "test"):
        relative = f"data/images_variant_{split}.txt"
        splits[split] = []
        for stem, name in read_fields(tree, relative, 2, fault):
            file = f"data/images/{stem}.jpg"
            listed.add(file)
            if name not in label_of:
                fault("label", tree.path(relative), f"{stem}: '{name}' is not in variants.txt")
            elif require_image(tree, file, fault, relative):
                splits[split].append(Sample(tree.path(file), (label_of[name],)))
    report_unlisted(tree, "data/images", listed, fault, "images_variant list")
    splits["trainval"] = splits["train"] + splits["val"]
    return OfficialData("aircraft", tree.root, names, splits, _TRAIN_VAL_TEST)


def read_indoor67(tree: Tree, fault: Fault = strict) -> OfficialData:
    """MIT Indoor-67: ``TrainImages.txt`` and ``TestImages.txt``; 8,920 of its 15,620 images are in neither."""
    splits = {
        split: _read_class_paths(tree, relative, "Images", fault)
        for split, relative in (("train", "TrainImages.txt"), ("test", "TestImages.txt"))
    }
    return OfficialData("indoor67", tree.root, tree.folders("Images"), splits, _TRAIN_TEST)


def read_pets(tree: Tree, fault: Fault = strict) -> OfficialData:
    """Oxford-IIIT Pets by breed: lines ``stem class species breed``; some images of the folder are in no list."""
    breeds: dict[int, str] = {}
    rows: dict[str, list[tuple[str, int]]] = {}
    for split in ("trainval", "test"):
        relative = f"annotations/{split}.txt"
        rows[split] = []
        for stem, number, *_ in read_fields(tree, relative, 4, fault):
            breed = stem.rpartition("_")[0]
            if not number.isdecimal():
                fault("label", tree.path(relative), f"{stem}: class '{number}' is not a number")
            elif breeds.setdefault(int(number), breed) != breed:
                fault("label", tree.path(relative), f"{stem}: class {number} is that of {breeds[int(number)]}")
            else:
                rows[split].append((stem, int(number)))
    label_of = {number: label for label, number in enumerate(sorted(breeds))}
    splits: dict[str, list[Sample]] = {}
    for split, entries in rows.items():
        splits[split] = [
            Sample(tree.path(f"images/{stem}.jpg"), (label_of[number],))
            for stem, number in entries
            if require_image(tree, f"images/{stem}.jpg", fault, f"annotations/{split}.txt")
        ]
    return OfficialData("pets", tree.root, [breeds[key] for key in sorted(breeds)], splits, [("trainval", "test")])


def read_dtd(tree: Tree, fault: Fault = strict) -> OfficialData:
    """DTD: ``labels/{train,val,test}<n>.txt`` of ten partitions; papers use the first, or the mean over all."""
    splits: dict[str, list[Sample]] = {}
    disjoint: list[tuple[str, ...]] = []
    for number in DTD_PARTITIONS:
        if number > 1 and not tree.has_file(f"labels/train{number}.txt"):
            continue
        for split in ("train", "val", "test"):
            splits[f"{split}{number}"] = _read_class_paths(tree, f"labels/{split}{number}.txt", "images", fault)
        splits[f"trainval{number}"] = splits[f"train{number}"] + splits[f"val{number}"]
        disjoint.append((f"train{number}", f"val{number}", f"test{number}"))
    return OfficialData("dtd", tree.root, tree.folders("images"), splits, disjoint)


def _read_class_paths(tree: Tree, relative: str, folder: str, fault: Fault) -> list[Sample]:
    """Lines ``class/file`` below ``folder``; a class's label is its place among the sorted folders."""
    label_of = {name: label for label, name in enumerate(tree.folders(folder))}
    samples: list[Sample] = []
    for line in read_lines(tree, relative):
        name = line.partition("/")[0]
        if name not in label_of:
            fault("label", tree.path(relative), f"'{line}': there is no folder {folder}/{name}")
        elif require_image(tree, f"{folder}/{line}", fault, relative):
            samples.append(Sample(tree.path(f"{folder}/{line}"), (label_of[name],)))
    return samples
