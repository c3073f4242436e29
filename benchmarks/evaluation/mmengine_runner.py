"""mmengine's runner as the segmentation and detection cells use it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.evaluation.cell import Cell
from scenebench.progress import Progress

if TYPE_CHECKING:
    from mmengine.hooks import Hook


def runner_class(log: Path) -> Any:
    """mmengine's ``Runner``, logging to the file ``log`` and not to the terminal."""
    from mmengine.runner import Runner

    class QuietRunner(Runner):
        """Runner that logs to one known file."""

        def build_logger(self, *arguments: Any, **options: Any) -> Any:
            logger = super().build_logger(*arguments, **options | {"log_file": str(log)})
            for handler in list(logger.handlers):
                if not isinstance(handler, logging.FileHandler):
                    logger.removeHandler(handler)
            return logger

        def _log_env(self, env_cfg: dict[str, Any]) -> None:
            """Its configuration alone: a record holds the environment, and mmengine calls compilers to tell it."""
            self.logger.info("Config:\n%s", self.cfg.pretty_text)

    return QuietRunner


def close_log(runner: Any) -> None:
    """Close the runner's log files and forget them: mmengine writes to its latest logger whenever a model is built."""
    for handler in list(runner.logger.handlers):
        handler.close()
        runner.logger.removeHandler(handler)


def cell_hook(
    cell: Cell,
    iterations: int,
    test_images: int,
    load_and_prove: Callable[..., Any],
    keep: Callable[[int, Any], None] | None = None,
) -> Hook:
    """A hook that loads the backbone, shows progress, and stops at divergence (FloatingPointError).

    Args:
        load_and_prove: of the model and the backbone file; its report is written to ``transfer.json``.
        keep: called with the number and the outputs of each test batch.
    """
    from mmengine.hooks import Hook

    title = cell.protocol.id

    class CellHook(Hook):
        def before_train(self, runner: Any) -> None:
            # Here, and not when the model is built: the runner draws initial weights just before.
            load_and_prove(runner.model, cell.backbone_file).write(cell.out / "transfer.json")
            self.progress = Progress(iterations, f"{title}: training step")

        def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
            loss = float(outputs["loss"].detach())
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss became {loss} at step {batch_idx + 1}")
            self.progress.advance(note=f"loss {loss:.3f}")

        def before_test(self, runner: Any) -> None:
            self.progress = Progress(test_images, f"{title}: test image")

        def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
            if keep is not None:
                keep(batch_idx, outputs)
            self.progress.advance()

    return CellHook()
