"""The supervised upper bound: its loss, its labels, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.data import augment
from pretrain.data.views import Batch
from pretrain.methods.supervised import Supervised
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.train import pretrain
from scenebench.errors import UserError
from transfer.backbone_file import load_backbone

BATCH = 4
IMAGES = [Path(f"/data/{index}.jpg") for index in range(6)]
PRESENT = {0: [1], 1: [5, 9], 2: [], 3: [9], 4: [1, 5, 9], 5: [5]}  # category ids by image
COLUMN = {1: 0, 5: 1, 9: 2}


def write_labels(folder: Path, listed: list[int]) -> Path:
    annotations = [
        {"id": 100 * image + category, "image_id": image, "category_id": category, "bbox": [0, 0, 5, 5]}
        for image in listed
        for category in PRESENT[image]
    ]
    content = {
        "images": [{"id": image, "file_name": f"{image}.jpg"} for image in listed],
        "annotations": annotations,
        "categories": [{"id": number, "name": str(number)} for number in COLUMN],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def recipe_of(annotations: Path | str, *overrides: str) -> Recipe:
    small = ["network.stem_width=8", "schedule.batch_size=4", "views.crop_size=32"]
    return load_recipe("supervised_demo", [*small, f"data.annotations={annotations}", *overrides])


def build(annotations: Path, *overrides: str) -> Supervised:
    torch.manual_seed(3)
    method = method_class("supervised")(recipe_of(annotations, *overrides), IMAGES).train()
    assert isinstance(method, Supervised)
    return method


def batch_of(indices: list[int]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    batch = Batch.empty(BATCH, 32, 0, 32)
    batch.indices = torch.tensor(indices)
    batch.global_views = torch.randint(0, 256, batch.global_views.shape, generator=generator, dtype=torch.uint8)
    batch.global_photometric = torch.zeros_like(batch.global_photometric)
    batch.global_photometric[..., augment.ORDER] = -1
    batch.global_photometric[..., augment.SOLARISE] = 256
    return batch


@pytest.mark.parametrize("groups", [1, 2])
def test_the_loss_is_the_mean_cross_entropy_over_categories_and_images(tmp_path: Path, groups: int) -> None:
    method = build(write_labels(tmp_path, list(PRESENT)), f"network.bn_groups={groups}")
    batch = batch_of([4, 0, 2, 1])
    loss, log = method(batch)
    views = method.normalised(batch.global_views[:, 0])
    expected = 0.0
    for part, indices in zip(views.chunk(groups), batch.indices.chunk(groups), strict=True):
        features = method.backbone(part).detach()
        linear = method.network.linear
        logits = (features @ linear.weight.T + linear.bias).detach().double()
        for row, index in enumerate(indices.tolist()):
            for category, column in COLUMN.items():
                probability = 1 / (1 + math.exp(-float(logits[row, column])))
                expected -= math.log(probability if category in PRESENT[index] else 1 - probability)
    assert loss.item() == pytest.approx(expected / (BATCH * len(COLUMN)), rel=1e-5)
    assert log["loss_bce"].item() == loss.item()
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


def test_the_second_view_is_left_alone(tmp_path: Path) -> None:
    method = build(write_labels(tmp_path, list(PRESENT)))
    batch = batch_of([4, 0, 2, 1])
    before = method(batch)[0].item()
    batch.global_views[:, 1] = 0
    assert method(batch)[0].item() == before


def test_it_refuses_to_go_without_labels(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^data.annotations: method=supervised needs labels; add data.annotations=FILE"
    ):
        method_class("supervised")(load_recipe("supervised_demo"), IMAGES)
    with pytest.raises(UserError, match=r"^data.annotations: .* does not list 2 of the 6 images .*/data/3.jpg"):
        build(write_labels(tmp_path, [0, 1, 2, 4]))


def test_a_run_writes_the_only_branch_and_learns(tmp_path: Path) -> None:
    """Categories that are colours: the loss falls far below that of constant answers."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(16):
        pixels = rng.integers(0, 40, (40, 40, 3), dtype=np.uint8)
        pixels[..., index % 2] += 200
        Image.fromarray(pixels).save(folder / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png"})
        annotations.append({"id": index, "image_id": index, "category_id": index % 2, "bbox": [0, 0, 9, 9]})
    path = tmp_path / "instances.json"
    categories = [{"id": 0, "name": "red"}, {"id": 1, "name": "green"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    colours_kept = ["views.jitter_p=0", "views.grey_p=0", "views.blur_p=0"]
    recipe = recipe_of(path, f"data.root={folder}", "schedule.epochs=8", "run.log_every=1", *colours_kept)
    info, _ = load_backbone(pretrain(recipe, tmp_path / "run"))
    assert (info.method, info.branch) == ("supervised", "only")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 32
    assert sum(losses[-4:]) / 4 < 0.25 < math.log(2)
