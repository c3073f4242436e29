"""PyTorch is kept to AVX2 where the processor has more, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenebench import processors
from scenebench.processors import LIMITS, limit_instruction_sets


@pytest.mark.parametrize(
    ("flags", "limited"),
    [("fpu avx avx2 avx512f avx512bw", True), ("fpu avx avx2", False), ("fpu sse2", False), (None, False)],
)
def test_only_a_processor_with_more_is_limited(
    flags: str | None, limited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cpuinfo"
    if flags is not None:
        info.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t:\n")
    monkeypatch.setattr(processors, "_CPU_INFO", info)
    monkeypatch.setattr(os, "environ", {})
    limit_instruction_sets()
    assert os.environ == (LIMITS if limited else {})


def test_what_the_environment_says_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags : avx2 avx512f\n")
    monkeypatch.setattr(processors, "_CPU_INFO", info)
    monkeypatch.setattr(os, "environ", {"ATEN_CPU_CAPABILITY": "default"})
    limit_instruction_sets()
    assert os.environ == LIMITS | {"ATEN_CPU_CAPABILITY": "default"}


def test_a_command_runs_no_kernel_beyond_avx2() -> None:
    program = (
        "import scenebench.cli; scenebench.cli.main(['protocol', 'list'])\n"
        "import torch; print(torch.backends.cpu.get_cpu_capability())"
    )
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] != "AVX512"
