"""The loop: what a run leaves behind, exact resume after any kind of stop, and what it refuses."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain import computer
from pretrain.data.sources.description import describe_source
from pretrain.methods.base import Method
from pretrain.methods.byol import Byol
from pretrain.methods.moco import Moco, MomentumContrast
from pretrain.optimiser import learning_rate
from pretrain.recipes.optimisation import ScheduleRecipe
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from scenebench.errors import UserError
from scenebench.locking import only_process
from transfer.backbone_file import load_backbone, load_network

TOTAL_STEPS = 9  # 3 epochs of 3 steps
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3",
    "views.crop_size=32", "run.log_every=1", "run.checkpoint_every_steps=1",
]  # fmt: skip
METHOD_KEYS = {
    "moco": ["moco.queue_size=16", "network.bn_groups=2"],  # with shuffle-BN: the generator's state matters
    "mls": ["mls.dictionary_size=16", "mls.k=3"],
    "saliency": [
        "moco.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64",
        "saliency.warmup_share=0.34", "saliency.refresh_share=0.34",
    ],
    "byol": ["byol.predictor_hidden_dim=16"],
    "saliency_byol": [
        "byol.predictor_hidden_dim=16", "saliency.crop_size=32", "saliency.map_input_size=64",
        "saliency.warmup_share=0.34", "saliency.refresh_share=0.34", "saliency.source=contracam",
    ],
}  # fmt: skip
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "images" / "train"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(14):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 40)).save(folder / f"{index:02d}.jpg")
    return folder


def overrides_for(method: str, images: Path, *extra: str) -> list[str]:
    return [*SMALL, *METHOD_KEYS[method], f"data.root={images}", *extra]


def recipe_for(method: str, images: Path, *extra: str) -> Recipe:
    return load_recipe(f"{method}_demo", overrides_for(method, images, *extra))


@pytest.fixture(scope="module")
def uninterrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run folder of a method that was never interrupted."""
    done: dict[str, Path] = {}

    def run(method: str) -> Path:
        if method not in done:
            done[method] = tmp_path_factory.mktemp(method) / "run"
            pretrain(recipe_for(method, images), done[method])
        return done[method]

    return run


def assert_same_result(run: Path, reference: Path) -> None:
    """Equal to the bit: backbone, and everything in the last checkpoint."""
    ours, theirs = (load_backbone(folder / "backbone.safetensors")[1] for folder in (run, reference))
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name
    checkpoints = [sorted((folder / "checkpoints").iterdir())[-1] for folder in (run, reference)]
    assert_equal(*(torch.load(path, weights_only=True) for path in checkpoints), where="checkpoint")


def assert_equal(ours: object, theirs: object, where: str) -> None:
    assert type(ours) is type(theirs), where
    if isinstance(ours, dict):
        assert isinstance(theirs, dict)
        assert ours.keys() == theirs.keys(), where
        for key in ours:
            assert_equal(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list | tuple):
        assert isinstance(theirs, list | tuple)
        assert len(ours) == len(theirs), where
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(one, other, f"{where}[{index}]")
    elif isinstance(ours, torch.Tensor):
        assert isinstance(theirs, torch.Tensor)
        assert torch.equal(ours, theirs), where
    else:
        assert ours == theirs, where


def logged_steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int, how: Callable[[], None]) -> None:
    """Call ``how`` within the given step (counted from 1 in this process)."""
    count = [0]

    def patched(original: Callable[[Method], None]) -> Callable[[Method], None]:
        def after_step(self: Method) -> None:
            original(self)
            count[0] += 1
            if count[0] == step:
                how()

        return after_step

    for method in (MomentumContrast, Byol):
        monkeypatch.setattr(method, "after_step", patched(method.after_step))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than these runs and are not what the tests of resuming look at."""
    monkeypatch.setattr("pretrain.train.draw_figures", lambda *_: [])


class Crash(Exception):
    pass


def crash() -> None:
    raise Crash


# --- a whole run --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", list(METHOD_KEYS))
def test_a_run_leaves_what_it_promises(method: str, images: Path, uninterrupted: Callable[[str], Path]) -> None:
    run = uninterrupted(method)
    info, network = load_network(run / "backbone.safetensors")
    assert info.method == recipe_for(method, images).method
    assert info.branch == ("online" if "byol" in method else "query")
    assert info.architecture.name == "resnet18w8"
    assert info.dataset == "train"
    assert info.dataset_fingerprint == describe_source(sorted(images.iterdir())).fingerprint
    assert (info.epochs, info.images_seen, info.seed) == (3, TOTAL_STEPS * 4, 0)
    assert info.recipe == recipe_for(method, images).to_plain()
    assert info.recipe_name == f"{method}_demo"
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 64)
    assert logged_steps(run) == list(range(1, TOTAL_STEPS + 1))
    line = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    part = "loss_byol" if "byol" in method else "loss_infonce"
    assert {"epoch", "lr", "loss", part, "images_per_second", "data_wait_share"} <= line.keys()
    assert len(list((run / "checkpoints").iterdir())) == 2
    figures = {"mls": 2, "saliency": 3, "saliency_byol": 3}.get(method, 0)
    drawn = list((run / "figures").iterdir())
    assert len(drawn) == figures
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.width > 300


def test_a_finished_run_is_not_touched_again(
    images: Path, uninterrupted: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = uninterrupted("mls")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    # Keys without effect on the result may differ.
    assert pretrain(recipe_for("mls", images, "run.log_every=5"), run) == run / "backbone.safetensors"
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.usefixtures("no_figures")
def test_workers_do_not_change_the_result(images: Path, uninterrupted: Callable[[str], Path], tmp_path: Path) -> None:
    pretrain(recipe_for("saliency", images, "data.workers=2"), tmp_path / "run")
    ours, theirs = (
        load_backbone(folder / "backbone.safetensors")[1] for folder in (tmp_path / "run", uninterrupted("saliency"))
    )
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


def test_random_init_is_a_run_like_any_other(images: Path, tmp_path: Path) -> None:
    recipe = load_recipe("random_demo", ["network.stem_width=8", "random_init.resolution=32", f"data.root={images}"])
    first, second = pretrain(recipe, tmp_path / "a"), pretrain(recipe, tmp_path / "b")
    info, tensors = load_backbone(first)
    assert (info.method, info.branch, info.epochs, info.images_seen) == ("random_init", "only", 0, 0)
    for name, tensor in load_backbone(second)[1].items():
        assert torch.equal(tensor, tensors[name])


@pytest.mark.usefixtures("no_figures")
def test_bf16_and_tensorboard(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "computes_bf16", lambda: True)  # emulated elsewhere, which is slow, not wrong
    extra = ["run.precision=bf16", "run.tensorboard=true", "schedule.epochs=1"]
    pretrain(recipe_for("mls", images, *extra), tmp_path / "run")
    _, tensors = load_backbone(tmp_path / "run" / "backbone.safetensors")
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in tensors.values())
    assert any(path.name.startswith("events") for path in (tmp_path / "run" / "tensorboard").iterdir())


# --- resume -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("method", list(METHOD_KEYS))
@pytest.mark.parametrize("step", [4, 8])  # going on from step 3, where an epoch (and a refresh) begins, and from 7
def test_a_crash_at_any_step_changes_nothing(
    method: str,
    step: int,
    images: Path,
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference, run = uninterrupted(method), tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, step, crash)
        with pytest.raises(Crash):
            pretrain(recipe_for(method, images), run)
    torch.rand(7)  # whatever the process did in between
    pretrain(recipe_for(method, images), run)
    assert_same_result(run, reference)
    assert logged_steps(run) == list(range(1, TOTAL_STEPS + 1))


@pytest.mark.usefixtures("no_figures")
def test_resume_from_an_epochs_checkpoint_repeats_the_steps_since(
    images: Path, uninterrupted: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = recipe_for("saliency", images, "run.checkpoint_every_steps=null"), tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 8, crash)
        with pytest.raises(Crash):
            pretrain(recipe, run)
    assert [path.name[:13] for path in sorted((run / "checkpoints").iterdir())] == ["step_00000003", "step_00000006"]
    pretrain(recipe, run)
    assert_same_result(run, uninterrupted("saliency"))
    assert logged_steps(run) == list(range(1, TOTAL_STEPS + 1))


def start(method: str, images: Path, run: Path, *extra: str) -> subprocess.Popen[str]:
    """The training as a process of its own, which sleeps a little in each step so that it can be hit anywhere."""
    code = (
        "import sys, time; import torch; torch.set_num_threads(1)\n"
        "from pretrain.methods.moco import MomentumContrast as M\n"
        "step = M.after_step\n"
        "M.after_step = lambda self: (step(self), time.sleep(0.05))\n"
        "from pretrain.recipes.recipe import load_recipe; from pretrain.train import pretrain\n"
        "pretrain(load_recipe(sys.argv[1], sys.argv[3:]), sys.argv[2])\n"
    )
    command = [sys.executable, "-c", code, f"{method}_demo", str(run), *overrides_for(method, images, *extra)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "log.jsonl").is_file() and len((run / "log.jsonl").read_text().splitlines()) >= step:
            return
        time.sleep(0.01)
    if process.poll() is not None and process.returncode != 0:
        pytest.fail(f"the training ended early: {process.communicate()[0]}")


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_at_a_random_step_changes_nothing(
    workers: int, images: Path, uninterrupted: Callable[[str], Path], tmp_path: Path
) -> None:
    run, method = tmp_path / "run", ("saliency", "mls")[workers // 2]
    rng = random.Random()
    step = rng.randint(1, TOTAL_STEPS - 2)
    process = start(method, images, run, f"data.workers={workers}")
    try:
        wait_for_step(run, step, process)
        time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
    finally:
        process.communicate()
    pretrain(recipe_for(method, images), run)
    assert_same_result(run, uninterrupted(method))
    assert logged_steps(run) == list(range(1, TOTAL_STEPS + 1))


@pytest.mark.usefixtures("no_figures")
def test_sigterm_saves_and_leaves_with_143(images: Path, uninterrupted: Callable[[str], Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    extra = ["run.checkpoint_every_steps=null", "run.checkpoint_every_epochs=3"]
    process = start("mls", images, run, *extra)
    try:
        wait_for_step(run, 2, process)
        process.terminate()
    finally:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "the same command goes on from there" in output
    assert "Traceback" not in output
    assert len(list((run / "checkpoints").iterdir())) == 1
    assert not (run / "backbone.safetensors").exists()
    pretrain(recipe_for("mls", images, *extra), run)
    assert_same_result(run, uninterrupted("mls"))


def test_ctrl_c_finishes_the_step_and_leaves_with_130(
    images: Path,
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        stop_after(patch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Stopped) as stopped:
            pretrain(recipe_for("moco", images), run)
    assert stopped.value.code == 130
    assert f"stopped and saved at step 4 of {TOTAL_STEPS}" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is handler
    pretrain(recipe_for("moco", images), run)
    assert f"going on from step 4 of {TOTAL_STEPS}" in capsys.readouterr().out
    assert_same_result(run, uninterrupted("moco"))


@pytest.mark.usefixtures("no_figures")
def test_a_damaged_newest_checkpoint_costs_one_interval_only(
    images: Path,
    uninterrupted: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_after(patch, 6, crash)
        with pytest.raises(Crash):
            pretrain(recipe_for("mls", images), run)
    newest = sorted((run / "checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    pretrain(recipe_for("mls", images), run)
    printed = capsys.readouterr().out
    assert f"{newest.name}: damaged" in printed
    assert "going on from step 4" in printed
    assert_same_result(run, uninterrupted("mls"))


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_folder_of_another_recipe_is_refused_with_what_differs(
    images: Path, uninterrupted: Callable[[str], Path]
) -> None:
    run = uninterrupted("mls")
    with pytest.raises(UserError) as error:
        pretrain(recipe_for("mls", images, "mls.k=2", "optimiser.lr=0.1"), run)
    assert "mls.k: 3 there, 2 here; optimiser.lr: 0.002 there, 0.1 here" in str(error.value)
    with pytest.raises(UserError, match="method: mls there, moco here"):
        pretrain(recipe_for("moco", images), run)


def test_a_folder_of_something_else_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds record.json but no recipe.yaml"):
        pretrain(recipe_for("mls", images), tmp_path)
    with pytest.raises(UserError, match="is a file"):
        pretrain(recipe_for("mls", images), tmp_path / "record.json")


def test_missing_images_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        pretrain(recipe_for("mls", tmp_path / "nowhere"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_images_than_at_the_start_are_refused(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in images.iterdir():
        (copies / path.name).write_bytes(path.read_bytes())
    with monkeypatch.context() as patch:
        stop_after(patch, 3, crash)
        with pytest.raises(Crash):
            pretrain(recipe_for("moco", copies), tmp_path / "run")
    with open(copies / "05.jpg", "ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="was trained on other images"):
        pretrain(recipe_for("moco", copies), tmp_path / "run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run.device: there is no CUDA device"):
        pretrain(recipe_for("mls", images, "run.device=cuda"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["loss", "weights"])
def test_a_loss_that_is_not_finite_stops_the_run(
    what: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, original, count = tmp_path / "run", Moco.training_step, [0]

    def training_step(self: Moco, batch: object) -> object:
        loss, log = original(self, batch)  # type: ignore[arg-type]
        count[0] += 1
        if count[0] == 5:
            # The gradient of sqrt at 0 is infinite where the value is finite.
            zero = next(self.query_encoder.parameters()).sum() * 0
            loss = loss + (torch.sqrt(zero) if what == "weights" else torch.log(zero - 1))
        return loss, log

    monkeypatch.setattr(Moco, "training_step", training_step)
    with pytest.raises(UserError, match="not finite at step [45]") as error:
        pretrain(recipe_for("moco", images), run)
    if what == "loss":
        assert ".jpg" in str(error.value)
    newest = sorted((run / "checkpoints").iterdir())[-1]
    state = torch.load(newest, weights_only=True)
    assert state["step"] == 4
    assert all(bool(torch.isfinite(value).all()) for value in state["method"].values() if torch.is_tensor(value))
    assert not (run / "backbone.safetensors").exists()


def test_two_processes_never_train_in_one_folder(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    second = threading.Thread(target=lambda: pretrain(recipe_for("moco", images), run))
    with only_process(run, print):
        second.start()
        deadline = time.monotonic() + 60
        printed = ""
        while "waiting until it ends" not in printed and time.monotonic() < deadline:
            time.sleep(0.02)
            printed += capsys.readouterr().out
        assert f"process {os.getpid()} works here" in printed
        time.sleep(0.2)
        assert not (run / "recipe.yaml").exists()
    second.join(timeout=120)
    assert (run / "backbone.safetensors").is_file()


# --- small parts --------------------------------------------------------------------------------------------------


def test_learning_rate_warms_up_and_falls_by_a_cosine() -> None:
    schedule = ScheduleRecipe(epochs=10, batch_size=4, warmup_epochs=1.0)
    rates = [learning_rate(0.4, schedule, step, 20) for step in range(200)]
    assert rates[:20] == pytest.approx([0.4 * (step + 1) / 20 for step in range(20)])
    assert rates[20] == pytest.approx(0.4)
    assert rates[110] == pytest.approx(0.2)
    assert 0 < rates[-1] < 1e-4
    assert rates[20:] == sorted(rates[20:], reverse=True)
    constant = ScheduleRecipe(epochs=10, batch_size=4, cosine=False)
    assert {learning_rate(0.4, constant, step, 20) for step in range(200)} == {0.4}


def test_source_is_named_by_its_dataset_or_by_its_files(images: Path, tmp_path: Path) -> None:
    files = sorted(images.iterdir())
    plain = describe_source(files)
    assert plain.name == "train"
    assert len(plain.fingerprint) == 16
    assert describe_source(files[:-1]).fingerprint != plain.fingerprint
    folder = tmp_path / "scenes" / "images" / "train"
    folder.mkdir(parents=True)
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())
    copies = sorted(folder.iterdir())
    assert describe_source(copies).fingerprint == plain.fingerprint
    (tmp_path / "scenes" / "dataset.json").write_text('{"name": "scenes", "fingerprint": "0123456789abcdef"}')
    described = describe_source(copies)
    assert (described.name, described.fingerprint) == ("scenes/train", "0123456789abcdef")
