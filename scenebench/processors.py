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
    if {"avx2", "avx512f"} <= set(cpu_info("flags").split()):
        for name, value in LIMITS.items():
            os.environ.setdefault(name, value)


def cpu_info(field: str) -> str:
    """What Linux says of the first processor, ``flags`` or ``model name``; "" elsewhere, and where it has none such."""
    try:
        with open(_CPU_INFO, encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
    except OSError:
        return ""
