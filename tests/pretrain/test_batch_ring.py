"""Batches in shared memory: laid out as others, seen by a forked process, used in turn, gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from pretrain.data.batch_ring import BatchRing
from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.data.sources import list_images
from pretrain.data.views import Batch
from pretrain.recipes.recipe import Recipe, load_recipe


def ring_of(slots: int = 3, pairs: int = 2) -> BatchRing:
    return BatchRing(slots, lambda allocate: Batch.empty(4, 32, pairs, 16, allocate))


def shared_memory_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    for number in range(12):
        Image.new("RGB", (40, 40), (number * 20, 0, 0)).save(tmp_path / f"{number:02d}.png")
    keys = [f"data.root={tmp_path}", "schedule.batch_size=2", "views.crop_size=32", "moco.queue_size=4"]
    return load_recipe("moco_demo", [*keys, "data.workers=2", "data.cache=none"])


@pytest.mark.parametrize("pairs", [0, 2])
def test_batches_have_the_shape_type_and_layout_of_any_other(pairs):
    usual = Batch.empty(4, 32, pairs, 16)
    for batch in ring_of(pairs=pairs).batches:
        for name in ("indices", "global_views", "global_boxes", "global_photometric", "local_views", "local_boxes"):
            ours, other = getattr(batch, name), getattr(usual, name)
            if other is None:
                assert ours is None
            else:
                assert (ours.shape, ours.dtype, ours.stride()) == (other.shape, other.dtype, other.stride())


def test_no_two_tensors_overlap():
    ring = ring_of()
    tensors = [value for batch in ring.batches for value in vars(batch).values() if isinstance(value, torch.Tensor)]
    for number, tensor in enumerate(tensors):
        tensor.fill_(number)
    assert all(bool((tensor == number).all()) for number, tensor in enumerate(tensors))
    assert sum(tensor.nbytes for tensor in tensors) <= ring.nbytes


def test_what_a_forked_process_writes_is_seen_here():
    ring = ring_of()
    child = os.fork()
    if child == 0:
        ring.batches[1].global_views.fill_(7)
        os._exit(0)
    os.waitpid(child, 0)
    assert bool((ring.batches[1].global_views == 7).all())


def test_a_batch_holds_until_the_next_but_one_is_asked_for(recipe):
    dataset = PretrainDataset(recipe, list_images(recipe.data.root))
    expected = [dataset.load_batch(0, step) for step in range(dataset.steps_per_epoch)]
    previous: tuple[Batch, Batch] | None = None
    for batch, wanted in zip(build_loader(recipe, dataset, 0), expected, strict=True):
        assert torch.equal(batch.global_views, wanted.global_views)
        if previous is not None:
            assert torch.equal(previous[0].global_views, previous[1].global_views)
        previous = batch, wanted


def test_memory_is_used_again_and_nothing_is_put_in_dev_shm(recipe):
    dataset = PretrainDataset(recipe, list_images(recipe.data.root))
    before = shared_memory_files()
    loader = build_loader(recipe, dataset, 0)
    places = []
    for batch in loader:
        places.append(batch.global_views.data_ptr())
        assert not {name for name in shared_memory_files() - before if name.startswith("torch_")}
    slots = 2 * min(2, len(os.sched_getaffinity(0))) + 2
    assert len(set(places)) == min(slots, len(places))
    assert places[0] == places[slots] if len(places) > slots else True


def test_whoever_does_not_want_page_locks_gets_none():
    with ring_of().page_locked(False):
        pass


def test_page_locks_that_are_refused_are_said_and_lived_with(monkeypatch, capsys):
    class Runtime:
        def cudaHostRegister(self, address, size, flags):
            return 2

    monkeypatch.setattr(torch.cuda, "cudart", Runtime)
    with ring_of().page_locked(True):
        pass
    assert "not page-locked" in capsys.readouterr().err


def test_page_locks_are_given_back(monkeypatch):
    calls = []

    class Runtime:
        def cudaHostRegister(self, address, size, flags):
            calls.append(("lock", address, size))
            return 0

        def cudaHostUnregister(self, address):
            calls.append(("unlock", address))

    monkeypatch.setattr(torch.cuda, "cudart", Runtime)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append(("wait",)))
    ring = ring_of()
    with pytest.raises(KeyError), ring.page_locked(True):
        raise KeyError
    address = ring.batches[0].indices.data_ptr()
    assert calls == [("lock", address, ring.nbytes), ("wait",), ("unlock", address)]
