"""Bad input through the command line: one line, exit code 2, and a folder that the corrected command may use.

Elsewhere: unknown recipes, keys and methods, k > D and queues that are no multiple of the batch in
test_pretrain_cli.py; every single value of a recipe in test_recipe.py; a loss that is not finite, other images than at
the start and folders of somebody else in test_train.py; broken COCO JSONs, lists and tars in test_sources.py.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.data.sources import list_images
from pretrain.data.sources.checks import check_images, typical_side
from pretrain.methods.moco import Moco
from pretrain.recipes.recipe import load_recipe
from scenebench.cli import main
from scenebench.errors import UserError
from scenebench.files import write_text

TINY = [
    "network.stem_width=8", "schedule.batch_size=4", "schedule.epochs=1", "views.crop_size=32", "moco.queue_size=16",
    "mls.dictionary_size=16", "mls.k=3", "run.checkpoint_every_epochs=1",
]  # fmt: skip


def write_images(folder: Path, sides: list[tuple[int, int]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, size in enumerate(sides):
        pixels = np.random.default_rng(index).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(size).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", [(40, 30)] * 9)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What the command line says of a call that it refuses."""
    capsys.readouterr()
    assert main(["pretrain", *map(str, arguments)]) == 2
    *before, said, end = capsys.readouterr().err.split("\n")
    assert all(line.startswith("skipped: ") for line in before)
    assert said.startswith("scenebench: ")
    assert end == ""
    return said


@pytest.mark.parametrize(
    ("recipe", "keys", "message"),
    [
        ("mls_demo", ["views.crop_size=64"], "views.crop_size: 64 is larger than the images of {images} (40 pixels"),
        ("mls_demo", ["views.crop_size=64"], "set views.crop_size=40 or less"),
        (
            "saliency_demo",
            ["saliency.crop_size=48"],
            "saliency.crop_size: 48 is larger than the images of {images} (40",
        ),
        ("saliency_demo", ["saliency.pairs=1"], "saliency.pairs: 1 pair an image makes every weight 1"),
        ("moco_demo", ["schedule.batch_size=16"], "schedule.batch_size: 16 is more than the 9 images of {images}"),
        ("moco_demo", ["run.device=cuda:7"], "run.device: unknown value 'cuda:7' (did you mean 'cuda'?)"),
        ("moco_demo", ["run.device=tpu"], "run.device: unknown value 'tpu'"),
        ("moco_demo", ["data.rot=x"], "unknown key 'data.rot' (did you mean 'root'?)"),
        ("moco_demo", ["data.root={images}/00.png"], "00.png is a file of an unknown kind; give a folder of images"),
        ("moco_demo", ["data.root={images}/../list.txt"], "list.txt: line 2: "),
        ("moco_demo", ["data.root={images}/../cut.tar"], "cut.tar: not a whole tar"),
        ("moco_demo", ["data.images={images}"], "data.images: only for names in a .json or .txt"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    recipe: str, keys: list[str], message: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text("images/00.png\nimages/absent.png\n")
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        tar.add(images, arcname="images")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "cut.tar").read_bytes()[:2000])
    given = [key.format(images=images) for key in keys]
    said = refused(capsys, recipe, *TINY, f"data.root={images}", *given, "--out", tmp_path / "out")
    assert message.format(images=images) in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("count", "message"), [(0, "no image in"), (1, "holds 1 image; contrast needs at least 2")])
def test_an_empty_and_a_one_image_data_set(
    count: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "few", [(40, 40)] * count)
    keys = [*TINY, f"data.root={images}", "data.images_per_epoch=8"]
    assert message in refused(capsys, "moco_demo", *keys, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "moco_demo", *TINY, f"data.root={images}", "run.device=cuda", "--out", tmp_path / "out")
    assert "there is no CUDA device here; use run.device=cpu or auto" in said
    assert not (tmp_path / "out").exists()


def test_a_run_of_another_recipe_is_refused_with_what_differs(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["network.stem_width=8", "random_init.resolution=32", f"data.root={images}", "--out", str(tmp_path / "out")]
    assert main(["pretrain", "random_demo", *keys]) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    said = refused(capsys, "random_demo", *keys, "seed=3", "random_init.images=4")
    assert "belongs to another recipe (random_init.images: 2048 there, 4 here; seed: 0 there, 3 here)" in said
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


# --- crops larger than images -------------------------------------------------------------------------------------


def checked(images: Path, *keys: str) -> None:
    check_images(
        load_recipe("saliency_demo", [*TINY, "moco.queue_size=64", f"data.root={images}", *keys]),
        [*list_images(images)],
    )


def test_the_median_image_decides_whether_a_crop_is_too_large(tmp_path: Path) -> None:
    most_large = write_images(tmp_path / "large", [(20, 20)] * 4 + [(90, 300)] * 5)
    assert typical_side(list_images(most_large)) == 300
    checked(most_large, "views.crop_size=300")
    with pytest.raises(UserError, match=r"views.crop_size: 301 is larger .*\(300 pixels.* set views.crop_size=300"):
        checked(most_large, "views.crop_size=301")
    with pytest.raises(UserError, match=r"saliency.crop_size: 301"):
        checked(most_large, "saliency.crop_size=301")
    most_small = write_images(tmp_path / "small", [(20, 20)] * 5 + [(90, 300)] * 4)
    with pytest.raises(UserError, match=r"\(20 pixels.*enlarge them to 32 pixels or more"):
        checked(most_small)


def test_the_remedies_work(images: Path, tmp_path: Path) -> None:
    """With the number that the error names, small images are trained on."""
    checked(images, "views.crop_size=40", "saliency.crop_size=40")
    keys = [*TINY, f"data.root={images}", "views.crop_size=40", "--out", str(tmp_path / "out")]
    assert main(["pretrain", "moco_demo", *keys]) == 0


def test_only_headers_of_a_sample_are_read(tmp_path: Path) -> None:
    images = write_images(tmp_path / "many", [(40, 30)] * 130)
    for path in sorted(images.iterdir())[1::2]:
        path.write_text("broken")  # says nothing about its size
    assert typical_side(list_images(images)) == 40
    for path in images.iterdir():
        path.write_text("broken")
    assert typical_side(list_images(images)) is None
    checked(images)  # that they are broken is for the loader to say


# --- a run that fails leaves its folder free ------------------------------------------------------------------------


def test_a_run_that_never_saved_gives_its_folder_back(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    keys = [*TINY, f"data.root={images}", "run.tensorboard=true", "--out", str(out)]
    for name in ("01.png", "04.png"):  # found out only while training
        (images / name).write_text("broken")
    assert "2 of 9 images cannot be decoded" in refused(capsys, "moco_demo", *keys)
    assert not (out / "recipe.yaml").exists()
    write_text(out / "log.jsonl", '{"step": 1, "loss": 99.0}\n')  # as if it had come further
    assert main(["pretrain", "moco_demo", *keys, "data.max_bad_share=0.5", "seed=1"]) == 0
    assert (out / "backbone.safetensors").is_file()
    assert load_recipe(out / "recipe.yaml").seed == 1
    assert ": 99.0" not in (out / "log.jsonl").read_text()


def test_a_method_that_cannot_be_built_claims_nothing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [*TINY, f"data.root={images}", "saliency.crop_size=32", "saliency.map_input_size=64"]
    said = refused(capsys, "saliency_demo", *keys, "saliency.pairs=3", "--out", tmp_path / "out")
    assert "moco.queue_size: 16 is not a multiple of a step's 12 local keys" in said
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_a_run_that_saved_keeps_its_folder(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [*TINY, f"data.root={images}", "run.checkpoint_every_steps=1", "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(Moco, "finish", lambda self: (_ for _ in ()).throw(UserError("in the end")))
        assert "in the end" in refused(capsys, "moco_demo", *keys)
    assert (tmp_path / "out" / "recipe.yaml").is_file()
    assert "seed: 0 there, 1 here" in refused(capsys, "moco_demo", *keys, "seed=1")
    assert main(["pretrain", "moco_demo", *keys]) == 0
