"""A cell that asks for two GPUs starts by torchrun: here two processes on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scenebench.cli import main

TINY = ["schedule.epochs=1", "mls.dictionary_size=32", "mls.k=4", "views.crop_size=32"]


@pytest.mark.slow
def test_a_cell_of_two_processes_shares_its_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def row(batch: int) -> dict[str, object]:
        overrides = [*TINY, f"schedule.batch_size={batch}"]
        return {"label": f"batch {batch}", "recipe": "mls_demo", "overrides": overrides, "gpus": 2, "gpu_hours": 1}

    suite = {"backbones": [row(8), row(9)], "data": {"images": 40, "size": 64}}
    probe = {"protocol": "multilabel_knn", "overrides": ["settings.image_size=64", "settings.knn.k=3"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({**suite, "protocols": [probe]}))
    out = tmp_path / "out"
    assert main(["run", str(tmp_path / "two.yaml"), "--out", str(out), "--gpus", "2"]) == 1
    shown = capsys.readouterr().out
    assert "done    pretrain batch 8, seed 0" in shown
    # only one of two processes could refuse this
    assert "9 (of all processes together) does not divide by the 2 processes; use 8" in shown
    assert "failed: " in (out / "tables/tables.md").read_text()
    assert "done    evaluate batch 8, seed 0, multilabel_knn" in shown
