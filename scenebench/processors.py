"""Equal numbers on different x86 processors: PyTorch's kernels use no more than AVX2 where there is more.

A training amplifies the last digit of a sum, and AVX-512 sums in another order. With the limit a processor with AVX-512
gives, to every digit, the kNN, linear, low-shot and Mask R-CNN values that one without it gave (MoCo-v2 of suite mini,
seed 0), in the same time; FCN's mIoU differs still, by .3. Other vendors' processors were not compared.
"""

from __future__ import annotations

import os
from pathlib import Path

LIMITS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Variables that PyTorch and oneDNN read before their first kernel."""
_CPU_INFO = Path("/proc/cpuinfo")


def limit_instruction_sets() -> None:
    """Set :data:`LIMITS` for this process and those it starts, before torch's first kernel.

    Only on a processor that has both AVX2 and AVX-512; what the environment says already stays.
    """
    if {"avx2", "avx512f"} <= _flags():
        for name, value in LIMITS.items():
            os.environ.setdefault(name, value)


def _flags() -> set[str]:
    """What Linux says that the processor can do; empty elsewhere, and on processors of other kinds."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
