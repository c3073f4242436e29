"""Tiny folders in the layouts that the small sets of photographs are made of."""

from __future__ import annotations

import json
from pathlib import Path

from miniature_files import write_image, write_lines, write_map

from benchmarks.datasets.photos.sets import split_of

COUNT = 40
COCO_IDS = list(range(1, COUNT + 1))
CATEGORIES = [(1, "person"), (16, "bird"), (17, "cat"), (90, "toothbrush")]
"""Ids and names: two of COCO's animals among them."""
SIZE = (60, 45)
"""Width and height of every official picture: 170 x 128 once it is small."""


def build_official_coco(root: Path, ids: list[int] | None = None) -> Path:
    """A part of train2017: of picture n a bird and a person in boxes, the person a crowd where n is even."""
    images, annotations = [], []
    for number in ids or COCO_IDS:
        write_image(root / "train2017" / f"{number:012d}.jpg", seed=number, size=SIZE)
        images.append({"id": number, "file_name": f"{number:012d}.jpg", "width": SIZE[0], "height": SIZE[1]})
        for place, (category, box) in enumerate(((16, [6, 9, 30, 18]), (1, [0, 0, 12, 45]), (17, [3, 3, 3, 0]))):
            annotations.append(
                {"id": 10 * number + place, "image_id": number, "category_id": category, "bbox": box}
                | {"area": 1.0, "iscrowd": int(category == 1 and number % 2 == 0)}
            )
    _write_coco(root / "annotations/instances_train2017.json", images, annotations, CATEGORIES)
    return root


def build_official_voc(root: Path, count: int = COUNT) -> tuple[Path, Path]:
    """Every other picture has a map of VOC's own, with void; all have one of SBD. Also the list of the names."""
    names = [f"2008_{number:06d}" for number in range(count)]
    for number, name in enumerate(names):
        write_image(root / "JPEGImages" / f"{name}.jpg", seed=number, size=SIZE)
        if number % 2:
            write_map(root / "SegmentationClass" / f"{name}.png", [0, 8, 255], size=SIZE, palette=True)
        write_map(root / "SegmentationClassAug" / f"{name}.png", [0, 12], size=SIZE)
    return root, write_lines(root / "list.txt", names)


def build_official_ade(root: Path, count: int = COUNT) -> tuple[Path, Path]:
    """Maps of 0, 1, 2 and 150 in stripes, and the list of the names."""
    names = [f"ADE_val_{number:08d}" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        write_image(root / "images/validation" / f"{name}.jpg", seed=number, size=SIZE)
        write_map(root / "annotations/validation" / f"{name}.png", [0, 1, 2, 150], size=SIZE)
    return root, write_lines(root / "list.txt", names)


def build_given(root: Path, names: dict[str, list[str]], size: tuple[int, int] = (40, 32)) -> Path:
    """Small pictures of the three sets with these file names; maps of ADE20K hold 0, 1 and 150, of VOC 0, 8 and 255."""
    images: dict[str, list[dict]] = {"train": [], "test": []}
    annotations: dict[str, list[dict]] = {"train": [], "test": []}
    for name in names["coco_small"]:
        number, part = int(Path(name).stem), "test" if split_of(name) == "test" else "train"
        write_image(root / "coco/images" / name, seed=number, size=size)
        images[part].append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        box = [4.5, 3.25, 10.0 + number % 5, 12.0]
        annotations[part].append(
            {"id": number, "image_id": number, "category_id": (1, 90)[number % 2], "bbox": box, "area": 1, "iscrowd": 0}
        )
    for part in images:
        path = root / f"coco/instances_{part}.json"
        _write_coco(path, images[part], annotations[part], [(1, "person"), (90, "toothbrush")])
    for folder, values, of in (("ade20k_val", [0, 1, 150], "ade20k_small"), ("voc2012_seg", [0, 8, 255], "voc_small")):
        for seed, name in enumerate(names[of]):
            write_image(root / folder / "images" / name, seed=seed, size=size)
            write_map(root / folder / "maps" / f"{Path(name).stem}.png", values, size=size)
    return root


def _write_coco(path: Path, images: list[dict], annotations: list[dict], categories: list[tuple[int, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    named = [{"id": number, "name": name} for number, name in categories]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": named}))
