"""bf16 where the device only emulates it is refused with the key to set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.computer import check_device
from pretrain.recipes.recipe import load_recipe
from scenebench import processors
from scenebench.cli import main
from scenebench.errors import UserError

WITHOUT = "model name : Old CPU\nflags : sse2 avx2 avx512f avx512bw\n"
WITH = "model name : New CPU\nflags : sse2 avx2 avx512f avx512_bf16\n"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Linux says of the processor; at first, of one without bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    info = tmp_path / "cpuinfo"
    info.write_text(WITHOUT)
    monkeypatch.setattr(processors, "_CPU_INFO", info)
    return info


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_cpu_without_bf16(device: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["pretrain", "mls_coco", f"data.root={images}", f"run.device={device}", "--out", str(tmp_path / "run")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "run.precision: this processor (Old CPU) does not compute bf16" in error
    assert "set run.precision=float32" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("cpu")
def test_a_prediction_of_costs_is_refused_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "mls_coco"]) == 2
    assert "set run.precision=float32" in capsys.readouterr().err


def test_float32_and_a_cpu_with_bf16_are_not_refused(cpu: Path) -> None:
    check_device(load_recipe("mls_coco", ["run.precision=float32"]))
    check_device(load_recipe("mls_coco", ["run.precision=float64"]))
    cpu.write_text(WITH)
    check_device(load_recipe("mls_coco"))


@pytest.mark.parametrize("able", [False, True])
def test_a_gpu_without_bf16(able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def is_supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return able or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla V100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    check_device(load_recipe("mls_coco", ["run.precision=float32"]))
    assert asked == []
    if able:
        check_device(load_recipe("mls_coco"))
    else:
        with pytest.raises(UserError, match=r"run.precision: .*Tesla V100.* set run.precision=float32"):
            check_device(load_recipe("mls_coco"))
    assert asked == [False]
