"""The numbers in results/README.md are those that the records beside it give."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenebench.cli import main

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_the_table_is_made_of_the_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(RESULTS / "records/methods_demo"), "--out", str(tmp_path / "tables")]) == 0
    made = (tmp_path / "tables/tables.md").read_text(encoding="utf-8")
    shown = (RESULTS / "README.md").read_text(encoding="utf-8")
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 11
    for row in rows:
        assert row in made
    assert capsys.readouterr().out
