"""A method of one's own is one file and one recipe, as CONTRIBUTING.md shows it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pretrain.recipes import method_registry
from pretrain.recipes import recipe as recipe_module
from pretrain.recipes.method_registry import FOLDERS, method_names
from pretrain.recipes.recipe import load_recipe
from pretrain.run_folder import BACKBONE
from pretrain.train import pretrain
from scenebench.errors import UserError
from transfer.backbone_file import read_info

PAGE = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def _block(language: str, start: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if block.startswith(start))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twelve small pictures of noise."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def simsiam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's method and recipe in a folder that nothing else knows; returns the recipe."""
    (tmp_path / "my_methods").mkdir()
    (tmp_path / "my_methods/simsiam.py").write_text(_block("python", '"""SimSiam'))
    (tmp_path / "simsiam.yaml").write_text(_block("yaml", "method: simsiam"))
    monkeypatch.setenv(FOLDERS, str(tmp_path / "my_methods"))
    yield tmp_path / "simsiam.yaml"
    method_registry._METHODS.pop("simsiam", None)
    sys.modules.pop("scenebench_method_simsiam", None)
    recipe_module._schema.cache_clear()


def test_the_pages_simsiam_trains(simsiam: Path, images: Path, tmp_path: Path) -> None:
    keys = ["network.stem_width=8", "views.crop_size=32", "schedule.batch_size=4", f"data.root={images}"]
    recipe = load_recipe(simsiam, [*keys, "data.workers=0", "run.log_every=1", "simsiam.predictor_hidden_dim=16"])
    pretrain(recipe, tmp_path / "run")
    info = read_info(tmp_path / "run" / BACKBONE)
    assert (info.method, info.recipe["simsiam"]) == ("simsiam", {"predictor_hidden_dim": 16})
    assert recipe.identity()["simsiam"] == {"predictor_hidden_dim": 16}
    assert "loss_simsiam" in (tmp_path / "run/log.jsonl").read_text()


def test_its_keys_are_as_strict_as_everybodys(simsiam: Path) -> None:
    with pytest.raises(UserError, match=r"unknown key 'simsiam.predictor_hiden_dim'.*predictor_hidden_dim"):
        load_recipe(simsiam, ["simsiam.predictor_hiden_dim=16"])
    with pytest.raises(UserError, match="simsiam.predictor_hidden_dim: 0 must be at least 1"):
        load_recipe(simsiam, ["simsiam.predictor_hidden_dim=0"])
    with pytest.raises(UserError, match="'simsiam.predictor_hidden_dim' is a key of simsiam, not of this method"):
        load_recipe("moco_demo", ["simsiam.predictor_hidden_dim=16"])
    assert "simsiam" in method_names()


def test_without_its_folder_the_method_is_unknown(simsiam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDERS)
    with pytest.raises(UserError, match="method: unknown value 'simsiam'"):
        load_recipe(simsiam)
    monkeypatch.setenv(FOLDERS, str(simsiam.parent / "absent"))
    with pytest.raises(UserError, match=r"SCENEBENCH_METHODS: .*absent is no folder"):
        load_recipe(simsiam)
