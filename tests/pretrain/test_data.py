"""Samples depend on seed, epoch and position alone; broken images are replaced, counted and named."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.data.sources import list_images
from pretrain.data.views import Batch
from pretrain.recipes.recipe import Recipe, resolve_recipe
from scenebench.config import parse_overrides
from scenebench.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


def write_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((50 + index % 3, 40)).save(folder / f"{index:03d}.jpg")
    return list_images(folder)


def recipe_for(images: list[Path], *overrides: str) -> Recipe:
    base = [
        f"data.root={images[0].parent}", "data.workers=0", "schedule.batch_size=4", "views.crop_size=32",
        "run.device=cpu",
    ]  # fmt: skip
    return resolve_recipe(parse_overrides([*base, *overrides]))


def dataset_for(images: list[Path], *overrides: str, local_boxes=None) -> PretrainDataset:
    local = ["method=saliency", "saliency.crop_size=32", "moco.queue_size=64"]
    own = ["mls.dictionary_size=64"] if local_boxes is None else local
    return PretrainDataset(recipe_for(images, *own, *overrides), images, local_boxes)


def epoch_of(dataset: PretrainDataset, epoch: int = 0, start_step: int = 0) -> list[Batch]:
    return list(build_loader(dataset.recipe, dataset, epoch, start_step))


def tensors(batches: list[Batch]) -> list[Tensor]:
    return [value for batch in batches for value in vars(batch).values() if isinstance(value, Tensor)]


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second) > 0
    assert len(tensors(first)) == len(tensors(second))
    for mine, other in zip(tensors(first), tensors(second), strict=True):
        assert mine.stride() == other.stride()
        assert torch.equal(mine, other)


def two_pairs(index: int, rng: np.random.Generator) -> np.ndarray:
    left = rng.uniform(0, 0.4, (2, 2, 2))
    return np.concatenate([left, left + 0.5], axis=-1)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return write_images(tmp_path / "images", 18)


def test_an_epoch_shows_every_image_once_but_for_the_last_incomplete_batch(images):
    dataset = dataset_for(images)
    batches = epoch_of(dataset)
    assert len(batches) == dataset.steps_per_epoch == len(build_loader(dataset.recipe, dataset, 0)) == 4
    indices = torch.cat([batch.indices for batch in batches]).tolist()
    assert len(set(indices)) == 16
    other = torch.cat([batch.indices for batch in epoch_of(dataset, 1)]).tolist()
    assert indices != other
    assert sorted(indices) != indices


def test_the_same_seed_epoch_and_position_give_the_same_sample(images):
    batches = epoch_of(dataset_for(images), 1)
    assert_equal(batches, epoch_of(dataset_for(images), 1))
    for changed in (epoch_of(dataset_for(images, "seed=1"), 1), epoch_of(dataset_for(images), 2)):
        assert not torch.equal(changed[0].global_boxes, batches[0].global_boxes)
    assert not torch.equal(batches[0].global_views[:, 0], batches[0].global_views[:, 1])
    assert len({views.numpy().tobytes() for batch in batches for views in batch.global_views}) == 16


@pytest.mark.parametrize("workers", [1, 3])
def test_worker_processes_change_nothing(images, workers):
    alone = epoch_of(dataset_for(images, local_boxes=two_pairs))
    state = torch.get_rng_state()
    shared = epoch_of(dataset_for(images, f"data.workers={workers}", local_boxes=two_pairs))
    assert_equal(alone, shared)
    assert torch.equal(torch.get_rng_state(), state)  # the training's generator is not touched


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [1, 3])
def test_an_epoch_can_be_entered_at_any_step(images, workers, start):
    whole = epoch_of(dataset_for(images), 3)
    assert_equal(whole[start:], epoch_of(dataset_for(images, f"data.workers={workers}"), 3, start))
    dataset = dataset_for(images)
    assert epoch_of(dataset, 3, dataset.steps_per_epoch) == []


def test_a_cache_changes_nothing(images):
    kept = dataset_for(images, "data.cache=ram")
    for path in images:
        path.unlink()  # so it must come from the cache
    cached = epoch_of(kept)
    assert_equal(cached, epoch_of(dataset_for(write_images(images[0].parent, 18))))


def test_a_small_folder_is_cycled_through_evenly(tmp_path):
    few = write_images(tmp_path / "few", 3)
    dataset = dataset_for(few, "schedule.batch_size=8", "data.images_per_epoch=20")
    assert dataset.steps_per_epoch == 2
    stream = [dataset.index_at(epoch, position) for epoch in range(3) for position in range(20)]
    assert Counter(stream) == {0: 20, 1: 20, 2: 20}
    permutations = {tuple(stream[start : start + 3]) for start in range(0, 60, 3)}
    assert all(sorted(permutation) == [0, 1, 2] for permutation in permutations)
    assert len(permutations) > 2
    views = torch.cat([batch.global_views for batch in epoch_of(dataset)])
    assert len({view.numpy().tobytes() for view in views}) == 16  # the same image, but never the same sample


def test_short_epochs_go_on_where_the_last_one_ended(images):
    dataset = dataset_for(images, "data.images_per_epoch=6")
    stream = [dataset.index_at(epoch, position) for epoch in range(3) for position in range(6)]
    assert sorted(stream) == list(range(18))


def test_permutation_and_sample_draws_are_unrelated():
    """A generator seeded [seed, n] equals one seeded [seed, n, 0]: permutations must use another third word."""
    first = np.random.default_rng([0, 5]).random(4)
    assert np.array_equal(first, np.random.default_rng([0, 5, 0]).random(4))
    from pretrain.data.loading import _PERMUTATION

    assert not np.array_equal(first, np.random.default_rng([0, 5, _PERMUTATION]).random(4))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_is_replaced_by_the_next_of_the_epoch_and_named_once(images, workers, capfd):
    whole = dataset_for(images)
    order = [whole.index_at(0, position) for position in range(18)]
    broken = order[5]
    images[broken].write_bytes(images[broken].read_bytes()[:300])
    dataset = dataset_for(images, f"data.workers={workers}", "data.max_bad_share=0.1")
    batches = epoch_of(dataset)
    expected = order[:16]
    expected[5] = order[6]
    assert torch.cat([batch.indices for batch in batches]).tolist() == expected
    # All other samples are what they would have been.
    reference = epoch_of(dataset_for(write_images(images[0].parent, 18)))
    assert torch.equal(batches[0].global_views, reference[0].global_views)
    assert torch.equal(batches[1].global_views[2:], reference[1].global_views[2:])
    # The replacement has draws of its own.
    assert not torch.equal(batches[1].global_boxes[1], batches[1].global_boxes[2])
    images[broken].write_bytes(b"")
    epoch_of(dataset, 1)
    said = capfd.readouterr().err
    assert said.count("skipped:") == 1
    assert images[broken].name in said
    assert dataset.undecodable.keys() == {broken}


def test_the_last_image_of_an_epoch_is_replaced_by_its_first(images):
    dataset = dataset_for(images[:8])
    order = [dataset.index_at(0, position) for position in range(8)]
    images[order[7]].write_text("broken")
    assert epoch_of(dataset)[1].indices.tolist()[-1] == order[0]


@pytest.mark.parametrize("overrides", [["data.workers=0"], ["data.workers=2"], ["data.cache=ram"]])
def test_too_many_broken_images_are_an_error_of_one_line(images, overrides):
    for path in images[3:6]:
        path.write_text("broken")
    with pytest.raises(UserError) as caught:
        epoch_of(dataset_for(images, "data.max_bad_share=0.15", *overrides))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("3 of 18 images cannot be decoded")
    assert images[3].name in message
    assert "data.max_bad_share" in message
    # One more is allowed: no error.
    assert epoch_of(dataset_for(images, "data.max_bad_share=0.17", *overrides))


def test_one_broken_image_is_always_forgiven(images):
    images[0].write_text("broken")
    indices = torch.cat([batch.indices for batch in epoch_of(dataset_for(images, "data.cache=ram"))])
    assert 0 not in indices.tolist()


def test_a_folder_must_hold_a_batch_and_two_images(images):
    with pytest.raises(UserError, match="needs at least 2"):
        dataset_for(images[:1], "data.images_per_epoch=4")
    with pytest.raises(UserError, match=r"schedule.batch_size: 4 is more than the 3 images .*data.images_per_epoch"):
        dataset_for(images[:3])


def test_local_boxes_follow_the_sampler_of_the_moment(images):
    offset = [0.0]

    def moving(index: int, rng: np.random.Generator) -> np.ndarray:
        return np.tile(np.array([offset[0], 0.25, offset[0] + 0.5, 0.75]), (2, 2, 1))

    dataset = dataset_for(images, "data.workers=1", local_boxes=moving)
    assert torch.all(epoch_of(dataset)[0].local_boxes[..., 0] == 0)
    offset[0] = 0.5
    assert torch.all(epoch_of(dataset, 1)[0].local_boxes[..., 2] == 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_finish_their_batches_in_spite_of_signals(images, number):
    training = os.getpid()

    def signalled(index: int, rng: np.random.Generator) -> np.ndarray:
        assert os.getpid() != training
        os.kill(os.getpid(), number)
        return two_pairs(index, rng)

    assert_equal(
        epoch_of(dataset_for(images, "data.workers=1", local_boxes=signalled)),
        epoch_of(dataset_for(images, local_boxes=two_pairs)),
    )


def test_workers_end_with_their_loader(images):
    dataset = dataset_for(images, "data.workers=2")
    batches = iter(build_loader(dataset.recipe, dataset, 0, 0))
    next(batches)
    assert multiprocessing.active_children()
    batches.close()
    assert not multiprocessing.active_children()
    for path in images:
        path.write_text("broken")
    with pytest.raises(UserError):
        epoch_of(dataset_for(images, "data.workers=2"))
    assert not multiprocessing.active_children()


def test_images_of_one_pixel_can_be_cut(tmp_path):
    for index in range(4):
        Image.new("RGB", (1, 1 + index), (index * 50, 0, 0)).save(tmp_path / f"{index}.png")
    batch = epoch_of(dataset_for(list_images(tmp_path), local_boxes=two_pairs))[0]
    assert batch.global_views[:, 0, 0].float().mean(dim=(1, 2)).sort().values.tolist() == [0, 50, 100, 150]
