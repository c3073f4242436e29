"""docs/mini.md: the commands shown there are right, and what it says of the costs is what the plans say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.plan_from_suite import build_plan
from scenebench.cli import main, parse

REPOSITORY = Path(__file__).resolve().parents[3]
PAGE = (REPOSITORY / "docs/mini.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
FRUITS = REPOSITORY / "../shared/data/fruits_nuts_coco"
CELLS = REPOSITORY / "../shared/data/bccd_voc"


def test_the_commands_are_understood() -> None:
    called = [shlex.split(line)[1:] for line in COMMANDS if line.startswith("scenebench ")]
    assert len(called) == 13
    for words in called:
        parse(words)
    assert "make tables" in COMMANDS


def test_the_short_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = [shlex.split(line)[1:] for line in COMMANDS if re.match(r"scenebench (data scenes|pretrain) ", line)]
    assert [words[0] for words in short] == ["data", "pretrain"]
    for words in short:
        assert main([*words, *(["network.stem_width=8"] if words[0] == "pretrain" else [])]) == 0
    assert (tmp_path / "runs/watched/diagnostics/pseudo_labels.csv").is_file()
    assert (tmp_path / "runs/watched/figures/diagnostics_pseudo_labels.png").is_file()


@pytest.mark.skipif(not FRUITS.is_dir(), reason="the photographs beside the repository are not there")
def test_the_photographs_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    (line,) = [line for line in COMMANDS if "fruits_nuts" in line]
    words = shlex.split(line)[1:]
    words[words.index("--out") + 1] = str(tmp_path / "out")
    assert main([*words, "--plan"]) == 0


@pytest.mark.skipif(not CELLS.is_dir(), reason="the images of blood cells beside the repository are not there")
def test_a_folder_in_vocs_layout_can_be_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    moved = [line.replace(" data/bccd", f" {tmp_path}/bccd") for line in COMMANDS if "bccd_voc" in line]
    prepare, run = (shlex.split(line)[1:] for line in moved)
    assert main(prepare) == 0
    run[run.index("--out") + 1] = str(tmp_path / "out")
    assert main([*run, "--plan"]) == 0


@pytest.mark.parametrize("line", re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", PAGE, re.M))
def test_what_is_said_of_the_costs_is_what_the_plan_says(line: tuple[str, str]) -> None:
    name, minutes = line
    suite = load_suite(name)
    plan = build_plan(suite, scenes_source(suite.data))
    assert sum(job.seconds for job in plan.jobs) / 60 == pytest.approx(float(minutes), rel=0.25)
    counts = {kind: sum(job.kind == kind for job in plan.jobs) for kind in ("pretrain", "evaluate")}
    said = re.search(r"(\d+) pretrainings.*?and\s+#?\s*(\d+) evaluations", _comment(name), re.S)
    assert said is not None
    assert (int(said[1]), int(said[2])) == (counts["pretrain"], counts["evaluate"])


def _comment(name: str) -> str:
    text = (REPOSITORY / f"benchmarks/suites/{name}.yaml").read_text(encoding="utf-8")
    return " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
