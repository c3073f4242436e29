"""What a run says while it trains: console lines, log.jsonl, TensorBoard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pretrain.recipe import Recipe
from scenebench.files import write_text


class Progress:
    """Counts images and waiting, and writes a line every ``log_every`` steps.

    ``log.jsonl`` has one object a line: step, epoch, lr, loss and its parts, images/s, share of time spent waiting for
    data. A resumed run first drops the lines after its checkpoint, so every step is there once.

    Args:
        quiet: say and write nothing: one of several processes that train together speaks for all.
    """

    def __init__(self, out: Path, recipe: Recipe, step: int, steps_per_epoch: int, quiet: bool = False) -> None:
        self.name = recipe.name
        self.total_steps = recipe.schedule.epochs * steps_per_epoch
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = recipe.schedule.batch_size
        self.quiet = quiet
        self._log = out / "log.jsonl"
        self._board: Any = None
        if not quiet:
            _drop_lines_from(self._log, step)
        if recipe.run.tensorboard and not quiet:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step)
        self.started = time.monotonic()
        self._first_step = step
        self._mark = self.started
        self._marked_step = step
        self._waited = 0.0

    def waited(self, seconds: float) -> None:
        """Add time that the loop spent waiting for its batch."""
        self._waited += seconds

    def report(self, step: int, values: dict[str, float]) -> None:
        """Write one line about the steps since the last line; ``step`` counts finished steps."""
        if self.quiet:
            return
        now = time.monotonic()
        seconds = max(now - self._mark, 1e-9)
        images_per_second = (step - self._marked_step) * self.batch_size / seconds
        wait_share = min(1.0, self._waited / seconds)
        pace = (now - self.started) / max(1, step - self._first_step)
        remaining = pace * (self.total_steps - step)
        epoch = step / self.steps_per_epoch
        line = {"step": step, "epoch": round(epoch, 4), **values}
        line |= {"images_per_second": round(images_per_second, 1), "data_wait_share": round(wait_share, 4)}
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for key, value in line.items():
                if key != "step":
                    self._board.add_scalar(key, value, step)
        print(
            f"{self.name}: epoch {epoch:.1f}/{self.total_steps // self.steps_per_epoch}, "
            f"step {step}/{self.total_steps}, loss {values['loss']:.3f}, lr {values['lr']:.2e}, "
            f"{images_per_second:.0f} images/s, {wait_share:.0%} waiting for data, {_clock(remaining)} left",
            flush=True,
        )
        self._mark, self._marked_step, self._waited = now, step, 0.0

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._board is not None:
            self._board.close()


def _drop_lines_from(log: Path, step: int) -> None:
    """Keep the lines of steps up to ``step``; a line torn by a kill goes too."""
    if not log.is_file():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    write_text(log, "".join(f"{line}\n" for line in kept))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
