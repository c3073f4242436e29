"""``scenebench pretrain``: arguments, and errors of one line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pretrain.cli import add_commands
from pretrain.recipes.recipe import load_recipe
from pretrain.recipes.recipe_files import recipe_names
from scenebench.errors import UserError
from transfer.backbone_file import read_info

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(["pretrain", *arguments])
    code = args.run(args)
    assert isinstance(code, int)
    return code


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_a_recipe_with_overrides_is_run(images: Path, tmp_path: Path) -> None:
    keys = [f"data.root={images}", "network.stem_width=8", "random_init.resolution=32"]
    assert run("random_demo", *keys, "--out", str(tmp_path / "out")) == 0
    info = read_info(tmp_path / "out" / "backbone.safetensors")
    assert info.architecture.stem_width == 8
    assert load_recipe(tmp_path / "out" / "recipe.yaml").random_init.resolution == 32


def test_the_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == recipe_names()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mls_dem"], "unknown recipe 'mls_dem' .did you mean 'mls_demo'"),
        (["mls_demo", "mls.lamda=1"], "unknown key 'mls.lamda'"),
        (["mls_demo", "method=mlss"], "method: unknown value 'mlss' .did you mean 'mls'"),
        (["mls_demo", "mls.k=2000"], "mls.k: 2000 is more than mls.dictionary_size"),
        (["mls_demo", "mls.dictionary_size=1000"], "not a multiple of schedule.batch_size"),
        (["mls_demo", "network.bn_groups=3"], "network.bn_groups: 3 does not part"),
        (["mls_demo", "network.stem_width=12"], "network.stem_width: 12 is not a multiple of 8"),
        (["mls_demo"], "data.root: no folder of images is given"),
        (["mls_demo", "data.root=nowhere"], "nowhere is not a folder"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(arguments: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run(*arguments, "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_out_is_required() -> None:
    with pytest.raises(UserError, match="--out is missing"):
        run("mls_demo")


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import argparse, sys; from pretrain.cli import add_commands\n"
        "add_commands(argparse.ArgumentParser().add_subparsers())\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_opens_with_its_command_and_cost(name: str) -> None:
    text = (REPOSITORY / "pretrain" / "recipes" / f"{name}.yaml").read_text()
    comment = text.split("\nmethod:")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert f"scenebench pretrain {name} data.root=" in comment
    assert "Cost:" in comment
    assert load_recipe(name).name == name
