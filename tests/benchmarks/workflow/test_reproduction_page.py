"""The commands of docs/reproduction.md run as they stand, and the make targets that it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from scenebench.cli import main

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reproduction.md").read_text()


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)[0].splitlines()
    assert len(commands) == 2
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "scenebench"
        assert main(words) == 0
    shown = capsys.readouterr().out
    assert "to do" in shown
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["papers-plan.png", "table8-plan.png"]


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in PAGE.splitlines() if line.startswith("make ")}
    assert {"reproduce", "status", "reproduce-mls-table8"} <= targets
    for target in targets:
        stem = re.sub(r"^reproduce-.*", "reproduce-%", target)
        assert re.search(rf"(?m)^{re.escape(stem)}:", makefile), target
    for variable in re.findall(r"(?m)^\| `([A-Z]+)", PAGE):
        assert f"$({variable})" in makefile
