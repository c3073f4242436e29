"""Fixtures of the report's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_records import demo_records, fill

from benchmarks.records.collect import Results, collect


@pytest.fixture
def demo_results(tmp_path: Path) -> Results:
    """The records of :func:`made_up_records.demo_records`, read back."""
    return collect(fill(tmp_path / "results", demo_records()))
