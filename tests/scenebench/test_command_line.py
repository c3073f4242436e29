from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pretrain.recipes.recipe import load_recipe
from scenebench.cli import build_parser, main, parse
from scenebench.errors import UserError

COMMANDS = [
    ["data"],
    ["data", "scenes"],
    ["data", "coco"],
    ["pretrain"],
    ["import"],
    ["export"],
    ["verify"],
    ["evaluate"],
    ["run"],
    ["protocol"],
    ["protocol", "list"],
    ["protocol", "show"],
    ["recipe"],
    ["recipe", "list"],
    ["recipe", "show"],
    ["table"],
    ["leaderboard"],
    ["leaderboard", "build"],
    ["leaderboard", "add"],
    ["records", "schema"],
    ["bench"],
    ["bench", "pretraining"],
    ["bench", "evaluation"],
    ["bench", "transfer"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args([*command, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text.lower()
    assert f"scenebench {' '.join(command)}" in text


def test_the_parser_is_built_without_torch_or_a_toolbox() -> None:
    heavy = ["torch", "detectron2", "mmseg", "mmengine", "pandas", "matplotlib", "snakemake", "omegaconf"]
    code = (
        "import sys; from scenebench.cli import build_parser; build_parser(); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["pretrian", "mls_demo"], "did you mean 'pretrain'?"),
        (["pretrain", "mls_dmo", "--out", "x"], "mls_demo"),
        (
            ["evaluate", "missing.safetensors", "--protocol", "multilabel_nn", "--data", "x", "--out", "y"],
            "multilabel_knn",
        ),
        (["export", "missing.safetensors", "--to", "detectron", "--out", "x"], "detectron2"),
        (["run", "dmo", "--out", "x"], "demo"),
        (["data", "scenes", "--imagse", "3", "x"], "--imagse"),
        (["protocol", "show", "fcn_dmeo"], "fcn_demo"),
        (["recipe", "show", "mls_dmo"], "mls_demo"),
        (["bench", "transfr"], "did you mean 'transfer'?"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_call_is_one_line_with_the_nearest_right_name(
    argv: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_overrides_may_stand_before_and_after_options() -> None:
    arguments = parse(["pretrain", "mls_demo", "seed=1", "--out", "x", "schedule.epochs=2"])
    assert arguments.overrides == ["seed=1", "schedule.epochs=2"]
    with pytest.raises(UserError, match="--ouut"):
        parse(["pretrain", "mls_demo", "--out", "x", "--ouut", "y", "seed=1"])
    with pytest.raises(UserError, match="a=b"):
        parse(["run", "demo", "--out", "x", "a=b"])


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (["leaderboard", "results/demo"], ["leaderboard", "build", "results/demo"]),
        (["leaderboard", "--out", "x", "results/demo"], ["leaderboard", "build", "results/demo", "--out", "x"]),
        (["bench", "--rounds", "2"], ["bench", "pretraining", "--rounds", "2"]),
        (["bench"], ["bench", "pretraining"]),
    ],
)
def test_the_command_of_a_group_that_may_be_left_unsaid(
    short: list[str], full: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert vars(parse(short)) == vars(parse(full))
    assert ("this form goes after this version" in capsys.readouterr().err) == (short[0] == "bench")


def test_pretrain_list_still_works_and_says_its_new_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "list"]) == 0
    said = capsys.readouterr()
    assert "'scenebench recipe list'" in said.err
    assert main(["recipe", "list"]) == 0
    assert capsys.readouterr().out == said.out
    assert "mls_demo" in said.out


def test_a_recipe_is_shown_with_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "show", "mls_demo", "mls.loss_weight=0.25"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown == load_recipe("mls_demo", ["mls.loss_weight=0.25"]).to_plain()
    assert shown["mls"]["loss_weight"] == 0.25


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("scenebench.cli.parse", lambda argv: argparse.Namespace(run=interrupted))
    assert main([]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_the_package_is_a_command_and_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    call = [sys.executable, "-m", "scenebench", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(call, cwd=gone, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("scenebench ")
    script = f"rmdir '{gone}'; exec \"$@\""
    words = ["sh", "-c", script, "sh", *call]
    done = subprocess.run(words, cwd=gone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the folder that this was called in is gone" in done.stderr
