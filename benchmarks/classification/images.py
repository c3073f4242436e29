"""The images of a split with their labels, whatever they were read from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets.samples import Sample
from benchmarks.evaluation.inputs import choose
from benchmarks.frozen.feature_cache import stamp_of
from scenebench.errors import UserError
from scenebench.mean_average_precision import DIFFICULT, POSITIVE


@dataclass(frozen=True)
class LabelledImages:
    """Images of one split.

    Attributes:
        labels: one class an image: int64, N, 0-based. Multi-label: int8, N x classes: 1 present, 0 absent, -1 only
            objects marked difficult.
        fingerprint: changes when the images do; names stored features.
        notes: sentences for the record.
    """

    paths: list[Path]
    labels: NDArray[Any]
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def multilabel(self) -> bool:
        """Whether an image may hold several classes."""
        return self.labels.ndim == 2

    def subset(self, indices: Sequence[int]) -> LabelledImages:
        """These images, in this order."""
        chosen = [self.paths[index] for index in indices]
        mark = hashlib.sha256(f"{self.fingerprint} {list(indices)}".encode()).hexdigest()[:16]
        return LabelledImages(chosen, self.labels[list(indices)], mark, self.notes)

    def limited(self, limit: int | None, what: str) -> LabelledImages:
        """At most ``limit`` images, the same ones always; says so in the notes."""
        if limit is None or limit >= len(self):
            return self
        few = self.subset(choose(len(self), limit))
        note = f"{limit} of the {len(self)} images of split '{what}' (a fixed choice)"
        return LabelledImages(few.paths, few.labels, few.fingerprint, (*few.notes, note))


def from_samples(samples: Sequence[Sample], classes: Sequence[str], multilabel: bool, where: str) -> LabelledImages:
    """The samples of an official split.

    Raises:
        UserError: no sample, or an image without exactly one class where one is wanted.
    """
    if not samples:
        raise UserError(f"{where}: holds no images")
    build = _multilabel if multilabel else _single
    return LabelledImages(
        [sample.image for sample in samples],
        build(samples, len(classes), where),
        stamp_of([sample.image for sample in samples]),
    )


def _multilabel(samples: Sequence[Sample], classes: int, where: str) -> NDArray[np.int8]:
    labels = np.zeros((len(samples), classes), dtype=np.int8)
    for row, sample in enumerate(samples):
        difficult = [box.label for box in sample.boxes if box.difficult]
        labels[row, difficult] = DIFFICULT
        labels[row, list(sample.labels)] = POSITIVE
    if not (labels == POSITIVE).any():
        raise UserError(f"{where}: no image holds any class")
    return labels


def _single(samples: Sequence[Sample], classes: int, where: str) -> NDArray[np.int64]:
    labels = np.empty(len(samples), dtype=np.int64)
    for row, sample in enumerate(samples):
        if len(sample.labels) != 1 or not 0 <= sample.labels[0] < classes:
            raise UserError(
                f"{where}: {sample.image} has the classes {list(sample.labels)}; this protocol wants one of {classes}"
            )
        labels[row] = sample.labels[0]
    return labels
