"""PyTorch is kept to AVX2 where the processor has more, and only there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from scenebench import processors
from scenebench.processors import (
    LIMITS,
    computes_bf16,
    environment_of_commands,
    fit_instruction_sets,
    limit_instruction_sets,
)


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


@pytest.mark.parametrize(("precision", "limited"), [("float32", True), ("float64", True), ("bf16", False)])
def test_bf16_is_not_limited(precision: str, limited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16\n")
    monkeypatch.setattr(processors, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processors, "_set_here", set())
    monkeypatch.setattr(os, "environ", {"HOME": "/"})
    limit_instruction_sets()
    assert environment_of_commands() == {"HOME": "/"}  # what `run` starts decides for itself
    fit_instruction_sets(precision)
    assert os.environ == ({"HOME": "/"} | LIMITS if limited else {"HOME": "/"})


def test_the_users_own_limit_stays_in_bf16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512f avx512_bf16\n")
    monkeypatch.setattr(processors, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processors, "_set_here", set())
    users = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    monkeypatch.setattr(os, "environ", dict(users))
    limit_instruction_sets()
    assert environment_of_commands() == users
    fit_instruction_sets("bf16")
    assert os.environ == users


@pytest.mark.parametrize(
    ("info", "able"),
    [
        ("flags : avx2 avx512f avx512_bf16", True),
        ("flags : avx2 avx512f amx_bf16 amx_tile", True),
        ("flags : avx2 avx512f avx512bw", False),
        ("flags : sse2", False),
        ("Features : fp asimd bf16", True),
        ("Features : fp asimd", False),
        ("", True),  # unknown
    ],
)
def test_who_computes_bf16(info: str, able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{info}\n")
    monkeypatch.setattr(processors, "_CPU_INFO", tmp_path / "cpuinfo")
    assert computes_bf16() == able


CONVOLUTIONS = re.compile(r"onednn_verbose.*exec,cpu,convolution,([^,]+)")


@pytest.mark.skipif(
    not {"avx2", "avx512_bf16"} <= set(processors.cpu_info("flags").split()), reason="needs a processor with bf16"
)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_the_kernels_of_a_pretraining(precision: str, tmp_path: Path) -> None:
    """What oneDNN says that it runs, through the command."""
    images = tmp_path / "images"
    images.mkdir()
    for index in range(4):
        Image.new("RGB", (40, 40), (60 * index, 0, 90)).save(images / f"{index}.png")
    small = ["schedule.batch_size=4", "schedule.epochs=1", "views.crop_size=32", "moco.queue_size=4", "data.workers=0"]
    small += ["run.tensorboard=false", f"run.precision={precision}", f"data.root={images}"]
    command = [sys.executable, "-m", "scenebench.cli", "pretrain", "moco_demo", *small, "--out", str(tmp_path / "run")]
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS} | {"ONEDNN_VERBOSE": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    kernels = set(CONVOLUTIONS.findall(done.stdout))
    assert kernels
    assert any("avx512" in kernel or "avx10" in kernel for kernel in kernels) == (precision == "bf16"), kernels


def test_a_command_runs_no_kernel_beyond_avx2() -> None:
    program = (
        "import scenebench.cli; scenebench.cli.main(['protocol', 'list'])\n"
        "import torch; print(torch.backends.cpu.get_cpu_capability())"
    )
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] != "AVX512"
