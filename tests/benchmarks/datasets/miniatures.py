"""Miniature data sets in exactly the official layouts: a few tiny images each, equal at every call.

Every builder takes the folder that becomes the data set's root and returns it. The images of one data set differ from
each other, so that a reader that mixes them up is found out, and nothing is a duplicate.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from miniature_files import write_image, write_lines, write_map, write_voc_xml
from PIL import Image
from scipy.io import savemat

from benchmarks.datasets.readers.cityscapes import TRAIN_ID_OF
from benchmarks.datasets.readers.voc import VOC_CLASSES

SYNSETS = ("n01440764", "n01443537", "n02084071")
CITIES = {"train": ("aachen", "bochum"), "val": ("lindau",), "test": ("berlin",)}


def build_coco2017(root: Path, train: int = 6, val: int = 4) -> Path:
    """Two categories with a gap in their ids (1 and 90), a crowd, an image without objects."""
    categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
    for split, count in (("train", train), ("val", val)):
        images, annotations = [], []
        for index in range(count):
            number = index + (1 if split == "train" else 100)
            name = f"{number:012d}.jpg"
            write_image(root / f"{split}2017" / name, seed=number)
            images.append({"id": number, "file_name": name, "width": 24, "height": 20})
            for place in range(index % 3):
                left = 2 + 4 * place
                annotations.append(
                    {
                        "id": 1000 * number + place,
                        "image_id": number,
                        "category_id": (1, 90)[(index + place) % 2],
                        "bbox": [left, 3, 6.5, 8],
                        "area": 52.0,
                        "iscrowd": 0,
                        "segmentation": [[left, 3, left + 6.5, 3, left + 6.5, 11, left, 11]],
                    }
                )
        crowd = {"size": [20, 24], "counts": [0, 100, 380]}
        annotations.append(
            {"id": 7 if split == "train" else 8, "image_id": images[-1]["id"], "category_id": 1, "bbox": [0, 0, 5, 20]}
            | {"area": 100, "iscrowd": 1, "segmentation": crowd}
        )
        path = root / "annotations" / f"instances_{split}2017.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return root


def build_voc2007(root: Path, each: int = 4) -> Path:
    """``each`` images in train, val and test; every image has two objects, every other one a difficult third."""
    return _build_voc(root, each, ("train", "val", "test"), "{:06d}", first=1)


def build_voc2012(root: Path, each: int = 4) -> Path:
    """``each`` images in train and val, all of them with a palette map (0, classes, 255)."""
    _build_voc(root, each, ("train", "val"), "2008_{:06d}", first=500)
    lists = root / "ImageSets"
    stems: list[str] = []
    for split in ("train", "val"):
        own = (lists / "Main" / f"{split}.txt").read_text().split()
        write_lines(lists / "Segmentation" / f"{split}.txt", own)
        stems += own
    write_lines(lists / "Segmentation" / "trainval.txt", sorted(stems))
    for index, stem in enumerate(sorted(stems)):
        values = [0, 1 + (5 * index) % 20, 1 + (5 * index + 1) % 20, 20, 255]
        write_map(root / "SegmentationClass" / f"{stem}.png", values, palette=True)
    return root


def build_voc2012aug(root: Path, each: int = 4, added: int = 3) -> Path:
    """VOC 2012 with ``added`` images that only SBD annotates; ``trainaug.txt`` is left to 'data prepare'."""
    build_voc2012(root, each)
    for path in sorted((root / "SegmentationClass").iterdir()):
        values = sorted(set(np.asarray(Image.open(path)).ravel().tolist()))
        write_map(root / "SegmentationClassAug" / path.name, values)
    for index in range(added):
        stem = f"2010_{index + 1:06d}"
        write_image(root / "JPEGImages" / f"{stem}.jpg", seed=900 + index)
        write_voc_xml(root / "Annotations" / f"{stem}.xml", [("cat", 2, 3, 12, 14, 0)])
        write_map(root / "SegmentationClassAug" / f"{stem}.png", [0, 8 + index, 255])
    return root


def build_voc0712(root: Path) -> Path:
    """VOC 2007 and 2012 below one folder."""
    build_voc2007(root / "VOC2007")
    build_voc2012(root / "VOC2012")
    return root


def build_cityscapes(root: Path, each: int = 2) -> Path:
    """``each`` frames a city: two training cities, one for val, one for test; 24 x 12 pixels."""
    number = 0
    for split, cities in CITIES.items():
        for city in cities:
            for frame in range(each):
                number += 1
                stem = f"{city}_{frame:06d}_000019"
                write_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", number, size=(24, 12))
                values = [3] if split == "test" else [0, 1, 4, *TRAIN_ID_OF]
                write_map(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", values, size=(24, 12))
    return root


def build_ade20k(root: Path, each: int = 4) -> Path:
    """``each`` images in both parts; maps of what is not labelled and five of the 150 classes."""
    number = 0
    for folder, stem in (("training", "ADE_train"), ("validation", "ADE_val")):
        for place in range(1, each + 1):
            number += 1
            write_image(root / "images" / folder / f"{stem}_{place:08d}.jpg", number)
            write_map(root / "annotations" / folder / f"{stem}_{place:08d}.png", [0, 1, 2, number + 2, 149, 150])
    return root


def build_imagenet(root: Path, train: int = 4, val: int = 2) -> Path:
    """Three synsets with ``train`` and ``val`` images each."""
    number = 0
    for label, synset in enumerate(SYNSETS):
        for index in range(train):
            number += 1
            write_image(root / "train" / synset / f"{synset}_{10 * index + label}.JPEG", seed=number)
        for _ in range(val):
            number += 1
            write_image(root / "val" / synset / f"ILSVRC2012_val_{number:08d}.JPEG", seed=number)
    return root


def build_cub200(root: Path, classes: int = 3, each: int = 4) -> Path:
    """``each`` images a class, every other one for training."""
    names = [f"{label + 1:03d}.Bird_{label}" for label in range(classes)]
    files = [f"{name}/Bird_{label}_{index:04d}.jpg" for label, name in enumerate(names) for index in range(each)]
    for number, file in enumerate(files, start=1):
        write_image(root / "images" / file, seed=number)
    write_lines(root / "classes.txt", (f"{label + 1} {name}" for label, name in enumerate(names)))
    write_lines(root / "images.txt", (f"{number} {file}" for number, file in enumerate(files, start=1)))
    labels = (f"{number} {(number - 1) // each + 1}" for number in range(1, len(files) + 1))
    write_lines(root / "image_class_labels.txt", labels)
    write_lines(root / "train_test_split.txt", (f"{number} {number % 2}" for number in range(1, len(files) + 1)))
    return root


def build_flowers102(root: Path, train: int = 4, val: int = 4, test: int = 6) -> Path:
    """Labels are spread over 1-102; the sets interleave, as the official ones do."""
    count = train + val + test
    for number in range(1, count + 1):
        write_image(root / "jpg" / f"image_{number:05d}.jpg", seed=number)
    order = np.random.default_rng(0).permutation(np.arange(1, count + 1))
    savemat(root / "imagelabels.mat", {"labels": np.array([flower_label(n) for n in range(1, count + 1)], np.uint8)})
    sets = {"trnid": order[:train], "valid": order[train : train + val], "tstid": order[train + val :]}
    savemat(root / "setid.mat", {key: values.astype(np.uint16) for key, values in sets.items()})
    return root


def flower_label(number: int) -> int:
    """The 1-based label of an image of :func:`build_flowers102`."""
    return 1 + (17 * number) % 102


def build_cars(root: Path, classes: int = 3, train: int = 6, test: int = 4) -> Path:
    """The devkit's structures; the test labels lie beside the folders."""
    (root / "devkit").mkdir(parents=True, exist_ok=True)
    names = np.array([f"Make {label} Coupe 2012" for label in range(classes)], dtype=object)
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": names})
    for split, count, target in (
        ("train", train, "devkit/cars_train_annos.mat"),
        ("test", test, "cars_test_annos_withlabels.mat"),
    ):
        kinds = [(f"bbox_{key}", object) for key in ("x1", "y1", "x2", "y2")] + [("class", object), ("fname", object)]
        entries = np.zeros((1, count), dtype=kinds)
        for index in range(count):
            name = f"{index + 1:05d}.jpg"
            write_image(root / f"cars_{split}" / name, seed=index + (0 if split == "train" else 50))
            entries[0, index] = (2, 3, 20, 18, index % classes + 1, name)
        savemat(root / target, {"annotations": entries})
    return root


def build_aircraft(root: Path, each: int = 2) -> Path:
    """Variants with blanks and slashes in their names; ``each`` images a variant and split."""
    variants = ["707-320", "A330-200", "Cessna 172", "F/A-18"]
    number = 1000
    for split in ("train", "val", "test"):
        lines = []
        for variant in variants:
            for _ in range(each):
                number += 1
                write_image(root / "data" / "images" / f"{number:07d}.jpg", seed=number)
                lines.append(f"{number:07d} {variant}")
        write_lines(root / "data" / f"images_variant_{split}.txt", lines)
    write_lines(root / "data" / "variants.txt", variants)
    return root


def build_indoor67(root: Path, train: int = 3, test: int = 2) -> Path:
    """Three classes; one image more a class that is in neither list."""
    lists: dict[str, list[str]] = {"Train": [], "Test": []}
    number = 0
    for name in ("airport_inside", "bakery", "winecellar"):
        for index in range(train + test + 1):
            number += 1
            file = f"{name}/{name} {index:04d}.jpg" if index == 0 else f"{name}/{name}_{index:04d}.jpg"
            write_image(root / "Images" / file, seed=number)
            if index < train + test:
                lists["Train" if index < train else "Test"].append(file)
    for split, files in lists.items():
        write_lines(root / f"{split}Images.txt", files)
    return root


def build_pets(root: Path, each: int = 2) -> Path:
    """Three breeds; classes are numbered by name without regard to case, as the official ones are."""
    number = 0
    for split in ("trainval", "test"):
        lines = []
        for label, (breed, species) in enumerate((("Abyssinian", 1), ("american_bulldog", 2), ("Bengal", 1)), start=1):
            for _ in range(each):
                number += 1
                write_image(root / "images" / f"{breed}_{number}.jpg", seed=number)
                lines.append(f"{breed}_{number} {label} {species} {label}")
        write_lines(root / "annotations" / f"{split}.txt", lines)
    return root


def build_dtd(root: Path, partitions: int = 2, each: int = 2) -> Path:
    """Three textures; the partitions rotate the same images."""
    textures = ("banded", "blotchy", "zigzagged")
    files = [f"{texture}/{texture}_{index:04d}.jpg" for texture in textures for index in range(3 * each)]
    for number, file in enumerate(files):
        write_image(root / "images" / file, seed=number)
    for partition in range(1, partitions + 1):
        for place, split in enumerate(("train", "val", "test")):
            own = [file for index, file in enumerate(files) if (index + place + partition) % 3 == 0]
            write_lines(root / "labels" / f"{split}{partition}.txt", own)
    return root


def _build_voc(root: Path, each: int, splits: tuple[str, ...], form: str, first: int) -> Path:
    number = first
    stems: dict[str, list[str]] = {}
    for split in splits:
        stems[split] = []
        for index in range(each):
            stem = form.format(number)
            write_image(root / "JPEGImages" / f"{stem}.jpg", seed=number)
            one, other = VOC_CLASSES[number % 20], VOC_CLASSES[(number + 7) % 20]
            objects = [(one, 1, 1, 10, 12, 0), (other, 8, 5, 24, 20, 0)]
            if index % 2:
                objects.append((VOC_CLASSES[(number + 3) % 20], 3, 3, 6, 6, 1))
            write_voc_xml(root / "Annotations" / f"{stem}.xml", objects)
            stems[split].append(stem)
            number += 1
        write_lines(root / "ImageSets" / "Main" / f"{split}.txt", stems[split])
    write_lines(root / "ImageSets" / "Main" / "trainval.txt", stems["train"] + stems["val"])
    return root


def build_salient_objects(root: Path, count: int = 6) -> Path:
    """Pictures of two shapes; what is salient is a brighter rectangle that lies elsewhere in each."""
    rng = np.random.default_rng(5)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for index in range(count):
        size = ((40, 32), (32, 40))[index % 2]
        mask = np.zeros(size[::-1], dtype=np.uint8)
        top, left = rng.integers(0, 16, 2)
        mask[top : top + 14, left : left + 12] = 255
        pixels = rng.integers(0, 90, (*mask.shape, 3)) + mask[..., None] // 2
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"images/{index:03d}.jpg")
        Image.fromarray(mask).save(root / f"masks/{index:03d}.png")
    return root


BUILDERS = {
    "ade20k": build_ade20k,
    "aircraft": build_aircraft,
    "cars": build_cars,
    "cityscapes": build_cityscapes,
    "coco2017": build_coco2017,
    "cub200": build_cub200,
    "dtd": build_dtd,
    "flowers102": build_flowers102,
    "imagenet": build_imagenet,
    "indoor67": build_indoor67,
    "pets": build_pets,
    "salient_objects": build_salient_objects,
    "voc": build_voc2007,
    "voc0712": build_voc0712,
    "voc2007": build_voc2007,
    "voc2012": build_voc2012,
    "voc2012aug": build_voc2012aug,
}
"""By name in the registry. ``scenes`` is generated: see ``benchmarks.datasets.scenes``."""
