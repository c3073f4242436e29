"""What CONTRIBUTING.md shows runs as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.records.adding import admit_all
from benchmarks.records.collect import collect
from scenebench.config import read_yaml

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_commands_take_a_checkpoint_in_mocos_layout_to_a_row(tmp_path: Path) -> None:
    """Every line of the `sh` blocks, in order, in a folder that has this repository's records as its board."""
    (tmp_path / "results/records").mkdir(parents=True)
    for file in (REPOSITORY / "results/records").glob("*.jsonl"):
        shutil.copy(file, tmp_path / "results/records")
    protocol = next(block for block in _blocks("yaml") if block.startswith("id:"))
    (tmp_path / "my_knn.yaml").write_text(protocol)
    (tmp_path / "simsiam.yaml").write_text(next(block for block in _blocks("yaml") if block.startswith("method:")))
    (tmp_path / "my_methods").mkdir()
    (tmp_path / "my_methods/simsiam.py").write_text(_blocks("python")[0])
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    printed = ""
    lines = [line for block in _blocks("sh") for line in block.splitlines() if line]
    if not (tmp_path / "results/records/mini.jsonl").is_file():
        lines = [line for line in lines if "results/records/mini.jsonl" not in line]  # mini is not published yet
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout
    records = [one.record for one in admit_all(tmp_path / "results/records/smoke.jsonl")]
    assert {(record.protocol.id, record.seed) for record in records} == {
        ("multilabel_knn", 0),
        ("multilabel_knn", 1),
        ("mask_rcnn_fpn_demo", 0),
        ("fcn_demo", 0),
    }
    assert {(record.backbone.label, record.backbone.method, record.backbone.origin) for record in records} == {
        ("mine", "moco", "imported")
    }
    assert "mine" in (tmp_path / "results/leaderboard/index.html").read_text(encoding="utf-8")
    assert "expected values are reached" in printed
    assert "| mine" in (tmp_path / "results/mine/table.md").read_text(encoding="utf-8")
    assert len(collect(tmp_path / "results/mine").records) == 4


def test_the_make_commands_exist() -> None:
    lines = [line for block in _blocks("") for line in block.splitlines() if line.startswith("make ")]
    assert any(line.startswith("make ci-evaluate") for line in lines)
    for line in lines:
        done = subprocess.run([*line.split(), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for value in re.findall(r"(?:BACKBONE|SUITE|OUT|EXPECTED)=(\S+)", line):
            assert f'"{value}"' in done.stdout


def test_make_asks_for_the_checkpoint() -> None:
    done = subprocess.run(
        ["make", "ci-evaluate", "-o", ".venv/.ready"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "name the checkpoint: make ci-evaluate BACKBONE=FILE" in done.stderr


def test_links_lead_somewhere() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (REPOSITORY / path).exists(), path


def test_the_expected_values_shown_are_of_the_right_form(tmp_path: Path) -> None:
    from benchmarks.submission.expected import read_expected, require_of
    from benchmarks.suites.source import scenes_source
    from benchmarks.suites.suite import load_suite
    from benchmarks.workflow.plan_from_suite import resolve_columns

    block = next(block for block in _blocks("yaml") if block.startswith("suite:"))
    file = tmp_path / "expected.yaml"
    file.write_text(block)
    suite = load_suite("smoke")
    source = scenes_source(suite.data)
    protocols = [protocol for _, protocol in resolve_columns(suite, source)]
    require_of(read_expected(file), file, suite.name, suite.size, source.identity, protocols)
    assert read_yaml(file)["data"] == source.identity
