"""What Linux says of this process's memory in ``/proc/self/status``."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_kib(peak: bool = False) -> float:
    """Resident memory of this process in KiB, now or at its peak; NaN where the system does not tell it."""
    if not _STATUS.exists():
        return float("nan")
    field = "VmHWM:" if peak else "VmRSS:"
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field)))
