"""``init_from``: what another run's weights give a run, what they must have, and whose run it is then."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from method_batches import own_keys
from PIL import Image
from torch import Tensor

from pretrain.checkpoint import load_checkpoint, save_checkpoint
from pretrain.data.loading import PretrainDataset
from pretrain.methods.base import Method, build_method
from pretrain.methods.mls import Mls
from pretrain.methods.moco import Moco
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.run_data import RunData
from pretrain.start import read_start, take_over
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from scenebench.cli import main
from scenebench.errors import UserError
from transfer.backbone_file import BackboneInfo, Preprocessing, load_backbone, read_info, save_backbone

SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=2",
    "views.crop_size=32", "run.log_every=1", "run.tensorboard=false", "mls.dictionary_size=16", "mls.k=3",
    "moco.queue_size=16", "densecl.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64",
    "byol.predictor_hidden_dim=16", "network.projector.hidden_dim=32", "network.projector.batch_norm=all",
]  # fmt: skip


def make_images(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(13):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(autouse=True, scope="module")
def _without_figures() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr("pretrain.train.draw_figures", lambda *_: [])
    yield
    patch.undo()


def recipe_of(name: str, images: Path, *overrides: str) -> Recipe:
    method = "saliency" if name.startswith("saliency") else name
    return load_recipe(f"{name}_demo", [*own_keys(method, SMALL), f"data.root={images}", *overrides])


@pytest.fixture(scope="module")
def runs(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    names = ("moco", "mls", "byol", "saliency")
    for name in names:
        pretrain(recipe_of(name, images, "schedule.epochs=1"), folder / name)
    return {name: folder / name for name in names}


def state_of(run: Path) -> dict[str, Tensor]:
    state = load_checkpoint(run / "checkpoints")
    assert state is not None
    return state["method"]  # type: ignore[no-any-return]


def started(name: str, images: Path, source: Path | str, *overrides: str) -> tuple[Method, dict[str, Tensor], str]:
    """A method that has taken over what ``source`` has, what it was like before, and what is said."""
    recipe = recipe_of(name, images, f"init_from={source}", *overrides)
    files = sorted(images.iterdir())
    method = build_method(recipe, files)
    before = {key: value.clone() for key, value in method.state_dict().items() if isinstance(value, Tensor)}
    data = RunData.kept(load_checkpoint(Path(source) / "checkpoints")) if Path(source).is_dir() else RunData("other")
    return method, before, take_over(method, recipe, None, data)


def is_taken(method: Method, before: dict[str, Tensor], source: dict[str, Tensor], own: str, theirs: str) -> bool:
    """Whether everything below ``own`` is what ``source`` has below ``theirs`` (or all is as it was: False)."""
    now = {key: value for key, value in method.state_dict().items() if key.startswith(own) and key in before}
    assert now
    taken = [
        torch.equal(value, source.get(theirs + key.removeprefix(own), torch.empty(0))) for key, value in now.items()
    ]
    kept = [torch.equal(value, before[key]) for key, value in now.items()]
    assert all(taken) or all(kept), "taken over whole or not at all"
    return all(taken)


# --- what is taken over ----------------------------------------------------------------------------------------------

FORKS = [
    # method, from, {own prefix: the other's}, from scratch
    ("moco", "moco", {"query_encoder.": "", "key_encoder.": "", "dictionary.": ""}, []),
    ("mls", "moco", {"query_encoder.": "", "key_encoder.": ""}, ["dictionary."]),
    ("mls", "mls", {"query_encoder.": "", "key_encoder.": "", "dictionary.": ""}, []),
    ("moco", "mls", {"query_encoder.": "", "dictionary.projections": "", "dictionary.image_ids": ""}, []),
    (
        "densecl", "moco",
        {"query_encoder.backbone.": "", "query_encoder.projector.": "", "dictionary.": ""},
        ["query_encoder.dense_projector.", "key_encoder.dense_projector.", "dense_dictionary."],
    ),
    (
        "saliency", "moco",
        {f"base.{part}.": f"{part}." for part in ("query_encoder", "key_encoder", "dictionary")},
        ["crops.projector.", "crops.follower_projector.", "crops.dictionary."],
    ),
    ("moco", "saliency", {"query_encoder.": "base.query_encoder.", "dictionary.": "base.dictionary."}, []),
    ("saliency", "saliency", {"base.query_encoder.": "", "crops.projector.": "", "crops.dictionary.": ""}, []),
    (
        "byol", "moco",
        {"online_encoder.": "query_encoder.", "target_encoder.": "key_encoder."},
        ["predictor."],
    ),
    ("byol", "byol", {"online_encoder.": "", "predictor.": ""}, []),
    (
        "saliency_byol", "byol",
        {"base.online_encoder.": "online_encoder.", "base.predictor.": "predictor."},
        ["crops.predictor."],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "taken", "scratch"), FORKS)
def test_what_is_taken_over_and_what_starts_from_scratch(
    name: str, source: str, taken: dict[str, str], scratch: list[str], images: Path, runs: dict[str, Path]
) -> None:
    method, before, said = started(name, images, runs[source])
    theirs = state_of(runs[source])
    for own, other in taken.items():
        assert is_taken(method, before, theirs, own, other or own), own
    for own in scratch:
        assert not any(
            torch.equal(value, theirs.get(key, torch.empty(0)))
            for key, value in method.state_dict().items()
            if key.startswith(own) and isinstance(value, Tensor) and key.endswith("weight")
        )
        part = own.rstrip(".").replace("query_encoder", "leader").replace("key_encoder", "follower")
        assert f"{part} (" in said.partition("from scratch: ")[2]
    assert said.endswith("optimiser, schedule")
    assert f"weights {read_start(str(runs[source])).content}" in said


def test_the_position_of_a_dictionary_goes_with_it_and_a_schedule_does_not(images: Path, runs: dict[str, Path]) -> None:
    moco, _, _ = started("moco", images, runs["moco"])
    assert isinstance(moco, Moco)
    assert moco.dictionary.position == state_of(runs["moco"])["dictionary._extra_state"] != 0
    byol, _, _ = started("byol", images, runs["byol"])
    assert state_of(runs["byol"])["_extra_state"] == 3
    assert byol.step == 0


def test_a_dictionary_of_other_images_or_another_size_starts_from_scratch(
    images: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    recipe = recipe_of("moco", images, f"init_from={runs['moco']}")
    other = build_method(recipe, sorted(images.iterdir()))
    said = take_over(other, recipe, None, RunData("of", "other", "images"))
    assert "dictionary (of other images there)" in said
    assert isinstance(other, Moco)
    assert other.dictionary.is_unused()
    _, _, said = started("moco", images, runs["moco"], "moco.queue_size=32")
    assert "dictionary (of another shape there)" in said


def test_a_backbone_file_is_for_both_encoders(images: Path, runs: dict[str, Path]) -> None:
    file = runs["byol"] / "backbone.safetensors"
    method, before, said = started("moco", images, file)
    weights = load_backbone(file)[1]
    for own in ("query_encoder.backbone.", "key_encoder.backbone."):
        assert is_taken(method, before, weights, own, "")
    assert "leader.projector (not there), follower.projector (not there), dictionary (not there)" in said
    supervised = build_method(recipe_of("byol", images, f"init_from={file}"), sorted(images.iterdir()))
    assert "the backbone of byol" in take_over(supervised, supervised.recipe, None, RunData(""))


# --- a whole run -----------------------------------------------------------------------------------------------------


def test_a_fork_trains_resumes_without_its_start_and_is_known_by_the_weights(
    images: Path,
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = tmp_path / "start"
    shutil.copytree(runs["moco"], start)
    keys = [f"init_from={start}", "mls.queue_init=keys"]
    pretrain(recipe_of("mls", images, *keys), tmp_path / "whole")
    said = capsys.readouterr().out
    assert f"mls_demo: starts from {start} (moco_demo, step 3, weights " in said
    saved = yaml.safe_load((tmp_path / "whole/recipe.yaml").read_text())
    content = read_start(str(start)).content
    assert (saved["init_from"], saved["init_hash"]) == (str(start), content)
    assert read_info(tmp_path / "whole/backbone.safetensors").recipe["init_hash"] == content

    steps, original = [], Mls.training_step

    def stopping(self: Mls, batch: object) -> object:
        steps.append(1)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Mls, "training_step", stopping)
    with pytest.raises(Stopped):
        pretrain(recipe_of("mls", images, *keys), tmp_path / "parts")
    shutil.rmtree(start)  # not read again
    pretrain(recipe_of("mls", images, *keys), tmp_path / "parts")
    ours, theirs = (load_backbone(tmp_path / run / "backbone.safetensors")[1] for run in ("parts", "whole"))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert "finished before" not in capsys.readouterr().out
    pretrain(recipe_of("mls", images, *keys), tmp_path / "whole")
    assert "finished before" in capsys.readouterr().out

    # The same weights from elsewhere are the same run, others are another.
    shutil.copytree(runs["moco"], tmp_path / "copy")
    pretrain(recipe_of("mls", images, f"init_from={tmp_path / 'copy'}", *keys[1:]), tmp_path / "whole")
    assert "finished before" in capsys.readouterr().out
    for other in ([f"init_from={runs['mls']}"], []):
        with pytest.raises(UserError, match="belongs to another recipe .*init_hash") as caught:
            pretrain(recipe_of("mls", images, *other, *keys[1:]), tmp_path / "whole")
        assert "\n" not in str(caught.value)


def test_a_moco_that_goes_on_from_its_own_weights_begins_with_its_loss(
    images: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    """The fork's first loss is that of the parent's weights and queue on the fork's first batch, to the bit."""
    method, _, _ = started("moco", images, runs["moco"])
    recipe = recipe_of("moco", images, f"init_from={runs['moco']}")
    batch = PretrainDataset(recipe, sorted(images.iterdir())).load_batch(0, 0)
    expected = float(method(batch)[0].detach())
    pretrain(recipe, tmp_path / "fork")
    first = json.loads((tmp_path / "fork/log.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(expected, abs=1e-6)
    assert first["lr"] == pytest.approx(recipe.optimiser.lr)


def test_identity_is_the_weights_and_not_the_path(images: Path) -> None:
    plain = recipe_of("mls", images)
    forks = [recipe_of("mls", images, f"init_from={path}", "init_hash=0123456789abcdef") for path in ("a", "b")]
    assert forks[0].identity() == forks[1].identity() == {**plain.identity(), "init_hash": "0123456789abcdef"}
    assert recipe_of("mls", images, "init_from=1e3").init_from == "1e3"


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["network.stem_width=16"],
            r"tensors of another shape: leader.backbone.conv1.weight \(8x3x7x7 there, 16x3x7x7",
        ),
        (["network.depth=34"], r"tensors are missing: leader.backbone.layer1.2.conv1.weight, "),
        (["network.depth=50"], r"tensors are missing: leader.backbone.layer1.0.conv3.weight"),
        (
            ["network.projector.output_dim=16"],
            r"of another shape: leader.projector.3.weight \(8x32 there, 16x32 here\)",
        ),
        (["network.projector.batch_norm=none"], r"are missing: leader.projector.0.bias"),
        (["network.projector.batch_norm=hidden"], r"are missing: leader.projector.3.bias"),
    ],
)
def test_another_network_is_one_line_and_exit_code_2(
    overrides: list[str], words: str, images: Path, runs: dict[str, Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    keys = [*own_keys("mls", SMALL), f"data.root={images}", f"init_from={runs['moco']}", *overrides]
    assert main(["pretrain", "mls_demo", *keys, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert re.search(f"init_from: .*moco_demo, step 3.* does not fit this network .*{words}", error), error
    assert not (tmp_path / "run/recipe.yaml").exists()
    assert not (tmp_path / "run/checkpoints").exists()


def test_a_network_with_more_than_there_should_be_is_refused(images: Path, tmp_path: Path) -> None:
    pretrain(recipe_of("moco", images, "network.depth=34", "schedule.epochs=1"), tmp_path / "deep")
    with pytest.raises(UserError, match=r"tensors too many: follower.backbone.layer1.2.bn1.bias"):
        started("moco", images, tmp_path / "deep")


def test_fewer_tensors_than_there_should_be_are_an_error_that_names_them(
    images: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    state = load_checkpoint(runs["moco"] / "checkpoints")
    assert state is not None
    gone = [name for name in state["method"] if name.startswith("key_encoder.projector.")]
    for name in gone:
        del state["method"][name]
    save_checkpoint(tmp_path / "less/checkpoints", 3, state)
    with pytest.raises(UserError, match=rf"{len(gone)} tensors are missing: follower.projector.0.weight, ") as caught:
        started("mls", images, tmp_path / "less")
    assert "\n" not in str(caught.value)


def test_a_start_that_is_not_there_or_no_start(images: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    def refused(path: Path | str, words: str) -> None:
        with pytest.raises(UserError, match=words) as caught:
            pretrain(recipe_of("mls", images, f"init_from={path}"), tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run/recipe.yaml").exists()

    refused(tmp_path / "nowhere", "nowhere does not exist; give a run's folder")
    refused(tmp_path / "nowhere.safetensors", "no such backbone file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty/checkpoints does not exist|no checkpoint")
    (tmp_path / "text.pt").write_text("no checkpoint")
    refused(tmp_path / "text.pt", "text.pt is no checkpoint of 'scenebench pretrain'")
    torch.save({"state_dict": {"a": torch.zeros(3)}}, tmp_path / "foreign.pth")
    refused(tmp_path / "foreign.pth", "no checkpoint of 'scenebench pretrain'; make a backbone file")
    torch.save({"method": os.system}, tmp_path / "evil.pt")
    refused(tmp_path / "evil.pt", "evil.pt is no checkpoint of 'scenebench pretrain'")
    shutil.copytree(runs["moco"], tmp_path / "damaged")
    newest = sorted((tmp_path / "damaged/checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100] + bytes(100))
    refused(tmp_path / "damaged", "damaged")  # an older checkpoint would be another start
    info, tensors = load_backbone(runs["moco"] / "backbone.safetensors")
    bgr = BackboneInfo(architecture=info.architecture, preprocessing=Preprocessing(channel_order="BGR"))
    save_backbone(tmp_path / "bgr.safetensors", tensors, bgr)
    refused(tmp_path / "bgr.safetensors", "bgr.safetensors was trained on images normalised otherwise")
    with pytest.raises(UserError, match=r"the weights of .* are [0-9a-f]{16}, not 0000 \(init_hash\)"):
        pretrain(recipe_of("mls", images, f"init_from={runs['moco']}", "init_hash='0000'"), tmp_path / "run")
    with pytest.raises(UserError, match="init_hash: abc says nothing without init_from"):
        recipe_of("mls", images, "init_hash=abc")
    with pytest.raises(UserError, match="init_from: method random_init trains nothing"):
        load_recipe("random_demo", [f"init_from={runs['moco']}"])


def test_a_checkpoint_file_is_a_start_as_its_folder_is(images: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    newest = sorted((runs["moco"] / "checkpoints").iterdir())[-1]
    by_folder, by_file = read_start(str(runs["moco"])), read_start(str(newest))
    shutil.copy(newest, tmp_path / "start.pt")
    renamed = read_start(str(tmp_path / "start.pt"))
    assert by_folder.content == by_file.content == renamed.content
    assert (by_file.what, renamed.what) == ("moco_demo, step 3", "step 3")
