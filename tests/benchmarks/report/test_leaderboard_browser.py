"""The leaderboard in a real browser (tests/browser), where Chromium, node and the test packages are at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile_records import hostile_records
from made_up_records import demo_records, fill

from benchmarks.report.run_report import build_leaderboard

BROWSER_TESTS = Path(__file__).parents[2] / "browser"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"),
    pytest.mark.skipif(
        shutil.which("node") is None or not (BROWSER_TESTS / "node_modules").is_dir(),
        reason="the browser tests' packages are not installed: run 'make test-browser'",
    ),
]


def test_the_leaderboard_in_chromium(tmp_path: Path) -> None:
    fill(tmp_path / "demo", demo_records())
    for run in (tmp_path / "demo").iterdir():
        (run / "log.txt").write_text("made-up log\n", encoding="utf-8")
    _, board = build_leaderboard(tmp_path / "demo")
    _, hostile = build_leaderboard(fill(tmp_path / "hostile", hostile_records()))
    for picture in (hostile.parent / "figures").iterdir():
        assert "<script" not in picture.read_text(encoding="utf-8")
    places = {"BOARD": str(board.parent), "HOSTILE": str(hostile.parent), "CHROMIUM": str(CHROMIUM)}
    done = subprocess.run(
        ["node", "--test", "leaderboard.test.mjs"],
        cwd=BROWSER_TESTS,
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "# fail 0" in done.stdout
