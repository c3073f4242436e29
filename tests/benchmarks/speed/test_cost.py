"""The predicted cost of a recipe: counted operations, straight lines, other machines."""

from __future__ import annotations

import dataclasses

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed import cost
from benchmarks.speed.cost import Cost, Machine, flops_of, machines, predict
from benchmarks.speed.cost_table import render
from benchmarks.speed.photographs import write_photographs
from pretrain.methods.base import build_method
from pretrain.recipes.recipe import Recipe, load_recipe
from scenebench.cli import main
from scenebench.errors import UserError

SMALL = ["network.stem_width=8", "views.crop_size=32", "schedule.batch_size=8"]


def small(name: str = "moco", *overrides: str) -> Recipe:
    return load_recipe(f"{name}_demo", [*SMALL, *overrides])


def backbone_flops(recipe: Recipe, size: int) -> float:
    import torch

    backbone = build_method(recipe, cost._names()).backbone
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.zeros(2, 3, size, size))
    return counter.get_total_flops() / 2


def test_moco_costs_four_forward_passes_and_byol_eight():
    # A backward pass is two forward passes, but for the first convolution, which needs no gradient of the image.
    forward = backbone_flops(small(), 32)
    assert flops_of(small()) / forward == pytest.approx(4, rel=0.08)
    heads = ("byol.predictor_hidden_dim=8", "network.projector.output_dim=8")
    assert flops_of(small("byol", *heads)) / forward == pytest.approx(8, rel=0.08)


def test_local_crops_are_counted():
    added = flops_of(small("saliency")) - flops_of(small())
    assert added / flops_of(small()) == pytest.approx(2, rel=0.05)  # two pairs of 32 px beside one of 32 px


def test_another_machine_is_scaled_by_operations():
    machine = Machine("m", 2, "moco_demo", SMALL, 100.0, "here")
    same = flops_of(small())
    assert machine.hours(360_000, same) == pytest.approx(1.0)
    assert machine.hours(360_000, 3 * same) == pytest.approx(3.0)


def test_the_table_of_machines_is_usable():
    rows = machines()
    assert len({row.name for row in rows}) == len(rows) >= 2
    for row in rows:
        assert load_recipe(row.recipe, row.overrides)
        assert row.images_per_second > 0
        assert row.source


def test_published_hours_come_out_again():
    # DenseCL's README: MoCo-v2 on COCO, 800 epochs, 1.0 day on 8 GPUs.
    machine = next(row for row in machines() if "DenseCL" in row.name)
    machine = dataclasses.replace(machine, recipe="moco_demo", overrides=SMALL)  # the ratio of operations is 1 anyway
    assert machine.hours(800 * 462 * 256, flops_of(small())) == pytest.approx(24, rel=0.01)


def test_the_cpu_shares_its_cores_between_loader_and_step(tmp_path, monkeypatch):
    write_photographs(tmp_path, 20, [])
    monkeypatch.setattr(cost, "_step_rate", lambda recipe, seconds: (8, 30.0))
    monkeypatch.setattr(cost, "_loader_rate", lambda recipe, files, seconds: 60.0)
    monkeypatch.setattr(cost, "_memory", lambda recipe, batch: 1)
    found = predict(small("moco", f"data.root={tmp_path}", "schedule.epochs=5"), None)
    assert found.rate == pytest.approx(20)
    assert found.images == 5 * 16  # whole batches of 8 out of 20 images
    assert found.hours == pytest.approx(80 / 20 / 3600)


def test_memory_is_continued_in_a_straight_line(monkeypatch):
    def peak(build, device, portions):
        return 100 + 10 * build.args[0].schedule.batch_size

    monkeypatch.setattr(cost, "peak_memory", peak)
    recipe = small("moco", "schedule.batch_size=64")
    assert cost._memory(recipe, 8) == 100 + 10 * 64
    assert cost._memory(recipe, 64) == 100 + 10 * 64


def test_a_probe_of_this_machine(tmp_path, capsys):
    write_photographs(tmp_path, 12, [])
    call = ["cost", "moco_demo", *SMALL, f"data.root={tmp_path}", "--seconds", "0.1"]
    assert main(call) == 0
    text = capsys.readouterr().out
    for part in ("this machine", "images/s", "GB", "hours", "8 x V100"):
        assert part in text


def test_the_table_says_what_was_scaled():
    found = Cost(1000, 1e9, 4, 10.0, 20.0, 6.0, 2**30, 2**20)
    assert "a batch of 4 (scaled up)" in render(small(), found, [])


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (["cost", "random_demo"], "trains nothing"),
        (["cost", "moco_demoo"], "did you mean 'moco_demo'"),
        (["cost", "moco_demo", "--images", "4"], "less than one batch"),
        (["cost", "moco_demo", "--seconds", "0"], "positive"),
        (["cost", "moco_demo", "data.root=/nowhere"], "/nowhere"),
    ],
)
def test_bad_calls_get_one_line(call, reason, capsys):
    assert main(call) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_a_method_that_needs_labels_says_so():
    with pytest.raises(UserError, match="annotations"):
        predict(small("supervised"), 100, 0.1)
