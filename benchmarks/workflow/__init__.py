"""From a suite to its tables: the graph of jobs, run by Snakemake, resumable at any moment."""

from __future__ import annotations

from pathlib import Path


def run_suite(
    suite: str,
    data: Path | str | None = None,
    annotations: Path | str | None = None,
    test_annotations: Path | str | None = None,
    out: Path | str = "results",
    cores: int = 2,
) -> int:
    """Run every job of ``suite`` that is not done yet, then write and print its tables; see :mod:`.runner`."""
    from benchmarks.workflow.runner import (
        run_suite as run,  # it imports what plans need; the command line must not wait
    )

    return run(suite, data, annotations, test_annotations, out, cores)
