"""The speed benchmark: turns, ratios, photographs, peers, and the page as a whole at the smallest size."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.speed import peers, together
from benchmarks.speed.cases import Case, cases, pixel_share
from benchmarks.speed.interleaved import Rates, interleave, ratio, times_as_long
from benchmarks.speed.memory import peak_memory
from benchmarks.speed.photographs import SIZES, find_photographs, write_photographs
from benchmarks.speed.pretraining import LIGHTLY_MOCO, Settings, measure
from benchmarks.speed.report import render, targets
from benchmarks.speed.steps import build_step, synthetic_batch
from scenebench.cli import main

SMALL = Case(depth=18, stem_width=8, crop_size=32, batch_size=4)
IMAGES = [Path(f"{number}.jpg") for number in range(16)]


class Clock:
    """A clock that contenders move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_contenders_take_turns_and_rates_are_images_by_time():
    clock, order = Clock(), []

    def worker(name: str, seconds: float, images: int):
        def work() -> int:
            order.append(name)
            clock.now += seconds
            return images

        return work

    rates = interleave({"a": worker("a", 0.5, 3), "b": worker("b", 1.0, 2)}, rounds=2, seconds=1.0, clock=clock)
    assert rates == {"a": Rates((6.0, 6.0)), "b": Rates((2.0, 2.0))}
    assert [name for name, _ in itertools.groupby(order[2:])] == ["a", "b", "a"]  # b begins the second round
    assert order[:2] == ["a", "b"]  # once each before the clock runs


def test_ratios_are_taken_within_a_round():
    fast, slow = Rates((10.0, 40.0, 30.0)), Rates((5.0, 10.0, 10.0))
    found = ratio(fast, slow)
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)
    assert times_as_long(slow, fast).median == 3.0
    assert fast.median == 30.0
    assert fast.spread == (10.0, 40.0)


def test_photographs_have_cocos_sizes_and_are_the_same_every_time(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.jpg")
    Image.fromarray(noise[:100, :120]).save(tmp_path / "small.jpeg")
    sources = find_photographs(tmp_path)
    assert [path.name for path in sources] == ["large.jpg", "small.jpeg"]
    first, second = (write_photographs(tmp_path / name, 20, sources) for name in "ab")
    sizes = [Image.open(path).size for path in first]
    for size, share in SIZES:
        assert abs(sizes.count(size) - 20 * share) <= 1
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_scenes_stand_in_for_photographs(tmp_path):
    files = write_photographs(tmp_path, 3, [])
    assert [Image.open(path).size for path in files] == [SIZES[0][0], SIZES[1][0], SIZES[0][0]]


def test_the_size_alone_departs_from_the_papers_recipe():
    for case in cases():
        recipe = case.recipe("mls")
        assert (recipe.mls.dictionary_size, recipe.mls.k, recipe.optimiser.name) == (4096, 20, "sgd")
        assert recipe.views.crop_size == case.crop_size
    full = Case(depth=50, stem_width=64, crop_size=224, batch_size=4).recipe("saliency")
    assert full.saliency.crop_size == 96
    assert pixel_share(full) == pytest.approx(1 + 2 * 96**2 / 224**2)


@pytest.mark.parametrize("method", ["moco", "mls", "saliency", "densecl", "byol"])
def test_a_synthetic_batch_trains_every_method(method):
    recipe = SMALL.recipe(method)
    built, step = build_step(recipe, IMAGES)
    before = [parameter.clone() for parameter in built.parameters()]
    loss, _ = step(synthetic_batch(recipe, len(IMAGES)), 0.1)
    assert torch.isfinite(loss)
    assert any(not torch.equal(old, new) for old, new in zip(before, built.parameters(), strict=True))


def test_peak_memory_sees_what_is_held_and_not_what_was_before():
    def build():
        kept = torch.ones(20_000_000)  # 80 MB
        return lambda: int(kept.sum() > 0)

    hog = torch.ones(20_000_000)
    peak = peak_memory(build, torch.device("cpu"))
    assert 75e6 < peak < 160e6
    assert hog.numel() == 20_000_000


def test_peak_memory_says_when_the_work_fails(capfd):
    def build():
        raise ValueError("no such thing")

    with pytest.raises(RuntimeError, match="failed or was killed"):
        peak_memory(build, torch.device("cpu"))
    assert "no such thing" in capfd.readouterr().err


def test_lightlys_step_learns_and_its_momentum_encoder_follows():
    pytest.importorskip("lightly")
    step = peers.LightlyStep(SMALL.architecture, torch.device("cpu"), bf16=False, channels_last=False)
    views = [torch.randn(4, 3, 32, 32) for _ in range(2)]
    before = step.momentum_backbone.conv1.weight.clone()
    losses = [step(views).item() for _ in range(3)]
    assert all(np.isfinite(losses))
    assert not torch.equal(before, step.momentum_backbone.conv1.weight)


def test_torchvisions_views_are_two_different_ones(tmp_path):
    [file] = write_photographs(tmp_path, 1, [])
    first, second = peers.PilPairs([file], peers.torchvision_views(32), 1)[0]
    assert first.shape == second.shape == (3, 32, 32)
    assert not torch.equal(first, second)


def test_waiting_for_data_is_counted(monkeypatch):
    recipe = SMALL.recipe("moco")
    clock = Clock()
    monkeypatch.setattr(together.time, "perf_counter", clock)

    def batches() -> Iterator[int]:
        while True:
            clock.now += 3
            yield 0

    def step(batch: object) -> None:
        clock.now += 1

    turn = together._timed(batches(), step, recipe, 8)
    assert turn.data_wait_share == 0.75
    assert turn.images_per_second == SMALL.batch_size / 4


def test_the_whole_benchmark_at_its_smallest(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.pretraining.IMAGES", 32)
    result = measure(Settings(rounds=1, seconds=0.01, cases=[SMALL]), lambda text: None)
    assert json.loads(json.dumps(result)) == result
    [steps] = result["steps"]
    assert set(steps["images_per_second"]) >= {"moco", "mls", "saliency", "densecl", "byol"}
    assert all(value > 0 for rates in steps["images_per_second"].values() for value in rates)
    assert all(peak > 1e6 for peak in steps["peak_bytes"].values())
    page = render(result)
    for part in ("## (a)", "## (b)", "## (c)", "workers", SMALL.name):
        assert part in page
    assert (LIGHTLY_MOCO in page) == peers.lightly_is_here()
    names = [aim for aim, _, _ in targets(result)]
    assert len(names) == len(set(names)) == 4 + 2 + int(peers.lightly_is_here())


def test_bad_calls_get_one_line(tmp_path, capsys):
    assert main(["bench", "pretraining", "--rounds", "0"]) == 2
    assert main(["bench", "pretraining", "--photographs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds no JPEG" in error
    assert error.count("\n") == 2
    assert not list(tmp_path.iterdir())
