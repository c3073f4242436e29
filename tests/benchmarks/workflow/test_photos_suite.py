"""The suite of photographs: its plan, where its data come from, and what its records say of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_photos import build_given

from benchmarks.datasets.photos import building
from benchmarks.datasets.photos.building import prepare_all
from benchmarks.datasets.photos.sets import SETS, read_names
from benchmarks.protocols.protocol import load_protocol
from benchmarks.suites.suite import load_suite
from benchmarks.workflow.plan_from_suite import build_plan
from benchmarks.workflow.work import prepare
from pretrain.recipes.recipe import load_recipe
from scenebench.cli import main
from scenebench.errors import UserError
from scenebench.mean_average_precision import mean_average_precision

SMALL = """\
name: few
baseline: random
pretrain_data: coco_small
backbones:
  - {label: random, recipe: random_demo, seeds: [0]}
protocols:
  - {protocol: multilabel_knn}
  - {protocol: dense_linear_photos_ade, overrides: [data.max_test_images=3]}
  - {protocol: dense_knn_photos_ade, overrides: [data.max_test_images=3]}
  - {protocol: fcn_photos_ade, overrides: [settings.iterations=2, settings.batch_size=2, data.max_test_images=3]}
"""


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The three sets, 60 pictures each."""
    names = {one.name: read_names(one)[:60] for one in SETS.values()}
    monkeypatch.setattr(building, "read_names", lambda one: names[one.name])
    prepare_all(build_given(tmp_path / "given", names), tmp_path / "photos", report=lambda line: None)
    return tmp_path / "photos"


def job_of(plan: Any, kind: str, *words: str) -> Any:
    return next(job for job in plan.jobs if job.kind == kind and all(word in job.label for word in words))


def test_each_protocol_is_given_its_own_data(prepared: Path) -> None:
    plan = prepare("photos", prepared).plan
    data = job_of(plan, "data")
    assert data.command == ["scenebench", "data", "prepare", "photos", str(prepared), data.id]
    assert data.outputs == [f"{data.id}/{name}/dataset.json" for name in SETS]
    moco = job_of(plan, "pretrain", "moco, seed 3")
    assert f"data.root={data.id}/coco_small/images/train" in moco.command
    assert not any("annotations" in word for word in moco.command)
    mls = job_of(plan, "pretrain", "mls, seed 0")
    assert f"data.annotations={data.id}/coco_small/annotations/instances_train.json" in mls.command
    for protocol, name in (
        ("multilabel_linear", "coco_small"),
        ("region_linear", "coco_small"),
        ("dense_linear_photos_ade", "ade20k_small"),
        ("dense_knn_photos_voc", "voc_small"),
        ("fcn_photos_ade", "ade20k_small"),
        ("fcn_photos_voc", "voc_small"),
    ):
        command = job_of(plan, "evaluate", "moco, seed 0", protocol).command
        assert command[command.index("--data") + 1] == f"{data.id}/{name}"
    assert not [job for job in plan.jobs if "oracle" in job.label], "photographs have no scene types"


def test_the_suite_is_what_its_page_says() -> None:
    suite = load_suite("photos")
    assert [row.label for row in suite.backbones] == [
        "random",
        "supervised",
        "moco",
        "densecl",
        "byol",
        "mls",
        "saliency",
    ]
    assert all(row.seeds == [0, 1, 2, 3, 4] for row in suite.backbones)
    for row in suite.backbones[1:]:
        recipe = load_recipe(row.recipe, [*row.overrides, "data.root=x", "data.annotations=y"])
        views = recipe.views
        assert (views.crop_size, tuple(views.scale), views.jitter_p, views.grey_p) == (64, (0.2, 1.0), 0.8, 0.2)
        assert (views.brightness, views.contrast, views.saturation, views.hue) == (0.4, 0.4, 0.4, 0.1)
        assert (recipe.optimiser.name, recipe.optimiser.lr) == ("adamw", 2e-3)
        assert (recipe.schedule.batch_size, recipe.network.stem_width, recipe.network.depth) == (32, 16, 18)
        assert recipe.run.precision == "bf16"
        assert 95_000 < recipe.schedule.epochs * (4225 // 32) * 32 < 105_000
    for column in suite.protocols:
        protocol = load_protocol(column.protocol)
        assert protocol.task != "detection"
        assert protocol.data.dataset in ("", "ade20k_small", "voc_small")


def test_the_plan_follows_the_pictures_and_not_their_place(prepared: Path, tmp_path: Path) -> None:
    ids = {job.id for job in prepare("photos", prepared).plan.jobs}
    shutil.copytree(prepared, tmp_path / "elsewhere")
    assert {job.id for job in prepare("photos", tmp_path / "elsewhere").plan.jobs} == ids
    description = tmp_path / "elsewhere/voc_small/dataset.json"
    description.write_text(description.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    assert not {job.id for job in prepare("photos", tmp_path / "elsewhere").plan.jobs} & ids


def test_a_missing_folder_names_the_commands(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for arguments, message in (
        ([], "name the folder of small photographs by --data FOLDER"),
        (["--data", str(tmp_path / "nowhere")], "nowhere: no such folder of small photographs"),
        (["--data", str(tmp_path)], "holds no small photographs"),
        (["--data", str(prepared), "--annotations", "x.json"], "leave --annotations away"),
    ):
        assert main(["run", "photos", *arguments, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err.strip()
        assert len(error.splitlines()) == 1
        assert message in error
        assert ("scenebench data prepare coco-small COCO_ROOT" in error) == ("annotations" not in message)
    shutil.rmtree(prepared / "voc_small")
    with pytest.raises(UserError, match="lacks voc_small; make it with"):
        prepare("photos", prepared)
    shutil.copytree(prepared / "ade20k_small", prepared / "voc_small")
    with pytest.raises(UserError, match="holds data set 'ade20k_small', not voc_small"):
        prepare("photos", prepared)
    assert not (tmp_path / "out").exists()


def test_own_pictures_and_scenes_are_planned_as_before() -> None:
    suite = load_suite("demo")
    from benchmarks.suites.source import scenes_source

    plan = build_plan(suite, scenes_source(suite.data))
    data = job_of(plan, "data")
    assert data.outputs == [f"{data.id}/dataset.json"]
    command = job_of(plan, "evaluate", "mls", "fcn_demo").command
    assert command[command.index("--data") + 1] == data.id


def test_the_mean_weighs_categories_equally() -> None:
    """One category in 50 of 100 pictures, scored perfectly, and one in 2, scored worst."""
    labels = np.zeros((100, 2), dtype=np.int8)
    labels[:50, 0] = 1
    labels[:2, 1] = 1
    scores = np.stack([-np.arange(100.0), np.arange(100.0)], axis=1)
    value, each = mean_average_precision(labels, scores)
    assert each[0] == pytest.approx(100.0)
    assert each[1] == pytest.approx(100 * (1 / 99 + 2 / 100) / 2)
    assert value == pytest.approx(sum(each) / 2)


@pytest.mark.slow
def test_a_small_suite_runs_and_its_records_say_where_the_pictures_came_from(prepared: Path, tmp_path: Path) -> None:
    suite = tmp_path / "few.yaml"
    suite.write_text(SMALL)
    out = tmp_path / "results"
    assert main(["run", str(suite), "--data", str(prepared), "--out", str(out), "--cores", "1"]) == 0
    records = [json.loads(path.read_text()) for path in out.rglob("record.json")]
    assert len(records) == 4, "one backbone by kNN and by three protocols of maps"
    told = {
        "coco_small": "pictures: COCO train2017, ",
        "ade20k_small": "pictures: the validation set of ADE20K, ",
    }
    for record in records:
        name = record["dataset"]["name"]
        assert record["notes"][0].startswith(told[name])
        assert f"by the list {name} (" in record["notes"][0]
        assert str(tmp_path) not in json.dumps(record)
    assert {record["dataset"]["name"] for record in records} == set(told)
