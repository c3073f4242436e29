"""Small prepared data sets and backbones for the benchmarks' tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder, fingerprint_of
from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from transfer.backbone_file import BackboneInfo, save_backbone
from transfer.networks.resnet import Architecture, build_resnet


@pytest.fixture(autouse=True, scope="session")
def _own_features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor write the user's store of features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCENEBENCH_FEATURES", str(tmp_path_factory.mktemp("features")))
        yield


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """Forty 64-pixel scenes: 28 train, 4 val, 8 test; masks as run lengths."""
    return generate_scenes(tmp_path_factory.mktemp("data") / "scenes", ScenesSpec(images=40, size=64, seed=3))


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """As from a user: two categories with a gap in their ids, polygons, images of several sizes, annotation id 0, a
    crowd, an image without objects; neither val split nor scene types."""
    root = tmp_path_factory.mktemp("data") / "photos"
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 6)):
        _write_photos(root, split, count, rng)
    content = {
        "format_version": 1,
        "name": "photos",
        "version": "1",
        "fingerprint": fingerprint_of(root),
        "source": {},
        "categories": ["nut", "fig"],
        "splits": {"train": 8, "test": 6},
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return DatasetFolder.open(root)


def _write_photos(root: Path, split: str, count: int, rng: np.random.Generator) -> None:
    ids = [7, 90]
    images, annotations, rows = [], [], []
    for kind in ("images", "semantic"):
        (root / kind / split).mkdir(parents=True)
    for index in range(count):
        width, height = [(96, 64), (64, 80), (70, 70)][index % 3]
        name = f"photo_{index:02d}.jpg"
        pixels = rng.integers(0, 80, (height, width, 3)).astype(np.uint8)
        semantic = np.zeros((height, width), np.uint8)
        present = []
        for category in range(2):
            if index == count - 1 or (index + category) % 3 == 0:
                continue  # the last image holds nothing
            x, y, side = int(rng.integers(2, 20)), int(rng.integers(2, 20)) + 20 * category, int(rng.integers(14, 24))
            pixels[y : y + side, x : x + side] = (230, 60, 40) if category else (40, 200, 230)
            semantic[y : y + side, x : x + side] = 1 + category
            present.append(category)
            corners = [x, y, x + side, y, x + side, y + side, x, y + side]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 100 + index,
                    "category_id": ids[category],
                    "bbox": [x, y, side, side],
                    "area": side * side,
                    "iscrowd": 0,
                    "segmentation": [[float(value) for value in corners]],
                }
            )
        if index == 0:
            crowd = {"size": [height, width], "counts": [0, 5 * height, (width - 5) * height]}
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": 100,
                    "category_id": 7,
                    "bbox": [0, 0, 5, height],
                    "area": 5 * height,
                    "iscrowd": 1,
                    "segmentation": crowd,
                }
            )
        Image.fromarray(pixels).save(root / "images" / split / name, quality=95)
        Image.fromarray(semantic).save(root / "semantic" / split / f"photo_{index:02d}.png")
        images.append({"id": 100 + index, "file_name": name, "width": width, "height": height})
        rows.append((name, " ".join(map(str, present))))
    categories = [{"id": 90, "name": "fig"}, {"id": 7, "name": "nut"}]
    (root / "annotations").mkdir(exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    (root / "multilabel").mkdir(exist_ok=True)
    with open(root / "multilabel" / f"{split}.csv", "w", newline="") as file:
        csv.writer(file).writerows([("file_name", "labels"), *rows])


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly initialised narrow ResNet-18 with BN statistics that are not the identity."""
    return write_backbone(tmp_path_factory.mktemp("backbones") / "tiny.safetensors", seed=0)


def write_backbone(path: Path, seed: int, width: int = 8) -> Path:
    """Write a random backbone file of stem width ``width``."""
    architecture = Architecture(depth=18, stem_width=width)
    torch.manual_seed(seed)
    network = build_resnet(architecture).train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(8, 3, 64, 64))
    info = BackboneInfo(architecture=architecture, method="random", recipe_name="random_test", recipe={"seed": seed})
    save_backbone(path, network.state_dict(), info)
    return path
