"""A killed training goes on, and gives the bits of one that was never killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.classification import resuming, training
from benchmarks.classification.images import LabelledImages
from benchmarks.classification.resuming import FOLDER, Keeper
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.classification.training import CellResult, Task, train_grid
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.classification import TrainSettings, ViewSettings
from benchmarks.protocols.protocol import load_protocol
from transfer.backbone_file import Preprocessing, load_network

Build = Callable[[str], Path]
FINE_TUNING = TrainSettings(
    learning_rates=[0.02], epochs=4, batch_size=5, decay="step", steps=[3], warmup_epochs=1.0, evaluate_every=1
)
GRID = replace(FINE_TUNING, learning_rates=[0.02, 0.05], evaluate_every=0)
LINEAR = TrainSettings(
    frozen=True, stages=["layer2", "layer4"], learning_rates=[0.1, 1.0], cells=2, epochs=4, batch_size=5
)


@pytest.fixture
def images(tmp_path: Path) -> LabelledImages:
    """Twelve noisy images of two colours."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{index:02d}.png" for index in range(12)]
    for index, path in enumerate(paths):
        base = np.array([[150, 90, 90], [90, 90, 150]][index % 2])
        pixels = np.clip(base + rng.integers(-60, 60, (40, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    return LabelledImages(paths, np.arange(12) % 2, "coloured")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As evaluate does; and every epoch is kept."""
    monkeypatch.setattr(resuming, "EVERY", 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def task_of(backbone: Path, images: LabelledImages, settings: TrainSettings, keeper: Keeper | None = None) -> Task:
    return Task(
        load=lambda: load_network(backbone)[1], preprocessing=Preprocessing(), train=images, val=images, test=images,
        classes=2, settings=settings, views=ViewSettings(size=32, resize=36, jitter=0.2), difficult="ignored",
        measure=lambda scores, own: top_k_accuracy(scores, torch.from_numpy(own.labels), 1), keeper=keeper,
    )  # fmt: skip


def killed_at(step: int, task: Task) -> None:
    """Train in a process that is killed (as by the kernel: nothing can be cleaned up) in its ``step``-th step."""

    def child() -> None:
        real, seen = training.losses_of, []

        def losses(*arguments: Any) -> Any:
            seen.append(1)
            if len(seen) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)

        training.losses_of = losses
        train_grid(task, seed=3)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def assert_same(first: list[CellResult], second: list[CellResult]) -> None:
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.scores, other.scores)  # every bit
        assert (one.cell, one.chosen_by, one.by_epoch) == (other.cell, other.chosen_by, other.by_epoch)


@pytest.mark.parametrize(
    ("settings", "step", "note"),
    [
        (FINE_TUNING, 8, "training went on after epoch 2 of 4"),  # three steps an epoch: in the third
        (LINEAR, 10, "training went on after epoch 3 of 4"),
        (GRID, 17, "training went on after epoch 1 of 4"),  # twelve steps a pair: in the second pair
    ],
    ids=["fine-tuning", "linear heads", "grid"],
)
def test_a_killed_training_gives_the_same_bits(
    settings: TrainSettings, step: int, note: str, tiny_backbone: Path, images: LabelledImages, tmp_path: Path
) -> None:
    _, straight = train_grid(task_of(tiny_backbone, images, settings), seed=3)
    killed_at(step, task_of(tiny_backbone, images, settings, Keeper(tmp_path / "kept", "key")))
    again = Keeper(tmp_path / "kept", "key")
    torch.manual_seed(99)  # another state of the generator than before
    _, resumed = train_grid(task_of(tiny_backbone, images, settings, again), seed=3)
    assert_same(straight, resumed)
    assert again.notes[-1].startswith(note)
    assert len(again.notes) == (2 if settings is GRID else 1)
    assert not list((tmp_path / "kept").glob("*.part"))


def test_a_state_of_something_else_is_passed_over(tiny_backbone: Path, images: LabelledImages, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    _, straight = train_grid(task_of(tiny_backbone, images, FINE_TUNING), seed=3)
    killed_at(8, task_of(tiny_backbone, images, FINE_TUNING, Keeper(folder, "key")))
    (path,) = folder.iterdir()
    content = path.read_bytes()
    for key, damaged in (("another key", content), ("key", content[: len(content) // 2]), ("key", b"")):
        path.write_bytes(damaged)
        keeper = Keeper(folder, key)
        assert keeper.read(0) is None
        assert keeper.notes == []
    _, again = train_grid(task_of(tiny_backbone, images, FINE_TUNING, Keeper(folder, "another key")), seed=3)
    assert_same(straight, again)


def test_where_nothing_can_be_kept_training_goes_on(
    tiny_backbone: Path, images: LabelledImages, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("a file in the way")
    _, straight = train_grid(task_of(tiny_backbone, images, FINE_TUNING), seed=3)
    _, again = train_grid(task_of(tiny_backbone, images, FINE_TUNING, Keeper(tmp_path / "kept", "key")), seed=3)
    assert_same(straight, again)


def test_a_state_is_kept_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(resuming, "EVERY", 60.0)
    monkeypatch.setattr(resuming.time, "monotonic", lambda: now[0])
    keeper = Keeper(tmp_path, "key")
    assert not keeper.is_due
    now[0] += 60.0
    assert keeper.is_due
    keeper.write(0, {"epoch": 1})
    assert not keeper.is_due
    assert keeper.read(0) == {"key": "key", "epoch": 1}


def test_a_run_goes_on_and_leaves_nothing_behind(
    tiny_backbone: Path, official: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``evaluate``: the record says so, its metrics are those of a run that was not interrupted."""
    small = ["settings.train.epochs=3", "settings.views.size=32", "settings.views.resize=36"]
    protocol = load_protocol("pets_finetune", small, size="demo")
    straight = evaluate(tiny_backbone, protocol, official("pets"), 0, tmp_path / "straight")
    real, seen = training._set_rates, []

    def rates(optimiser: Any, factor: float) -> None:
        seen.append(factor)
        if len(set(seen)) == 3 or (tmp_path / "run" / FOLDER).is_dir():
            raise KeyboardInterrupt
        real(optimiser, factor)

    monkeypatch.setattr(training, "_set_rates", rates)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_backbone, protocol, official("pets"), 0, tmp_path / "run")
    monkeypatch.setattr(training, "_set_rates", real)
    assert list((tmp_path / "run" / FOLDER).iterdir())
    resumed = evaluate(tiny_backbone, protocol, official("pets"), 0, tmp_path / "run")
    assert resumed.metrics == straight.metrics
    assert resumed.per_class == straight.per_class
    assert any("training went on after epoch" in note for note in resumed.notes)
    assert not any("training went on" in note for note in straight.notes)
    assert not (tmp_path / "run" / FOLDER).exists()
