"""From images to batches of views.

What a sample looks like depends only on the recipe's seed, the epoch and its position in the epoch: not on the number
of worker processes, not on where a run was interrupted. Images that cannot be decoded are replaced by the next one of
the epoch, counted, and named once; too many of them are an error.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pretrain import distributed
from pretrain.data.batch_ring import BatchRing
from pretrain.data.images import UndecodableImage, decode_image
from pretrain.data.sources import ImageFiles
from pretrain.data.sources.checks import require_enough
from pretrain.data.views import Batch, LocalBoxSampler, ViewMaker
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError

__all__ = ["EpochLoader", "PretrainDataset", "build_loader", "uncached_dataset"]

_PERMUTATION = 2**32 - 1  # third word of a permutation's seed; no position in an epoch is as large
_GRACE_SECONDS = 60
_AHEAD = 2  # batches that each worker loads ahead


class PretrainDataset:
    """Numbered samples of numbered epochs.

    An epoch is ``images_per_epoch`` long (null: every image once). Over all epochs, samples follow one another through
    independent permutations of the images, so every image is seen equally often, also where the folder holds fewer
    images than a batch.

    Memory: 8 bytes an image for the permutation and, with ``data.cache=ram``, ``3 * H * W`` bytes for each decoded
    image (109 GB for COCO train2017 at 640 x 480, 98 MB for 2000 scenes of 128 x 128). Worker processes share both.

    Args:
        images: from :func:`pretrain.data.sources.list_images`.
        local_boxes: draws an image's local crops; its state may change between epochs.

    Raises:
        UserError: fewer than two images, fewer than one batch an epoch, or (with ``data.cache=ram``) too many images
            that cannot be decoded.
    """

    def __init__(self, recipe: Recipe, images: ImageFiles, local_boxes: LocalBoxSampler | None = None) -> None:
        self.recipe = recipe
        self.images = images
        self.batch_size = recipe.schedule.batch_size  # of all processes together
        self.rows = self.batch_size // distributed.world_size()  # of this one
        self.first_row = distributed.rank() * self.rows
        self.samples_per_epoch = recipe.data.images_per_epoch or len(images)
        require_enough(recipe, len(images))
        self.maker = ViewMaker(recipe.views, local_boxes)
        self.undecodable: dict[int, str] = {}  # index of the image, reason
        self._named: set[int] = set()
        self._permutation: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))
        self._cache: list[Tensor | None] | None = self._decode_all() if recipe.data.cache == "ram" else None

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; what is left over is dropped."""
        return self.recipe.steps_per_epoch(len(self.images))

    def index_at(self, epoch: int, position: int) -> int:
        """The image at a position of an epoch, before any replacement."""
        cycle, place = divmod(epoch * self.samples_per_epoch + position, len(self.images))
        if self._permutation[0] != cycle:
            rng = np.random.default_rng([self.recipe.seed, cycle, _PERMUTATION])
            self._permutation = (cycle, rng.permutation(len(self.images)))
        return int(self._permutation[1][place])

    def load_batch(self, epoch: int, step: int) -> Batch:
        """Decode, cut and draw this process's rows of one batch.

        Raises:
            UserError: too many images cannot be decoded.
        """
        batch = self.empty_batch()
        self.fill_batch(batch, epoch, step)
        return batch

    def empty_batch(self, allocate: Callable[..., Tensor] = torch.empty) -> Batch:
        """Room for this process's rows of a batch; ``allocate`` as for :meth:`Batch.empty`."""
        pairs, size = self.recipe.about.local_crops(self.recipe)
        pairs = pairs if self.maker.local_boxes is not None else 0
        return Batch.empty(self.rows, self.recipe.views.crop_size, pairs, size, allocate)

    def fill_batch(self, batch: Batch, epoch: int, step: int) -> None:
        """:meth:`load_batch` into memory that is there."""
        for row in range(self.rows):
            position = step * self.batch_size + self.first_row + row
            index, image = self._image_at(epoch, position)
            self.maker.fill(batch, row, image, index, np.random.default_rng([self.recipe.seed, epoch, position]))
        batch.undecodable = dict(self.undecodable)

    def images_of(self, epoch: int, step: int) -> list[int]:
        """Indices of the images of a whole batch, of all processes, before any replacement."""
        return [self.index_at(epoch, step * self.batch_size + row) for row in range(self.batch_size)]

    def name_undecodable(self, reasons: dict[int, str]) -> None:
        """Say which images are skipped, each once; ``reasons`` may come from a worker process.

        Raises:
            UserError: there are more than ``data.max_bad_share`` allows.
        """
        for index in sorted(reasons.keys() - self._named):
            print(f"skipped: {self.images[index]} cannot be decoded ({reasons[index]})", file=sys.stderr, flush=True)
        self._named |= reasons.keys()
        self.undecodable |= reasons
        self._check_share()

    def _image_at(self, epoch: int, position: int) -> tuple[int, Tensor]:
        """The image of a position, or the next one of the epoch that can be decoded."""
        for offset in range(self.samples_per_epoch):
            index = self.index_at(epoch, (position + offset) % self.samples_per_epoch)
            if index not in self.undecodable:
                try:
                    return index, self._decode(index)
                except UndecodableImage as error:
                    self.undecodable[index] = str(error)
                    self._check_share()
        raise UserError(f"data.root: no image of {self.recipe.data.root} can be decoded")

    def _decode(self, index: int) -> Tensor:
        cached = None if self._cache is None else self._cache[index]
        return decode_image(self.images[index]) if cached is None else cached

    def _decode_all(self) -> list[Tensor | None]:
        decoded: list[Tensor | None] = []
        for index, path in enumerate(self.images):
            try:
                decoded.append(decode_image(path))
            except UndecodableImage as error:
                decoded.append(None)
                self.undecodable[index] = str(error)
        self.name_undecodable(self.undecodable)
        return decoded

    def _check_share(self) -> None:
        """One broken file is always forgiven, so that a small folder is not refused for it."""
        share = self.recipe.data.max_bad_share
        if len(self.undecodable) <= max(1, share * len(self.images)):
            return
        first = [f"{self.images[index]} ({reason})" for index, reason in list(self.undecodable.items())[:3]]
        more = ", ..." if len(self.undecodable) > len(first) else ""
        raise UserError(
            f"{len(self.undecodable)} of {len(self.images)} images cannot be decoded, more than "
            f"data.max_bad_share = {share:g}: {', '.join(first)}{more}; repair or remove them"
        )


class EpochLoader:
    """The batches of one epoch from ``start_step`` on, loaded ahead by ``data.workers`` processes (0: in this one).

    With workers, a batch is valid until the next but one is asked for: then its memory is written again (on a GPU, once
    the copy is done).

    Memory: each worker loads two batches ahead, so there are ``2 * workers + 2`` batches, shared with the workers; see
    :class:`pretrain.data.batch_ring.BatchRing` and :class:`pretrain.data.views.Batch`. All ends with the epoch.
    """

    def __init__(self, recipe: Recipe, dataset: PretrainDataset, epoch: int, start_step: int) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.epoch = epoch
        self.steps = range(start_step, dataset.steps_per_epoch)

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._batches():
            self.dataset.name_undecodable(batch.undecodable)
            yield batch

    def _batches(self) -> Iterator[Batch]:
        if self.recipe.data.workers == 0:
            for step in self.steps:
                yield self.dataset.load_batch(self.epoch, step)
            return
        workers = min(self.recipe.data.workers, len(os.sched_getaffinity(0)), max(1, len(self.steps)))
        ring = BatchRing(_AHEAD * workers + 2, self.dataset.empty_batch)
        loader = DataLoader(
            _Steps(self.dataset, self.epoch, ring),
            batch_size=None,  # an item is a whole batch
            sampler=[(step, number % len(ring)) for number, step in enumerate(self.steps)],
            num_workers=workers,
            prefetch_factor=_AHEAD,
            multiprocessing_context="fork",  # the ring is inherited
            collate_fn=_as_it_is,
            worker_init_fn=_leave_signals_to_the_training,
            generator=torch.Generator(),  # its own: torch's global one belongs to the training
        )
        filled = iter(loader)
        end_workers = filled._shutdown_workers  # type: ignore[attr-defined]
        atexit.register(end_workers)
        try:
            with ring.page_locked(self.recipe.run.device != "cpu" and torch.cuda.is_available()):
                yield from self._in_turn(ring, filled)
        except UserError as error:
            # From a worker it arrives with that process's traceback in its text.
            raise UserError(str(error).strip().splitlines()[-1].partition("UserError: ")[2] or str(error)) from error
        finally:
            # Left to the garbage collector, workers would live as long as a traceback refers to the loader.
            end_workers()
            atexit.unregister(end_workers)

    @staticmethod
    def _in_turn(ring: BatchRing, filled: Iterator[tuple[int, dict[int, str]]]) -> Iterator[Batch]:
        """The filled batches. Asking for one lets a worker write over the last but one."""
        previous: Batch | None = None
        current: Batch | None = None
        while True:
            if previous is not None and previous.copied is not None:
                previous.copied.synchronize()
            try:
                slot, undecodable = next(filled)
            except StopIteration:
                return
            previous, current = current, dataclasses.replace(ring.batches[slot], undecodable=undecodable)
            yield current


class _Steps(Dataset[tuple[int, dict[int, str]]]):
    """The steps of one epoch, for torch's loader: an item is filled in where the ring has room for it."""

    def __init__(self, dataset: PretrainDataset, epoch: int, ring: BatchRing) -> None:
        self.dataset = dataset
        self.epoch = epoch
        self.ring = ring

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, dict[int, str]]:
        step, slot = item
        batch = self.ring.batches[slot]
        self.dataset.fill_batch(batch, self.epoch, step)
        return slot, batch.undecodable


def _leave_signals_to_the_training(worker: int) -> None:
    """Ctrl-C and many schedulers signal every process, but the step that is under way still needs its batch.

    A worker ends when its loader does. After SIGTERM it ends in any case, a little later: an exiting interpreter sends
    that to what is left of its processes, and waits for them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(_GRACE_SECONDS))


def _as_it_is(batch: Any) -> Any:
    return batch


def uncached_dataset(recipe: Recipe, images: ImageFiles) -> PretrainDataset:
    """The training data for a few batches beside training: nothing is decoded before it is asked for."""
    data = dataclasses.replace(recipe.data, cache="none")
    return PretrainDataset(dataclasses.replace(recipe, data=data), images)


def build_loader(recipe: Recipe, dataset: PretrainDataset, epoch: int, start_step: int = 0) -> EpochLoader:
    """Iterate over the batches of ``epoch`` from ``start_step`` on; the local-box sampler is as it is at the start.

    Raises (while iterating):
        UserError: too many images cannot be decoded.
    """
    return EpochLoader(recipe, dataset, epoch, start_step)
