"""The same data under another path, and another number of devices, are the same run; other data are refused."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from method_batches import own_keys
from PIL import Image

from pretrain.checkpoint import load_checkpoint, save_checkpoint
from pretrain.methods.moco import MomentumContrast
from pretrain.methods.supervised import Supervised
from scenebench.cli import main
from transfer.backbone_file import load_backbone, read_info

SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=2",
    "views.crop_size=32", "run.log_every=1", "run.checkpoint_every_steps=1", "moco.queue_size=16", "data.workers=0",
    "run.tensorboard=false",
]  # fmt: skip
TOTAL = 6  # 2 epochs of 3 steps


class Crash(Exception):
    pass


def make_images(folder: Path, seed: int = 0) -> Path:
    """Noise as bitmaps: equal names and equal sizes, whatever the seed."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(13):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{index:02d}.bmp")
    return folder


def annotate(path: Path, shift: int = 0) -> Path:
    content = {
        "images": [{"id": index, "file_name": f"{index:02d}.bmp", "width": 48, "height": 40} for index in range(13)],
        "categories": [{"id": category, "name": str(category)} for category in range(3)],
        "annotations": [
            {"id": index, "image_id": index, "category_id": (index + shift) % 3, "bbox": [4, 4, 20, 20], "area": 400,
             "iscrowd": 0}
            for index in range(13)
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return make_images(tmp_path / "first" / "images")


def train(run: Path, root: Path, *extra: str, recipe: str = "moco_demo") -> int:
    keys = own_keys(recipe.partition("_")[0], SMALL)
    return main(["pretrain", recipe, *keys, f"data.root={root}", *extra, "--out", str(run)])


def interrupt(run: Path, root: Path, *extra: str, recipe: str = "moco_demo") -> None:
    """Train for four steps; the checkpoint is that of the third."""
    count = 0
    kind = Supervised if recipe.startswith("supervised") else MomentumContrast
    with pytest.MonkeyPatch.context() as patch:
        after_step = kind.after_step

        def crash(self: MomentumContrast) -> None:
            nonlocal count
            after_step(self)
            count += 1
            if count == 4:
                raise Crash

        patch.setattr(kind, "after_step", crash)
        with pytest.raises(Crash):
            train(run, root, *extra, recipe=recipe)


def root_of(run: Path) -> str:
    return str(yaml.safe_load((run / "recipe.yaml").read_text())["data"]["root"])


def weights(run: Path) -> Iterator[tuple[str, torch.Tensor]]:
    yield from sorted(load_backbone(run / "backbone.safetensors")[1].items())


def as_folder(first: Path, other: Path) -> list[str]:
    return [f"data.root={shutil.copytree(first, other / 'copy')}"]


def as_tar(first: Path, other: Path) -> list[str]:
    other.mkdir()
    with tarfile.open(other / "images.tar", "w") as archive:
        for path in sorted(first.iterdir()):
            archive.add(path, path.name)
    return [f"data.root={other / 'images.tar'}"]


def as_list(first: Path, other: Path) -> list[str]:
    copies = shutil.copytree(first, other / "copy")
    (other / "list.txt").write_text("".join(f"{path.name}\n" for path in sorted(copies.iterdir())))
    return [f"data.root={other / 'list.txt'}", f"data.images={copies}"]


@pytest.mark.parametrize("copied", [as_folder, as_tar, as_list])
def test_a_copy_elsewhere_is_the_same_run(copied, images: Path, tmp_path: Path, capsys) -> None:
    interrupt(tmp_path / "run", images)
    assert train(tmp_path / "straight", images) == 0
    moved = copied(images, tmp_path / "other")
    shutil.rmtree(images)
    capsys.readouterr()
    new = moved[0].removeprefix("data.root=")
    assert train(tmp_path / "run", Path(new), *moved[1:]) == 0
    said = capsys.readouterr().out
    assert f"going on from step 3 of {TOTAL}; data.root is {new} now, {images} before" in said
    for (name, ours), (_, theirs) in zip(weights(tmp_path / "run"), weights(tmp_path / "straight"), strict=True):
        assert torch.equal(ours, theirs), name
    assert (
        root_of(tmp_path / "run") == read_info(tmp_path / "run" / "backbone.safetensors").recipe["data"]["root"] == new
    )


def test_a_recipe_file_may_name_another_root(images: Path, tmp_path: Path, capsys) -> None:
    interrupt(tmp_path / "run", images)
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    recipe["data"]["root"] = "nowhere"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))
    copy = shutil.copytree(images, tmp_path / "copy")
    command = ["pretrain", str(tmp_path / "mine.yaml"), f"data.root={copy}", "--out", str(tmp_path / "run")]
    assert main(command) == 0
    assert f"data.root is {copy} now" in capsys.readouterr().out


def test_other_pictures_of_equal_names_and_sizes_are_refused(images: Path, tmp_path: Path, capsys) -> None:
    interrupt(tmp_path / "run", images)
    other = make_images(tmp_path / "other", seed=1)
    assert [path.stat().st_size for path in sorted(other.iterdir())] == [
        path.stat().st_size for path in sorted(images.iterdir())
    ]
    capsys.readouterr()
    assert train(tmp_path / "run", other) == 2
    assert "was trained on other images" in capsys.readouterr().err
    assert root_of(tmp_path / "run") == str(images)  # the folder is as it was
    assert train(tmp_path / "run", images) == 0


@pytest.mark.parametrize("change", ["fewer", "more", "renamed"])
def test_other_sets_are_refused(change: str, images: Path, tmp_path: Path, capsys) -> None:
    interrupt(tmp_path / "run", images)
    copy = shutil.copytree(images, tmp_path / "copy")
    if change == "fewer":
        (copy / "12.bmp").unlink()
    elif change == "more":
        shutil.copy(copy / "12.bmp", copy / "13.bmp")
    else:
        (copy / "12.bmp").rename(copy / "99.bmp")
    capsys.readouterr()
    assert train(tmp_path / "run", copy) == 2
    assert "was trained on other images" in capsys.readouterr().err


def test_a_finished_run_is_finished_for_a_copy_only(images: Path, tmp_path: Path, capsys) -> None:
    assert train(tmp_path / "run", images) == 0
    kept = (tmp_path / "run" / "recipe.yaml").read_bytes()
    copy, other = shutil.copytree(images, tmp_path / "copy"), make_images(tmp_path / "other", seed=1)
    assert train(tmp_path / "run", copy) == 0
    assert "finished before" in capsys.readouterr().out
    assert train(tmp_path / "run", other) == 2
    assert "was trained on other images" in capsys.readouterr().err
    assert train(tmp_path / "run", tmp_path / "nowhere") == 2
    shutil.rmtree(tmp_path / "run" / "checkpoints")  # to save space
    (other / "12.bmp").unlink()
    assert train(tmp_path / "run", copy) == 0
    assert train(tmp_path / "run", other) == 2
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == kept


def test_a_prepared_set_and_its_bare_pictures_are_the_same(images: Path, tmp_path: Path) -> None:
    (images.parent / "dataset.json").write_text(json.dumps({"name": "scenes", "fingerprint": "0123456789abcdef"}))
    interrupt(tmp_path / "run", images)
    assert load_checkpoint(tmp_path / "run" / "checkpoints")["images"] == "0123456789abcdef"
    assert train(tmp_path / "run", shutil.copytree(images, tmp_path / "bare")) == 0


def test_labels_are_compared_by_content(images: Path, tmp_path: Path, capsys) -> None:
    first = annotate(tmp_path / "first.json")
    run = tmp_path / "run"
    interrupt(run, images, f"data.annotations={first}", recipe="supervised_demo")
    other = annotate(tmp_path / "other.json", shift=1)
    assert train(run, images, f"data.annotations={other}", recipe="supervised_demo") == 2
    assert "was trained on other labels" in capsys.readouterr().err
    copy = Path(shutil.copy(first, tmp_path / "copy.json"))
    first.unlink()
    assert train(run, images, f"data.annotations={copy}", recipe="supervised_demo") == 0
    assert f"data.annotations is {copy} now, {first} before" in capsys.readouterr().out
    assert train(run, images, f"data.annotations={other}", recipe="supervised_demo") == 2


def rewrite_checkpoint(run: Path, **changes: object) -> None:
    """Replace the newest checkpoint by one with these keys, without those that are None."""
    state = load_checkpoint(run / "checkpoints")
    assert state is not None
    shutil.rmtree(run / "checkpoints")
    state = {key: value for key, value in {**state, **changes}.items() if value is not None}
    save_checkpoint(run / "checkpoints", state["step"], state)


def test_a_checkpoint_of_before_goes_by_the_fingerprint_and_the_labels_path(
    images: Path, tmp_path: Path, capsys
) -> None:
    first = annotate(tmp_path / "first.json")
    run = tmp_path / "run"
    interrupt(run, images, f"data.annotations={first}", recipe="supervised_demo")
    rewrite_checkpoint(run, data=None, cuda_rng=[])
    copy = Path(shutil.copy(first, tmp_path / "copy.json"))
    assert train(run, images, f"data.annotations={copy}", recipe="supervised_demo") == 2
    assert "was trained on other labels" in capsys.readouterr().err
    pictures = shutil.copytree(images, tmp_path / "pictures")
    assert train(run, pictures, f"data.annotations={first}", recipe="supervised_demo") == 0


def test_a_run_saved_on_eight_gpus_goes_on_without_them(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(tmp_path / "run", images)
    assert "cuda_rng" not in load_checkpoint(tmp_path / "run" / "checkpoints")
    rewrite_checkpoint(tmp_path / "run", cuda_rng=[torch.zeros(16, dtype=torch.uint8)] * 8)

    def refused(states: object) -> None:
        raise IndexError("tuple index out of range")

    monkeypatch.setattr(torch.cuda, "set_rng_state_all", refused)
    assert train(tmp_path / "run", images) == 0
    assert train(tmp_path / "straight", images) == 0
    for (name, ours), (_, theirs) in zip(weights(tmp_path / "run"), weights(tmp_path / "straight"), strict=True):
        assert torch.equal(ours, theirs), name


def test_tensorboard_keeps_the_point_of_the_resumed_step(images: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    interrupt(tmp_path / "run", images, "run.tensorboard=true")
    assert train(tmp_path / "run", images, "run.tensorboard=true") == 0
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, TOTAL + 1))
