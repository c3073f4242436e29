"""Peak memory of a stretch of code."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """Within it the peak is measured: allocated memory of a GPU, or this process's resident memory.

    Attributes:
        nbytes: afterwards, the peak; on the CPU that of the whole process, libraries included.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.nbytes = 0

    def __enter__(self) -> PeakMemory:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _CLEAR.write_text("5")  # Linux: forget the high-water mark
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.device.type == "cuda":
            self.nbytes = torch.cuda.max_memory_allocated(self.device)
        else:
            self.nbytes = _kilobytes("VmHWM") * 1024


def resident_bytes() -> int:
    """Of this process now."""
    return _kilobytes("VmRSS") * 1024


def _kilobytes(key: str) -> int:
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1])
