"""What the system says of this process's memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_kib(peak: bool = False) -> float:
    """Resident memory of this process in KiB, now or at its peak; NaN where the system does not tell it.

    Linux tells both in ``/proc``, of the program that runs now. Elsewhere there is only ``getrusage``'s peak, which may
    include that of the program that this one was started by.
    """
    field = "VmHWM:" if peak else "VmRSS:"
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(field):
                return float(line.split()[1])
    if not peak:
        return float("nan")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 1024 if sys.platform == "darwin" else float(largest)  # bytes there, KiB elsewhere
