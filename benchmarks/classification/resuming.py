"""Training that was killed goes on where an epoch ended, and gives the bits that it would have given.

One file for each part of a grid, written by rename; only tensors and plain values are in it, so that reading it runs
nothing. Whoever keeps the folder deletes it when the record is written.
"""

from __future__ import annotations

import logging
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.classification.heads import Classifier
from scenebench.errors import UserError
from scenebench.files import replacing

FOLDER = "resume"
EVERY = 60.0
"""Seconds between two states, at least: an epoch of a small data set is sooner done again than written down."""
_FROZEN = "backbone."
_log = logging.getLogger("scenebench")


class Keeper:
    """Reads and writes the states of one run.

    Args:
        key: names everything that the numbers depend on; a state under another key is passed over.

    Attributes:
        notes: for the record, what was taken from an earlier attempt.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key
        self.notes: list[str] = []
        self._last = time.monotonic()

    def read(self, part: int) -> dict[str, Any] | None:
        """The state of this part of the grid, or None where there is none that can be used."""
        path = self._path(part)
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if state["key"] == self.key:
                return state
            _log.info("%s: of another run or version; training begins again", path)
        except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError, TypeError) as error:
            _log.info("%s: not readable (%s); training begins again", path, str(error).partition("\n")[0])
        return None

    def write(self, part: int, state: dict[str, Any]) -> None:
        """Keep ``state``. Where nothing can be written training goes on all the same."""
        try:
            with replacing(self._path(part)) as temporary:
                torch.save({"key": self.key, **state}, temporary)
        except (UserError, RuntimeError) as error:  # torch's writer reports a full disk as a RuntimeError
            _log.info("the state of the training is not kept: %s", str(error).partition("\n")[0])
        self._last = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last state is old enough."""
        return time.monotonic() - self._last >= EVERY

    def _path(self, part: int) -> Path:
        return self.folder / f"part_{part:03d}.pt"


def state_of(classifier: Classifier, optimiser: torch.optim.Optimizer, epoch: int) -> dict[str, Any]:
    """Everything that the next epoch depends on, ``epoch`` of them done; a frozen backbone is left out."""
    weights = classifier.state_dict()
    if classifier.settings.frozen:
        weights = {name: value for name, value in weights.items() if not name.startswith(_FROZEN)}
    return {
        "epoch": epoch,
        "weights": weights,
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: dict[str, Any], classifier: Classifier, optimiser: torch.optim.Optimizer) -> int:
    """Take up what :func:`state_of` gave; the number of epochs done."""
    classifier.load_state_dict(state["weights"], strict=not classifier.settings.frozen)
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    if state["random_cuda"]:
        torch.cuda.set_rng_state_all(state["random_cuda"])
    return int(state["epoch"])
