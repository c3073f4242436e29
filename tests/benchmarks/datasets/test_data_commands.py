"""``scenebench data``: what it prints, and its exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks.commands.data
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import ScenesSpec
from scenebench.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    benchmarks.commands.data.add_commands(parser.add_subparsers())
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return parsed.run(parsed)


def test_scenes_writes_then_has_nothing_to_do_then_shows(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ("data", "scenes", "--images", "6", "--size", "32", "--seed", "5", "--objects", "1-2", tmp_path / "s")
    assert run(*command) == 0
    assert "4 train, 1 val, 1 test, fingerprint" in capsys.readouterr().out
    assert run(*command) == 0
    assert "nothing to do" in capsys.readouterr().out
    source = DatasetFolder.open(tmp_path / "s").source
    assert (source["objects_min"], source["objects_max"], source["seed"]) == (1, 2, 5)
    assert source["cooccurrence"] == ScenesSpec().cooccurrence
    assert run("data", "show", tmp_path / "s") == 0
    shown = capsys.readouterr().out
    assert "unchanged" in shown
    assert "dumbbell" in shown


def test_objects_take_a_number_or_a_range(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("data", "scenes", "--images", "3", "--size", "16", "--objects", "3", tmp_path / "s") == 0
    assert DatasetFolder.open(tmp_path / "s").source["objects_min"] == 3
    with pytest.raises(SystemExit):
        run("data", "scenes", "--objects", "two", tmp_path / "t")
    assert "neither a number nor a range" in capsys.readouterr().err
    with pytest.raises(UserError, match="objects_max"):
        run("data", "scenes", "--objects", "4-2", tmp_path / "t")


def test_coco_prints_its_summary(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    photos = shared_data / "fruits_nuts_coco"
    command = ("data", "coco", "--images", photos, "--annotations", photos / "trainval.json", "--max-train", "3")
    assert run(*command, "--max-test", "2", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "train: 3 images" in shown
    assert "3 train, 2 test" in shown


def test_help_shows_the_defaults_of_the_spec(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        run("data", "scenes", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    spec = ScenesSpec()
    for text in (f"({spec.images})", f"({spec.size})", f"({spec.cooccurrence})", "(2-4)"):
        assert text in shown
    assert (spec.objects_min, spec.objects_max) == (2, 4)
    assert "example:" in shown


def test_command_line_imports_nothing_heavy() -> None:
    code = (
        "import sys, argparse, benchmarks.commands.data as cli;"
        "cli.add_commands(argparse.ArgumentParser().add_subparsers());"
        "print([name for name in ('numpy', 'PIL', 'torch', 'pycocotools') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
