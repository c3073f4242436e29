"""What a run says while it trains: console lines, log.jsonl, TensorBoard."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pretrain.recipes.recipe import Recipe
from scenebench.files import write_text
from scenebench.progress import Pace, duration


class TrainingLog:
    """Counts images and waiting, and writes a line every ``log_every`` steps.

    ``log.jsonl`` has one object a line: step, epoch, lr, loss and its parts, images/s, share of time spent waiting for
    data; or step, epoch and ``knn_map``, what the probe found. A resumed run first drops the lines after its
    checkpoint, so each is there once.

    Args:
        quiet: say and write nothing: one of several processes that train together speaks for all.

    Attributes:
        probed_steps: whose probe is in the log.
    """

    def __init__(self, out: Path, recipe: Recipe, step: int, steps_per_epoch: int, quiet: bool = False) -> None:
        self.name = recipe.name
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = recipe.schedule.batch_size
        self.quiet = quiet
        self._log = out / "log.jsonl"
        self.probed_steps: set[int] = set()
        self._board: Any = None
        if not quiet:
            kept = _drop_lines_from(self._log, step)
            self.probed_steps = {line["step"] for line in kept if "knn_map" in line}
        if recipe.run.tensorboard and not quiet:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)
        self._pace = Pace(recipe.schedule.epochs * steps_per_epoch, done=step)
        self._mark = time.monotonic()
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
        self._pace.advance(step - self._pace.done)
        total = self._pace.total
        epoch = step / self.steps_per_epoch
        line = {"step": step, "epoch": round(epoch, 4), **values}
        line |= {"images_per_second": round(images_per_second, 1), "data_wait_share": round(wait_share, 4)}
        self._write(step, line)
        print(
            f"{self.name}: epoch {epoch:.1f}/{total // self.steps_per_epoch}, "
            f"step {step}/{total}, loss {values['loss']:.3f}, lr {values['lr']:.2e}, "
            f"{images_per_second:.0f} images/s, {wait_share:.0%} waiting for data, "
            f"{duration(self._pace.seconds_left)} left",
            flush=True,
        )
        self._mark, self._marked_step, self._waited = now, step, 0.0

    def report_probe(self, step: int, knn_map: float, seconds: float) -> None:
        """Write what the kNN probe found after ``step`` steps, in percent; its ``seconds`` are not the loop's."""
        epoch = step / self.steps_per_epoch
        self._write(step, {"step": step, "epoch": round(epoch, 4), "knn_map": knn_map})
        self.probed_steps.add(step)
        self._mark += seconds
        print(f"{self.name}: epoch {epoch:.1f}, kNN probe {knn_map:.2f} mAP ({seconds:.0f} s)", flush=True)

    def paused(self, seconds: float) -> None:
        """Leave out time that was spent on something other than training."""
        self._mark += seconds

    def close(self) -> None:
        """Flush TensorBoard."""
        if self._board is not None:
            self._board.close()

    def _write(self, step: int, line: dict[str, float]) -> None:
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for key, value in line.items():
                if key != "step":
                    self._board.add_scalar(key, value, step)


def _drop_lines_from(log: Path, step: int) -> list[dict[str, Any]]:
    """Keep (and return) the lines of steps up to ``step``; a line torn by a kill goes too."""
    if not log.is_file():
        return []
    kept = []
    for text in log.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
            if line["step"] <= step:
                kept.append((text, line))
        except (json.JSONDecodeError, KeyError, TypeError):
            continue
    write_text(log, "".join(f"{text}\n" for text, _ in kept))
    return [line for _, line in kept]
