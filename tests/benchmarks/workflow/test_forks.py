"""Rows of a suite that fork from another row: the plan, its order and identities, what is refused, and a whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.suites.group import _of_seeds
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import Suite, load_suite
from benchmarks.workflow.plan import Job, Plan
from benchmarks.workflow.plan_from_suite import build_plan
from scenebench.errors import UserError

START = {"label": "moco start", "recipe": "moco_demo", "seeds": [0, 1], "seconds": 50}
FORK = {"label": "mls", "recipe": "mls_demo", "seeds": [0, 1], "init_from": "moco start", "seconds": 20}
ON = {"label": "moco on", "recipe": "moco_demo", "seeds": [1], "init_from": "moco start"}


def suite_of(folder: Path, *rows: dict[str, Any], **changes: Any) -> Suite:
    content = {
        "data": {"images": 12, "size": 32, "seed": 1},
        "backbones": list(rows) or [START, FORK, ON],
        "protocols": [{"protocol": "multilabel_knn", "seconds": 5}],
        **changes,
    }
    (folder / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_suite(folder / "mine.yaml")


def plan_of(folder: Path, *rows: dict[str, Any], **changes: Any) -> Plan:
    suite = suite_of(folder, *rows, **changes)
    return build_plan(suite, scenes_source(suite.data))


def pretraining(plan: Plan, label: str, seed: int) -> Job:
    (job,) = (
        job for job in plan.jobs if job.kind == "pretrain" and job.label.startswith(f"pretrain {label}, seed {seed}")
    )
    return job


def test_a_fork_waits_for_the_run_of_its_seed_which_runs_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert sum(job.kind == "pretrain" for job in plan.jobs) == 5
    for label, seed in (("mls", 0), ("mls", 1), ("moco on", 1)):
        start, fork = pretraining(plan, "moco start", seed), pretraining(plan, label, seed)
        assert fork.inputs == [*start.inputs, f"{start.id}/backbone.safetensors"]
        assert f"init_from={start.id}" in fork.command
        assert fork.label == f"pretrain {label}, seed {seed}, from moco start"
    assert pretraining(plan, "moco start", 0).priority == 50 + 20 + 5  # the longest chain goes first


def test_the_identity_of_a_fork_has_that_of_its_start_in_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    alone = plan_of(tmp_path, {**START, "seeds": [0, 1]}, {**FORK, "init_from": ""})
    assert pretraining(plan, "mls", 0).id != pretraining(alone, "mls", 0).id
    assert pretraining(plan, "moco start", 0).id == pretraining(alone, "moco start", 0).id
    longer = plan_of(tmp_path, {**START, "overrides": ["schedule.epochs=9"]}, FORK, ON)
    gone = {job.id for job in plan.jobs} - {job.id for job in longer.jobs}
    assert {job.kind for job in plan.jobs if job.id not in gone} == {"data"}, "all depends on the start"
    renamed = plan_of(
        tmp_path, {**START, "label": "another name"}, {**FORK, "init_from": "another name"},
        {**ON, "init_from": "another name"},
    )  # fmt: skip
    assert {job.id for job in renamed.jobs if job.kind == "pretrain"} == {
        job.id for job in plan.jobs if job.kind == "pretrain"
    }


def test_a_suite_without_forks_says_what_it_always_said(tmp_path: Path) -> None:
    rows = suite_of(tmp_path, START, {**FORK, "init_from": ""}).resolved["backbones"]
    assert all("init_from" not in row for row in rows)
    assert suite_of(tmp_path).resolved["backbones"][1]["init_from"] == "moco start"


def test_a_sweep_forks_and_forks_are_forked(tmp_path: Path) -> None:
    swept = {**FORK, "label": "k {mls.k}", "sweep": {"mls.k": [1, 5]}}
    plan = plan_of(tmp_path, START, swept, {**ON, "label": "third", "init_from": "k 5", "recipe": "mls_demo"})
    start = pretraining(plan, "moco start", 1)
    assert all(start.outputs[0] in pretraining(plan, f"k {k}", 1).inputs for k in (1, 5))
    assert pretraining(plan, "k 5", 1).outputs[0] in pretraining(plan, "third", 1).inputs


def test_what_is_missing_runs_and_nothing_else(tmp_path: Path) -> None:
    plan, out = plan_of(tmp_path), tmp_path / "out"
    for job in plan.jobs:
        for output in job.outputs:
            (out / output).parent.mkdir(parents=True)
            (out / output).touch()
    fork, start = pretraining(plan, "mls", 0), pretraining(plan, "moco start", 0)
    (out / start.outputs[0]).unlink()
    assert plan.unfinished(out) == [], "its forks are done"
    (out / fork.outputs[0]).unlink()
    record = next(job for job in plan.jobs if fork.outputs[0] in job.inputs)
    (out / record.outputs[0]).unlink()
    assert {job.id for job in plan.unfinished(out)} == {start.id, fork.id, record.id}


def test_seeds_of_a_size_keep_what_forks_start_from(tmp_path: Path) -> None:
    fork = {**FORK, "seeds": [1]}  # keeps its first where none is asked for
    kept = {row.label: row.seeds for row in _of_seeds(suite_of(tmp_path, START, fork), [0]).backbones}
    assert kept == {"moco start": [0, 1], "mls": [1]}
    assert [row.seeds for row in _of_seeds(suite_of(tmp_path), [1]).backbones] == [[1], [1], [1]]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([START, {**FORK, "init_from": "moco strat"}], r"init_from: no backbone is called 'moco strat' \(did you mean"),
        ([START, {**FORK, "seeds": [0, 2]}], r"'mls': init_from: 'moco start' has no seed 2, only \[0, 1\]; give both"),
        ([{**FORK, "init_from": "mls"}], "'mls': init_from: a circle: mls starts from mls"),
        (
            [{**START, "init_from": "mls"}, FORK],
            "'moco start': init_from: a circle: moco start starts from mls starts from moco start",
        ),
        (
            [{"label": "random", "recipe": "random_demo"}, {**FORK, "seeds": [0], "init_from": "random"}],
            "'mls': init_from: 'random' trains nothing",
        ),
        ([START, {**FORK, "recipe": "random_demo"}], "'mls': init_from: 'mls' trains nothing"),
        ([START, {**FORK, "overrides": ["init_from=elsewhere"]}], "'mls': the recipe's init_from names weights"),
        ([{**START, "overrides": ["init_from=elsewhere"]}], "'moco start': the recipe's init_from names weights"),
        ([START, {**FORK, "sweep": {"init_from": ["a", "b"]}}], "'init_from' is no key to sweep; it is set by"),
        ([START, {**FORK, "init_form": "x"}], r"unknown key 'init_form' \(did you mean 'init_from'\?\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        plan_of(tmp_path, *rows)
    assert "\n" not in str(caught.value)


def test_weights_that_are_known_by_their_hash_may_be_a_start(tmp_path: Path) -> None:
    ids = [
        pretraining(
            plan_of(tmp_path, {**START, "overrides": [f"init_from={path}", f"init_hash='{content}'"]}), "moco start", 0
        ).id
        for path, content in (("a", "aa"), ("b", "aa"), ("a", "bb"))
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.slow
def test_a_suite_with_a_fork_runs_and_goes_on(tmp_path: Path) -> None:
    tiny = [
        "network.stem_width=8", "schedule.epochs=1", "schedule.batch_size=4", "views.crop_size=32",
        "network.projector.output_dim=8",
    ]  # fmt: skip
    rows = [
        {**START, "seeds": [0], "overrides": [*tiny, "moco.queue_size=16"]},
        {**FORK, "seeds": [0], "overrides": [*tiny, "mls.dictionary_size=16", "mls.k=2", "mls.queue_init=keys"]},
    ]
    suite_of(tmp_path, *rows, data={"images": 20, "size": 32, "seed": 1})

    def run(*more: str) -> str:
        command = [sys.executable, "-m", "scenebench", "run", "mine.yaml", "--out", "out", *more]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    assert "to do" in run("--plan")
    assert "pretrain mls, seed 0, from moco start" in run("--plan")
    run()
    (log,) = (tmp_path / "out/logs/pretrain").glob("mls_demo*.log")
    assert "starts from cells/pretrain/moco_demo-s0-" in log.read_text()
    records = [json.loads(path.read_text()) for path in (tmp_path / "out/cells/evaluate").glob("*/record.json")]
    assert {record["backbone"]["label"] for record in records} == {"moco start", "mls"}
    (fork,) = (tmp_path / "out/cells/pretrain").glob("mls_demo*/backbone.safetensors")
    fork.unlink()
    run()  # the records are there: nothing that is still needed
    assert not fork.exists()
