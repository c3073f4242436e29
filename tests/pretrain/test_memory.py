"""What a run holds in memory: sizes by formula, and nothing that grows with the epochs."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pretrain.data.augment import PARAMETERS
from pretrain.data.loading import PretrainDataset
from pretrain.data.sources import list_images
from pretrain.data.views import Batch
from pretrain.dictionary import PairedDictionary
from pretrain.methods.saliency.method import SaliencyCache
from pretrain.recipes.recipe import resolve_recipe
from scenebench.config import parse_overrides

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1e6


def held(tensors: list[Tensor]) -> int:
    """Bytes of the memory behind ``tensors``, also what they are only a view of."""
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


# --- formulas -----------------------------------------------------------------------------------------------------


def dictionary_bytes(size: int, projection_dim: int, feature_dim: int) -> int:
    return size * (4 * (feature_dim + projection_dim) + 8 + 16)


@pytest.mark.parametrize(("size", "projection_dim", "feature_dim"), [(4096, 256, 2048), (65536, 128, 0), (64, 8, 16)])
def test_a_dictionary_is_as_large_as_its_docstring_says(size: int, projection_dim: int, feature_dim: int) -> None:
    dictionary = PairedDictionary(size, projection_dim, feature_dim)
    expected = dictionary_bytes(size, projection_dim, feature_dim)
    assert held(list(dictionary.buffers())) == expected
    batch = torch.randn(32, max(feature_dim, 1)), torch.randn(32, projection_dim), torch.arange(32), torch.rand(32, 4)
    for _ in range(3):
        dictionary.enqueue(*batch)
    assert held(list(dictionary.buffers())) == expected


def test_the_numbers_of_the_docstrings() -> None:
    assert round(dictionary_bytes(4096, 256, 2048) / MEGABYTE) == 38
    assert round(dictionary_bytes(65536, 128, 0) / MEGABYTE) == 35
    assert round(118_287 * 49 / MEGABYTE, 1) == 5.8
    assert round(118_287 * 3 * 640 * 480 / MEGABYTE / 1000) == 109
    assert round(2000 * 3 * 128 * 128 / MEGABYTE) == 98
    assert round(batch_bytes(256, 224, 0, 96) / MEGABYTE) == 77
    assert round(batch_bytes(256, 224, 2, 96) / MEGABYTE) == 105
    for owner, numbers in (
        (PairedDictionary, ("38 MB", "35 MB", "D * (4 * (feature_dim + projection_dim) + 8 + 16)")),
        (SaliencyCache, ("5.8 MB", "N * h * w")),
        (PretrainDataset, ("109 GB", "98 MB", "3 * H * W")),
        (Batch, ("77 MB", "105 MB", "B * (8 + 2 * v(S) + 2 * K * v(s))", "3 * S * S + 16 + 4 * P")),
    ):
        assert all(number in " ".join(str(owner.__doc__).split()) for number in numbers), owner


@pytest.mark.parametrize(("input_size", "cells"), [(224, 7), (448, 14)])
def test_the_saliency_cache_is_one_byte_a_cell(input_size: int, cells: int) -> None:
    cache = SaliencyCache(1000, input_size)
    values = cache.values
    assert held([values]) == 1000 * cells * cells
    cache.refresh(torch.zeros_like(values), 3)
    assert cache.values.data_ptr() == values.data_ptr()  # in place


def batch_bytes(size: int, crop: int, pairs: int, local: int) -> int:
    global_view, local_view = (3 * side * side + 16 + 4 * PARAMETERS for side in (crop, local))
    return size * (8 + 2 * global_view + 2 * pairs * local_view)


@pytest.mark.parametrize("pairs", [0, 2])
def test_a_batch_is_as_large_as_its_docstring_says(pairs: int) -> None:
    batch = Batch.empty(8, 64, pairs, 32)
    assert held([value for value in vars(batch).values() if isinstance(value, Tensor)]) == batch_bytes(8, 64, pairs, 32)


def write_images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (9, 8, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((200 + index % 3, 160))
        image.save(folder / f"{index:03d}.{('jpg', 'png')[index % 2]}")
    return folder


def test_the_cache_of_decoded_images_is_three_bytes_a_pixel(tmp_path: Path) -> None:
    images = list_images(write_images(tmp_path / "images", 12))
    keys = ["data.cache=ram", "schedule.batch_size=4", "mls.dictionary_size=64", f"data.root={tmp_path / 'images'}"]
    dataset = PretrainDataset(resolve_recipe(parse_overrides(keys)), images)
    cached = [image for image in dataset._cache or [] if image is not None]
    assert len(cached) == 12
    assert held(cached) == sum(3 * 160 * (200 + index % 3) for index in range(12))


# --- growth -------------------------------------------------------------------------------------------------------

_TWENTY_EPOCHS = """
import gc, json, os, sys
from pathlib import Path
import multiprocessing
from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.recipes.recipe import resolve_recipe
from pretrain.data.sources import list_images
from scenebench.config import parse_overrides

def kilobytes(pid):
    # Not Pss itself: a library's pages weigh less or more as other programs that use it come and go.
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))

def tree():
    return [os.getpid(), *(child.pid for child in multiprocessing.active_children())]

recipe = resolve_recipe(parse_overrides(sys.argv[2:]))
dataset = PretrainDataset(recipe, list_images(sys.argv[1]))
told = []
for epoch in range(20):
    loader = build_loader(recipe, dataset, epoch)
    for step, batch in enumerate(loader):
        if step == len(loader) - 1:
            processes = tree()
            during = sum(kilobytes(pid) for pid in processes)
    del batch
    gc.collect()
    told.append({
        "during": during, "after": kilobytes(os.getpid()), "workers": len(processes) - 1,
        "left": len(tree()) - 1, "descriptors": len(os.listdir("/proc/self/fd")),
    })
print(json.dumps(told))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system has no smaps_rollup")
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_twenty_epochs_hold_no_more_than_five(kind: str, tmp_path: Path) -> None:
    """Kilobytes of all processes together (pages in common counted once), worker processes and open files."""
    root = write_images(tmp_path / "images", 24)
    if kind == "tar":
        with tarfile.open(tmp_path / "images.tar", "w") as tar:
            tar.add(root, arcname="images")
        root = tmp_path / "images.tar"
    keys = [f"data.root={root}", "data.workers=2", "schedule.batch_size=8", "mls.dictionary_size=64",
            "views.crop_size=96", "run.device=cpu"]  # fmt: skip
    gc.collect()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TWENTY_EPOCHS, str(root), *keys],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    epochs = json.loads(done.stdout.splitlines()[-1])
    assert len(epochs) == 20
    assert all(epoch["workers"] == min(2, len(os.sched_getaffinity(0))) for epoch in epochs)
    assert [epoch["left"] for epoch in epochs] == [0] * 20
    assert len({epoch["descriptors"] for epoch in epochs[2:]}) == 1, epochs
    for when, allowed in (("after", 500), ("during", 3000)):
        early, late = (max(epoch[when] for epoch in part) for part in (epochs[2:6], epochs[16:]))
        assert late - early < allowed, (when, [epoch[when] for epoch in epochs])
