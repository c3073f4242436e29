"""The demo as a newcomer runs it, and what it may claim. Slow: about eight minutes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.records.record import Record, read_record

REPOSITORY = Path(__file__).resolve().parents[1]
MINUTES = 10


def _values(records: list[Record], label: str, protocol: str) -> list[float]:
    found = [r for r in records if r.backbone.label == label and r.protocol.id == protocol]
    values = [r.metrics["mAP"] for r in found]
    assert None not in values
    return [value for value in values if value is not None]


@pytest.mark.slow
@pytest.mark.timeout(3 * MINUTES * 60)
def test_pretraining_beats_random_initialisation_by_more_than_the_spread(tmp_path: Path) -> None:
    """Nothing is asserted about the differences between the methods: two minutes on a core cannot tell."""
    out = tmp_path / "demo"
    command = [str(Path(sys.executable).parent / "scenebench"), "run", "demo", "--out", str(out), "--cores", "2"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ))
    minutes = (time.monotonic() - started) / 60
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    records = [read_record(path) for path in sorted(out.glob("cells/evaluate/*/record.json"))]
    random = _values(records, "random", "multilabel_linear")
    for method in ("moco", "mls", "saliency"):
        learnt = _values(records, method, "multilabel_linear")
        gain = statistics.mean(learnt) - statistics.mean(random)
        variances = [statistics.variance(values) for values in (learnt, random) if len(values) > 1]
        spread = sum(variances) ** 0.5
        assert gain > spread, f"{method}: +{gain:.1f} with a spread of {spread:.1f}"
    assert max(record.peak_memory_mb for record in records) * 2 < 6000  # two cells at a time
    assert minutes < MINUTES
