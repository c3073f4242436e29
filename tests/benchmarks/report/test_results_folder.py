"""The numbers in results/README.md are those that the records beside it give."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.record import read_record, write_record
from benchmarks.report.build import write_tables
from benchmarks.report.results import collect
from benchmarks.report.tables import make_tables
from scenebench.cli import main

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_the_commands_shown_there_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```\n(.*?)```", (RESULTS / "README.md").read_text(encoding="utf-8"), re.S)
    commands = [line.split() for block in blocks for line in block.splitlines()]
    assert commands
    monkeypatch.chdir(RESULTS.parent)
    for command in commands:
        assert command.pop(0) == "scenebench"
        assert command[-2:] == ["--out", "tables"]
        assert main([*command[:-1], str(tmp_path / "tables")]) == 0
    shown = capsys.readouterr().out
    assert "apart: scenes, size demo" in shown
    assert list((tmp_path / "tables").glob("*.tex"))


def test_tables_of_migrated_records_are_those_of_the_records(tmp_path: Path) -> None:
    """Written anew under the present schema they give the same bytes."""
    for path in (RESULTS / "records/methods_demo").rglob("record.json"):
        write_record(tmp_path / "new" / path.parent.name / "record.json", read_record(path))
    for name, folder in (("old", RESULTS / "records/methods_demo"), ("new", tmp_path / "new")):
        results = collect(folder)
        assert len(results.records) == 46
        write_tables(results, make_tables(results), tmp_path / f"{name}_tables")
    for made in (tmp_path / "old_tables").iterdir():
        assert made.read_bytes() == (tmp_path / "new_tables" / made.name).read_bytes()


def test_the_table_is_made_of_the_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(RESULTS / "records/methods_demo"), "--out", str(tmp_path / "tables")]) == 0
    made = (tmp_path / "tables/tables.md").read_text(encoding="utf-8")
    shown = (RESULTS / "README.md").read_text(encoding="utf-8")
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(rows) == 11
    for row in rows:
        assert row in made
    assert capsys.readouterr().out
