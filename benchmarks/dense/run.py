"""Which probe a dense protocol asks for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.dense.maps import require_grid, settings_of
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.dense import DENSE_PROBES, DISCOVERY, REGION_PROBES

_RUNNERS = {
    **dict.fromkeys(REGION_PROBES, "region_probes:run_region_probe"),
    **dict.fromkeys(DENSE_PROBES, "patch_probes:run_patch_probe"),
    DISCOVERY: "discovery:run_discovery",
}


def run(cell: Cell) -> Outcome:
    """Judge the cell's backbone (or reference) on its data.

    Raises:
        UserError: the data or the backbone do not fit the probe.
    """
    settings = settings_of(cell)
    if cell.info is not None:
        require_grid(cell.info.architecture, settings)
    module, _, function = _RUNNERS[settings.probe].partition(":")
    run_probe: Callable[[Cell], Outcome] = getattr(importlib.import_module(f"benchmarks.dense.{module}"), function)
    return run_probe(cell)
