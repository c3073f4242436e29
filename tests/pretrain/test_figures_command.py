"""``scenebench figures``: the figures of a run again, from its recipe and a checkpoint; its errors in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_batches import own_keys
from PIL import Image

from pretrain.checkpoint import load_checkpoint, save_checkpoint
from pretrain.figures import command as figures_command
from pretrain.figures.command import draw_run
from pretrain.recipes.recipe import load_recipe
from pretrain.train import pretrain
from scenebench.cli import main
from scenebench.errors import UserError
from scenebench.locking import only_process

KEYS = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3",
    "views.crop_size=32", "moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64",
    "mls.dictionary_size=16", "mls.k=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(14):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each method that draws; three epochs of three steps."""
    runs = {}
    for method in ("mls", "saliency"):
        runs[method] = tmp_path_factory.mktemp(method) / "run"
        pretrain(load_recipe(f"{method}_demo", [*own_keys(method, KEYS), f"data.root={images}"]), runs[method])
    return runs


@pytest.fixture
def run(finished: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(finished["saliency"], tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("method", ["mls", "saliency"])
def test_the_figures_are_those_of_the_end_of_the_run(
    method: str, finished: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(finished[method])
    assert main(["figures", str(finished[method]), "--out", str(tmp_path / "again")]) == 0
    assert contents(tmp_path / "again") == contents(finished[method] / "figures")
    assert contents(finished[method]) == before
    said, *pictures = capsys.readouterr().out.splitlines()
    assert said == f"{finished[method]}: step 9, after 3 epochs of 3"
    assert sorted(Path(picture) for picture in pictures) == sorted((tmp_path / "again").iterdir())


def test_without_out_they_replace_those_of_the_run(run: Path) -> None:
    drawn = contents(run / "figures")
    shutil.rmtree(run / "figures")
    draw_run(run)
    assert contents(run / "figures") == drawn


def test_a_checkpoint_can_be_chosen(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_run(run, tmp_path / "newest")
    draw_run(run, tmp_path / "second", step=6)
    assert "step 6, after 2 epochs of 3" in capsys.readouterr().out
    newest, second = contents(tmp_path / "newest"), contents(tmp_path / "second")
    assert newest.keys() == second.keys()
    assert all(newest[name] != second[name] for name in newest)


def test_a_damaged_newest_checkpoint_is_passed_over(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = max((run / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    draw_run(run)
    said = capsys.readouterr().out
    assert "damaged" in said
    assert "step 6, after 2 epochs of 3" in said
    with pytest.raises(UserError, match="damaged .*; choose another step"):
        draw_run(run, step=9)


def test_a_run_that_is_training_is_not_waited_for(run: Path) -> None:
    (run / "backbone.safetensors").unlink()
    with only_process(run, print):
        before = contents(run)
        draw_run(run)
        assert contents(run).keys() == before.keys()
        assert (run / ".lock").read_text() == str(os.getpid())


def test_a_checkpoint_that_is_replaced_meanwhile(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def replaced_on_the_first_call(folder: Path) -> dict[str, Any] | None:
        asked.append(folder)
        if len(asked) == 1:
            raise FileNotFoundError
        return load_checkpoint(folder)

    monkeypatch.setattr(figures_command, "load_checkpoint", replaced_on_the_first_call)
    assert len(draw_run(run)) == 3
    assert len(asked) == 2


# --- what is refused ----------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["figures", *map(str, arguments)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        assert f"{folder}: holds no recipe.yaml: not a pretraining run" in refused(capsys, folder)
    assert list(tmp_path.iterdir()) == []


def test_no_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no checkpoint of step 7; there: 6, 9" in refused(capsys, run, "--checkpoint", "7")
    shutil.rmtree(run / "checkpoints")
    assert "holds no sound checkpoint yet" in refused(capsys, run)
    assert "holds no checkpoint of step 9; there: none" in refused(capsys, run, "--checkpoint", "9")


def test_images_that_are_gone_or_changed(run: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace(f"root: {images}", "root: nowhere"))
    line = refused(capsys, run)
    assert f"{run / 'recipe.yaml'}: data.root: nowhere is not a folder or file" in line
    assert "(relative: call from the folder that the run was started in)" in line
    other = shutil.copytree(images, run.parent / "other")
    (run / "recipe.yaml").write_text(recipe.replace(f"root: {images}", f"root: {other}"))
    assert main(["figures", str(run)]) == 0  # the same images elsewhere
    (other / "03.png").unlink()
    capsys.readouterr()
    assert f"{run}: was trained on other images" in refused(capsys, run)


def test_methods_without_figures(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pretrain(load_recipe("random_demo", [f"data.root={images}", "network.stem_width=8"]), tmp_path / "run")
    assert "method random_init has no figures of its own; mls, saliency have" in refused(capsys, tmp_path / "run")


def test_a_checkpoint_of_another_version(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = load_checkpoint(run / "checkpoints")
    assert state is not None
    del state["method"]["history._extra_state"]
    save_checkpoint(run / "checkpoints", 10, state)
    assert "its checkpoint has other parts than this version of the method" in refused(capsys, run)
    recipe = load_recipe(run / "recipe.yaml")
    (run / "backbone.safetensors").unlink()
    with pytest.raises(UserError, match="its checkpoint has other parts"):  # nor does a run go on from it
        pretrain(recipe, run)


def test_a_float64_run_is_drawn(images: Path, tmp_path: Path) -> None:
    recipe = load_recipe(
        "mls_demo", [*own_keys("mls", KEYS), f"data.root={images}", "run.precision=float64", "schedule.epochs=1"]
    )
    pretrain(recipe, tmp_path / "run")
    drawn = contents(tmp_path / "run" / "figures")
    draw_run(tmp_path / "run")
    assert contents(tmp_path / "run" / "figures") == drawn
    assert torch.get_default_dtype() == torch.float32


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["figures", "--help"])
    assert left.value.code == 0
    assert "scenebench figures runs/mls --checkpoint 1040 --out pictures" in capsys.readouterr().out


def test_a_file_of_somebody_is_kept_unless_told_otherwise(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "sampled_boxes.png").write_text("mine")
    message = refused(capsys, run, "--out", out)
    assert "mine/sampled_boxes.png: exists already" in message
    assert "--overwrite" in message
    assert contents(out) == {"sampled_boxes.png": b"mine"}  # no picture of the others either
    assert main(["figures", str(run), "--out", str(out), "--overwrite"]) == 0
    assert contents(out).keys() == {"sampled_boxes.png", "saliency_maps.png", "saliency_over_training.png"}
    assert (out / "sampled_boxes.png").read_bytes().startswith(b"\x89PNG")
    assert main(["figures", str(run), "--out", str(out)]) == 0  # nothing is lost: they are the same pictures
    assert "saliency_maps.png: exists already" in refused(capsys, run, "--checkpoint", "6", "--out", out)


def test_a_picture_that_was_learnt_from_is_never_replaced(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(images, copies)
    taken = min(copies.iterdir())
    taken.rename(copies / "sampled_boxes.png")
    pretrain(load_recipe("saliency_demo", [*own_keys("saliency", KEYS), f"data.root={copies}"]), tmp_path / "run")
    before = contents(copies)
    capsys.readouterr()
    assert "is the input itself" in refused(capsys, tmp_path / "run", "--out", copies, "--overwrite")
    assert contents(copies) == before


def test_the_runs_own_figures_are_renewed_by_any_name(run: Path, tmp_path: Path) -> None:
    (run / "figures" / "sampled_boxes.png").write_text("old")
    (tmp_path / "link").symlink_to(run)
    assert main(["figures", str(run), "--out", str(tmp_path / "link" / "figures")]) == 0
    assert (run / "figures" / "sampled_boxes.png").read_bytes().startswith(b"\x89PNG")
