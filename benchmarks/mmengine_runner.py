"""mmengine's runner as the segmentation and detection cells use it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any


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

    return QuietRunner
