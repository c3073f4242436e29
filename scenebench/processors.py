"""Equal numbers on different x86 processors: PyTorch's kernels use no more than AVX2 where there is more.

A training amplifies the last digit of a sum, and AVX-512 sums in another order. With the limit a processor with AVX-512
gives, to every digit, the kNN, linear, low-shot and Mask R-CNN values that one without it gave (MoCo-v2 of suite mini,
seed 0), in the same time; FCN's mIoU differs still, by .3. Other vendors' processors were not compared.

That holds for float32. With AVX2 alone bfloat16 is emulated, many times slower than float32, so a command that computes
in it lifts the limit before its first kernel.
"""

from __future__ import annotations

import os
from pathlib import Path

LIMITS = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Variables that PyTorch and oneDNN read before their first kernel."""
_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # of x86, and of Arm
_set_here: set[str] = set()  # the variables that are ours, not the user's


def limit_instruction_sets() -> None:
    """Set :data:`LIMITS` for this process and those it starts, before torch's first kernel.

    Only on a processor that has both AVX2 and AVX-512; what the environment says already stays.
    """
    if {"avx2", "avx512f"} <= set(cpu_info("flags").split()):
        for name, value in LIMITS.items():
            if name not in os.environ:
                os.environ[name] = value
                _set_here.add(name)


def lift_limits() -> None:
    """Take back what :func:`limit_instruction_sets` has set; of use before torch's first kernel only."""
    for name in _set_here:
        os.environ.pop(name, None)
    _set_here.clear()


def fit_instruction_sets(precision: str) -> None:
    """:func:`lift_limits` where a recipe's ``run.precision`` is bf16; to be called before torch's first kernel."""
    if precision == "bf16":
        lift_limits()


def environment_of_commands() -> dict[str, str]:
    """The environment for processes that are commands of their own: each sets the limit by what it computes."""
    return {name: value for name, value in os.environ.items() if name not in _set_here}


def computes_bf16() -> bool:
    """Whether this processor has instructions for bfloat16; yes where Linux does not tell."""
    flags = {*cpu_info("flags").split(), *cpu_info("Features").split()}
    return not flags or bool(flags & _BF16_FLAGS)


def cpu_info(field: str) -> str:
    """What Linux says of the first processor, ``flags`` or ``model name``; "" elsewhere, and where it has none such."""
    try:
        with open(_CPU_INFO, encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
    except OSError:
        return ""
