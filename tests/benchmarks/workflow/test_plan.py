from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.suites.group import is_group
from benchmarks.suites.source import coco_source, scenes_source
from benchmarks.suites.suite import (
    SUITES,
    UserDataSpec,
    load_suite,
    suite_names,
)
from benchmarks.workflow.plan import Plan, read_plan
from benchmarks.workflow.plan_from_suite import build_plan
from scenebench.errors import UserError

SUITE: dict[str, Any] = {
    "title": "A suite",
    "data": {"images": 12, "size": 32, "seed": 1},
    "backbones": [
        {"label": "random", "recipe": "random_demo", "seeds": [0, 1], "seconds": 5},
        {"label": "mls", "recipe": "mls_demo", "seeds": [0, 1], "seconds": 50},
    ],
    "protocols": [
        {"protocol": "multilabel_knn", "seconds": 5},
        {"protocol": "fcn_demo", "seeds": [0], "seconds": 40},
    ],
    "references": ["scene_type_oracle", "colour_histogram"],
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**SUITE, **changes}))
    return path


def plan_for(folder: Path, **changes: Any) -> Plan:
    suite = load_suite(write(folder, **changes))
    return build_plan(suite, scenes_source(suite.data))


def ids(plan: Plan) -> set[str]:
    return {job.id for job in plan.jobs}


def test_every_suite_that_comes_along_resolves() -> None:
    assert {"demo", "smoke"} <= set(suite_names())
    for name in suite_names():
        if is_group(name):
            continue
        suite = load_suite(name)
        assert suite.name == name == (SUITES / f"{name}.yaml").stem
        if suite.pretrain_data:
            continue  # test_reproduce.py
        plan = build_plan(suite, scenes_source(suite.data))
        if suite.pictures:
            assert not suite.protocols, "a suite of pictures has no table that a random row could stand in"
            continue
        assert "random" in plan.rows
        if name != "mini_search":  # what a validation split chooses by; references have no settings
            assert ("classification" in {j.cell["task"] for j in plan.jobs if j.cell}) == bool(suite.references)
    for name in ("demo", "smoke"):  # these show every toolbox
        suite = load_suite(name)
        plan = build_plan(suite, scenes_source(suite.data))
        assert {"classification", "detection", "segmentation"} <= {j.cell["task"] for j in plan.jobs if j.cell}
        assert {"random", "mls"} <= set(plan.rows)
    assert {"random", "moco", "mls", "saliency"} <= set(build_plan(*_demo()).rows)


def _demo() -> tuple[Any, Any]:
    suite = load_suite("demo")
    return suite, scenes_source(suite.data)


def test_the_plan_is_the_product_of_rows_columns_and_seeds(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    kinds = [job.kind for job in plan.jobs]
    # knn on 2 x 2 backbones and 2 references, fcn on the first seed of 2 backbones
    assert (kinds.count("data"), kinds.count("pretrain"), kinds.count("evaluate")) == (1, 4, 8)
    assert plan.rows == ["random", "mls", "scene-type oracle", "colour-histogram probe"]
    assert plan.protocols == ["multilabel_knn", "fcn_demo"]
    by_id = {job.id: job for job in plan.jobs}
    assert len(by_id) == len(plan.jobs)
    outputs = {output for job in plan.jobs for output in job.outputs}
    assert all(name in outputs for job in plan.jobs for name in job.inputs)
    fcn = next(job for job in plan.jobs if job.label == "evaluate mls, seed 0, fcn_demo")
    assert [Path(name).name for name in fcn.inputs] == ["dataset.json", "backbone.safetensors"]
    assert fcn.command[:2] == ["scenebench", "evaluate"]
    assert fcn.command[fcn.command.index("--label") + 1] == "mls"
    oracle = next(job for job in plan.jobs if "oracle" in job.label)
    assert oracle.command[2] == "reference:scene_type_oracle"
    # longest chain first: data 20 + mls 50 + fcn 40
    assert [job.priority for job in plan.jobs if job.kind == "data"] == [110]
    assert max(plan.jobs, key=lambda job: job.priority).kind == "data"
    pretrain = {job.label: job.priority for job in plan.jobs if job.kind == "pretrain"}
    assert pretrain["pretrain mls, seed 0"] == 90
    assert pretrain["pretrain mls, seed 1"] == 55


def test_a_reference_stands_by_the_protocols_that_can_judge_it(tmp_path: Path) -> None:
    """A box's shape tells objects apart, a scene type whole images; a map of classes is told by neither."""
    named = ["region_knn", "dense_linear", "object_discovery", "multilabel_knn", "multilabel_finetune_1pct"]
    references = ["scene_type_oracle", "colour_histogram", "box_shape"]
    plan = plan_for(tmp_path, protocols=[{"protocol": name} for name in named], references=references)
    judged = {(job.command[2], job.cell["protocol"]) for job in plan.jobs if job.cell.get("is_reference")}
    assert judged == {
        ("reference:box_shape", "region_knn"),
        ("reference:colour_histogram", "region_knn"),
        ("reference:colour_histogram", "multilabel_knn"),
        ("reference:scene_type_oracle", "multilabel_knn"),
    }
    assert plan.rows[-1] == "box-shape probe"
    tasks = {job.cell["protocol"]: job.cell["task"] for job in plan.jobs if job.cell}
    assert tasks["region_knn"] == tasks["dense_linear"] == tasks["object_discovery"] == "dense"


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    plan.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    for damage, message in (("{", "not a readable plan"), ('{"format_version": 99}', "plan format 99")):
        (tmp_path / "plan.json").write_text(damage)
        with pytest.raises(UserError, match=message):
            read_plan(tmp_path / "plan.json")


def test_equal_suites_give_equal_plans(tmp_path: Path) -> None:
    assert plan_for(tmp_path) == plan_for(tmp_path)


def changed_backbone(**values: Any) -> list[dict[str, Any]]:
    return [SUITE["backbones"][0], {**SUITE["backbones"][1], **values}]


def test_changing_one_lambda_renames_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    before = ids(plan_for(tmp_path))
    after = ids(plan_for(tmp_path, backbones=changed_backbone(overrides=["mls.loss_weight=0.7"])))
    gone = before - after
    assert len(gone) == len(after - before) == 2 + 3  # both seeds of mls: pretraining, knn; and fcn on the first
    assert all("mls" in job for job in gone)


def test_what_has_no_effect_on_a_job_keeps_it(tmp_path: Path) -> None:
    before = ids(plan_for(tmp_path))
    assert ids(plan_for(tmp_path, backbones=changed_backbone(seconds=7))) == before
    assert ids(plan_for(tmp_path, backbones=changed_backbone(overrides=["run.log_every=3"]))) == before
    assert ids(plan_for(tmp_path, title="Another")) == before
    # spelling out a default is no change either
    assert ids(plan_for(tmp_path, backbones=changed_backbone(overrides=["mls.loss_weight=0.5"]))) == before


def test_changing_a_protocol_repeats_its_evaluations_only(tmp_path: Path) -> None:
    before = ids(plan_for(tmp_path))
    protocols = [SUITE["protocols"][0], {**SUITE["protocols"][1], "overrides": ["settings.iterations=7"]}]
    gone = before - ids(plan_for(tmp_path, protocols=protocols))
    assert len(gone) == 2
    assert all("fcn_demo" in job for job in gone)


def test_changing_the_data_repeats_everything(tmp_path: Path) -> None:
    before = ids(plan_for(tmp_path))
    assert not before & ids(plan_for(tmp_path, data={"images": 12, "size": 32, "seed": 2}))


def test_only_what_is_missing_runs(tmp_path: Path) -> None:
    plan = plan_for(tmp_path)
    out = tmp_path / "out"
    assert len(plan.unfinished(out)) == len(plan.jobs)
    for job in plan.jobs:
        for output in job.outputs:
            (out / output).parent.mkdir(parents=True)
            (out / output).touch()
    assert plan.unfinished(out) == []
    fcn = next(job for job in plan.jobs if job.label == "evaluate mls, seed 0, fcn_demo")
    backbone, data = fcn.inputs[1], fcn.inputs[0]
    (out / backbone).unlink()
    assert plan.unfinished(out) == [], "a deleted backbone that nothing needs any more is no work"
    (out / fcn.outputs[0]).unlink()
    assert {job.label for job in plan.unfinished(out)} == {"pretrain mls, seed 0", fcn.label}
    (out / data).unlink()
    assert len(plan.unfinished(out)) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, r"mine.yaml: unknown key 'titel' \(did you mean 'title'\?\)"),
        ({"backbones": []}, "at least one entry under 'backbones'"),
        ({"backbones": [{"label": "a"}]}, r"backbones\[0\]: 'recipe' is missing"),
        ({"backbones": [{"label": "a", "recipe": "mls_demo", "seed": 1}]}, r"unknown key 'seed' .*'seeds'"),
        ({"backbones": ["mls"]}, r"backbones\[0\]: expected a mapping"),
        ({"backbones": SUITE["backbones"][:1] * 2}, "label 'random' is given twice"),
        ({"backbones": changed_backbone(seeds=[0, 0])}, "seeds must be one or more different"),
        (
            {"backbones": changed_backbone(recipe="msl_demo")},
            r"unknown recipe 'msl_demo' \(did you mean 'mls_demo'\?\)",
        ),
        ({"backbones": changed_backbone(overrides=["mls.lambda=1"])}, "unknown key 'mls.lambda'"),
        ({"baseline": "rnd"}, "baseline: unknown value 'rnd'"),
        ({"references": ["oracle"]}, "references: unknown value 'oracle'"),
        ({"protocols": [{"protocol": "multilabel_kn"}]}, r"did you mean 'multilabel_knn'"),
        ({"protocols": [{"protocol": "fcn_demo", "seeds": [5]}]}, r"no backbone has the seed 5; .*\[0, 1\]"),
        ({"data": {"image": 3}}, r"data: unknown key 'image' \(did you mean 'images'\?\)"),
        ({"data": {"images": "many"}}, "data: images is 'many', expected int"),
        ({"data": {"images": 1}}, "at least 3"),
    ],
)
def test_a_bad_suite_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        plan_for(tmp_path, **changes)
    assert "\n" not in str(raised.value)


def test_an_unknown_suite_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown suite 'dmeo' \(did you mean 'demo'\?\)"):
        load_suite("dmeo")
    with pytest.raises(UserError, match="no such file"):
        load_suite("nowhere/suite.yaml")


def test_a_suite_finds_its_own_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("method: mls\nnetwork: {depth: 18}\n")
    path = write(tmp_path, backbones=[{"label": "own", "recipe": "own.yaml"}], protocols=[{"protocol": "fcn_demo"}])
    plan = build_plan(load_suite(path), scenes_source(load_suite(path).data))
    pretraining = next(job for job in plan.jobs if job.kind == "pretrain")
    assert pretraining.command[2] == str(tmp_path / "own.yaml"), "jobs run in another folder"


def coco(folder: Path, pixel: bytes = b"a") -> Path:
    (folder / "photos").mkdir(exist_ok=True)
    images = []
    for number in (1, 2):
        name = f"{number}.jpg"
        (folder / "photos" / name).write_bytes(pixel * number)
        images.append({"id": number, "file_name": name, "width": 8, "height": 8})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "nut"}]}
    (folder / "c.json").write_text(json.dumps(content))
    return folder / "c.json"


def test_ones_own_data_is_known_by_its_bytes(tmp_path: Path) -> None:
    annotations = coco(tmp_path)
    spec = UserDataSpec(max_train=5)
    source = coco_source(tmp_path / "photos", annotations, None, spec)
    assert source.command[-2:] == ["--max-train", "5"]
    assert not source.scene_types
    assert coco_source(tmp_path / "photos", annotations, None, spec) == source
    assert coco_source(tmp_path / "photos", annotations, None, UserDataSpec()).identity != source.identity
    (tmp_path / "photos" / "notes.txt").write_text("not in the JSON, so no part of the data")
    assert coco_source(tmp_path / "photos", annotations, None, spec).identity == source.identity
    coco(tmp_path, pixel=b"b")
    assert coco_source(tmp_path / "photos", annotations, None, spec).identity != source.identity


def test_ones_own_data_has_no_scene_type_oracle(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    plan = build_plan(suite, coco_source(tmp_path / "photos", coco(tmp_path), None, suite.user_data))
    assert plan.rows == ["random", "mls", "colour-histogram probe"]
    assert plan.title == f"{suite.name} on photos"  # the suite's own title speaks of its scenes
    assert plan.jobs[0].command[:3] == ["scenebench", "data", "coco"]
    assert all(job.command[0] == "scenebench" for job in plan.jobs)


def test_paths_stay_inside_and_labels_stay_text(tmp_path: Path) -> None:
    rows = [{"label": "../../x y/ü λ=.5", "recipe": "random_demo"}]
    plan = plan_for(tmp_path, backbones=rows, protocols=[{"protocol": "multilabel_knn"}])
    for job in plan.jobs:
        for path in [job.id, job.log, *job.outputs]:
            assert ".." not in Path(path).parts
            assert not Path(path).is_absolute()
            assert " " not in path
    assert plan.rows[0] == "../../x y/ü λ=.5"


def test_jobs_are_values(tmp_path: Path) -> None:
    job = plan_for(tmp_path).jobs[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.id = "other"  # type: ignore[misc]


def test_ones_own_data_has_overrides_of_its_own(tmp_path: Path) -> None:
    """A folder of a few photographs is gone through often enough."""
    suite = load_suite("demo")
    own = build_plan(suite, coco_source(tmp_path / "photos", coco(tmp_path), None, suite.user_data))
    generated = build_plan(suite, scenes_source(suite.data))

    def commands(plan: Plan, label: str) -> list[list[str]]:
        return [job.command for job in plan.jobs if job.label.startswith(label)]

    assert len(commands(own, "pretrain mls")) == len(commands(generated, "pretrain mls")) > 0
    assert all("data.images_per_epoch=1680" in command for command in commands(own, "pretrain mls"))
    assert not any("=1680" in word for job in generated.jobs for word in job.command)
    assert not any("merge" in word for job in (*own.jobs, *generated.jobs) for word in job.command), "class-agnostic"


def test_on_ones_own_data_the_detectors_come_last(tmp_path: Path) -> None:
    suite = load_suite("demo")
    own = build_plan(suite, coco_source(tmp_path / "photos", coco(tmp_path), None, suite.user_data))
    generated = build_plan(suite, scenes_source(suite.data))
    assert own.protocols[-1] == "mask_rcnn_fpn_demo"
    assert own.protocols[:2] == ["region_linear", "multilabel_linear"]
    assert generated.protocols == [Path(column.protocol).stem for column in suite.protocols]
    assert sorted(own.protocols) == sorted(generated.protocols)


def test_chance_is_judged_by_probes_and_by_segmentation_alone(tmp_path: Path) -> None:
    suite = load_suite("mini")
    plan = build_plan(suite, scenes_source(suite.data))
    judged = [job.cell["protocol"] for job in plan.jobs if job.cell and job.cell["label"] == "chance, no picture seen"]
    assert sorted(judged) == ["fcn_demo", "multilabel_knn", "multilabel_linear", "multilabel_low_shot"]
