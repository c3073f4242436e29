"""The page on data sets: its commands run or at least parse, its table says what the registry says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.datasets.checking.findings import KINDS
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.registry import describe, list_data_sets
from scenebench.cli import main, parse

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "data-sets.md").read_text(encoding="utf-8")


def commands(language: str) -> list[list[str]]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.split() for kind, block in blocks if kind == language for line in block.splitlines() if line]
    assert all(line[0] == "scenebench" for line in lines)
    return [line[1:] for line in lines]


def test_the_shown_steps_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    shown = commands("sh")
    assert len(shown) == 6
    for command in shown:
        assert main([*command, "--workers", "1"] if "check" in command else command) == 0, command
    assert "present: data/scenes" in capsys.readouterr().out
    assert len(read_official("scenes", tmp_path / "data/scenes").split("train")) == 14


def test_the_other_commands_parse_and_name_known_data_sets() -> None:
    shown = commands("")
    assert len(shown) == 9
    for command in shown:
        assert parse(command).name in list_data_sets()


def test_the_table_says_what_the_registry_says() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", PAGE, flags=re.MULTILINE)[: len(list_data_sets())])
    assert sorted(rows) == list_data_sets()
    for name, row in rows.items():
        description = describe(name)
        assert row.startswith(f"{description.title} |")
        assert f"| {description.classes or 'any'} |" in row
        for split, count in description.images.items():
            if name != "dtd" or split in ("train1", "val1", "trainval1", "test1"):
                assert f"{count:,} {split}" in row


def test_every_kind_of_finding_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \| [a-z]", PAGE, flags=re.MULTILINE)[: len(KINDS)] == list(KINDS)
