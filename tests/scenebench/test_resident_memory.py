"""What a process takes is seen while it has it, and afterwards in its peak."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from scenebench.resident_memory import resident_kib

PROGRAM = """
from scenebench.resident_memory import resident_kib
before = resident_kib()
taken = bytearray(b"x") * (64 << 20)
held = resident_kib()
del taken
print(before, held, resident_kib(), resident_kib(peak=True))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells it")
def test_what_is_taken_is_seen() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    before, held, after, peak = map(float, said.split())
    assert held - before == pytest.approx(64 * 1024, rel=0.05)
    assert after - before < 16 * 1024
    assert peak == pytest.approx(held, rel=0.05)  # the kernel brings its counts up to date in steps
    assert resident_kib() > 0


def test_without_proc_the_peak_is_still_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = resident_kib(peak=True)
    for status in (None, "Name:\tpython\nVmRSS:\t    12 kB\n"):  # no such file; a system that tells no peak
        path = tmp_path / "status"
        if status is not None:
            path.write_text(status)
        monkeypatch.setattr("scenebench.resident_memory._STATUS", path)
        assert resident_kib(peak=True) >= 0.9 * known
        assert math.isnan(resident_kib()) if status is None else resident_kib() == 12
