"""What the README and the documentation show runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "docs/pretraining.md", "docs/moving-weights.md")


def _blocks(language: str, page: str = "README.md") -> list[str]:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_steps_by_hand_run(page: str, tmp_path: Path) -> None:
    """Every line of the `sh` blocks, in order, in one empty folder."""
    lines = [line for block in _blocks("sh", page) for line in block.splitlines() if line]
    assert len(lines) >= 5
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    if page == "README.md":
        assert (tmp_path / "results/mls/knn/record.json").is_file()


def test_the_make_commands_exist() -> None:
    """Every `make` line names a target, and the own-data variables reach the command line."""
    lines = [line for block in _blocks("") for line in block.splitlines() if line.startswith("make ")]
    assert {"make demo", "make test"} <= set(lines)
    for line in lines:
        done = subprocess.run([*line.split(), "-n"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for value in re.findall(r"(?:DATA|ANNOTATIONS)=(\S+)", line):
            assert f'"{value}"' in done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((REPOSITORY / page).parent / path).exists(), path


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README
