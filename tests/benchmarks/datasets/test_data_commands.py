"""``scenebench data``: what it prints, and its exit codes."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks.commands.data
import benchmarks.datasets.scenes
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import ScenesSpec
from benchmarks.suites.source import scenes_source
from scenebench.cli import main
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


def test_every_strength_has_a_flag(tmp_path: Path) -> None:
    strengths = {"texture": 0.1, "palette": 0.2, "surroundings": 0.3, "cooccurrence": 0.4, "tail": 0.6}
    flags = [text for key, value in strengths.items() for text in (f"--{key}", str(value))]
    assert run("data", "scenes", "--images", "3", "--size", "16", *flags, "--scales", ".1-.25", tmp_path / "s") == 0
    source = DatasetFolder.open(tmp_path / "s").source
    assert {key: source[key] for key in strengths} == strengths
    assert (source["scale_min"], source["scale_max"]) == (0.1, 0.25)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--texture", "1.5"], "scenes: texture is 1.5; it must be between 0 and 1"),
        (["--scales", "0.3-0.2"], "scenes: scale_max is 0.2; it must be at least scale_min and at most 0.45"),
        (["--scales", "wide"], "'wide' is neither a number nor a range such as 0.09-0.34"),
        (["--version", "3"], "scenes: version is 3; it must be 1 or 2"),
        (["--version", "1", "--tail", "1"], "in version 1 it is always 0"),
        (["--variant", "hard", "--texture", "1"], "variant hard has none"),
    ],
)
def test_a_strength_out_of_range_is_one_line(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "scenes", *flags, str(tmp_path / "s")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spec",
    [
        ScenesSpec(images=30, seed=4),
        ScenesSpec(images=30, texture=0.0, palette=0.25, surroundings=1.0, tail=1.5, scale_min=0.05, scale_max=0.2),
        ScenesSpec(images=30, variant="hard", tail=0.0, objects_min=3, objects_max=3),
        ScenesSpec(images=30, version=1),
        ScenesSpec(images=30, version=1, variant="hard"),
    ],
)
def test_the_command_of_a_suite_asks_for_just_what_the_suite_says(
    spec: ScenesSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ScenesSpec] = []

    def remember(_: str, given: ScenesSpec, __: int) -> DatasetFolder:
        asked.append(given)
        return DatasetFolder(Path("x"), "scenes", "0", "", [], {}, {})

    monkeypatch.setattr(benchmarks.datasets.scenes, "generate_scenes", remember)
    run(*scenes_source(spec).command[1:], "out")
    assert asked == [spec]


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
    for text in (f"({spec.images})", f"({spec.size})", "(2-4)", f"({spec.scale_min}-{spec.scale_max})"):
        assert text in shown
    for key in ("texture", "palette", "surroundings", "cooccurrence", "tail"):
        assert re.search(rf"--{key} X [^()]*\({getattr(spec, key):g}\)", shown), key
    assert f"({spec.version})" in shown
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
