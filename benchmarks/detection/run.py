"""A detection protocol's run, by the toolbox that the protocol names."""

from __future__ import annotations

import importlib

from benchmarks.evaluation.cell import Cell, Outcome

_ENGINES = {
    "detectron2": "benchmarks.detection.detectron2_run",
    "mmdetection": "benchmarks.detection.mmdet_run",
}


def run(cell: Cell) -> Outcome:
    """Fine-tune and test one model; each engine imports its own toolbox only.

    Both leave ``predictions.png``, ``transfer.json`` (what was loaded, and the proof) and ``toolbox/`` (the resolved
    configuration and the log) in the cell's folder.

    Raises:
        UserError: bad data, bad configuration, a toolbox that is not installed, or the training diverged.
        TransferError: the backbone does not arrive in the model unchanged.
    """
    outcome: Outcome = importlib.import_module(_ENGINES[cell.protocol.toolbox]).run(cell)
    return outcome
