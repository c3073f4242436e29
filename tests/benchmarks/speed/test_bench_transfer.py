"""``scenebench bench transfer``: what a checkpoint's way into a toolbox costs."""

from __future__ import annotations

import time

import pytest

from scenebench.cli import main


def test_the_benchmark_prints_what_it_measured(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.process_time()
    assert main(["bench", "transfer", "--depth", "18"]) == 0
    spent = time.process_time() - start
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:2] == ["target", "network"]
    cells = row.split()
    assert cells[:2] == ["torchvision", "resnet18"]
    assert cells[-1] == "yes"
    assert 0 < float(cells[5]) < spent
    assert float(cells[2]) == pytest.approx(44.6, abs=1)  # 11.7 million parameters of four bytes


@pytest.mark.slow
def test_an_r50_is_imported_proven_and_exported_within_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "transfer"]) == 0, capsys.readouterr().out


def test_the_benchmark_refuses_an_unknown_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "transfer", "--to", "torchvison"]) == 2
    assert "did you mean 'torchvision'" in capsys.readouterr().err
