"""The boards of size mini and those of photographs: one data set, one start of all forks, controls in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.datasets.scenes import TIES
from benchmarks.suites.group import load_suites
from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import SUITES, Suite, load_suite
from benchmarks.workflow.plan import Plan
from benchmarks.workflow.plan_from_suite import build_plan

SAME_SCENES = ("mini", "mls_claim", "mls_tables", "saliency_claim")
BOARDS = (*SAME_SCENES, "mini_shape", "photos", "photos_claims")


def test_the_strengths_of_the_cues_stand_in_one_line_that_all_share() -> None:
    lines = {
        name: [line for line in (SUITES / f"{name}.yaml").read_text().splitlines() if line.startswith("data: ")]
        for name in (*SAME_SCENES, "mini_search")
    }
    assert all(len(found) == 1 for found in lines.values())
    assert {found[0].replace("seed: 11", "seed: 7") for found in lines.values()} == set(lines["mini"])
    assert all(key in lines["mini"][0] for key in (*TIES, "tail", "scale_min", "scale_max"))
    assert load_suite("mini").data.version == 2


def test_shape_alone_has_no_cue_but_shape() -> None:
    shape, mini = load_suite("mini_shape").data, load_suite("mini").data
    assert all(getattr(shape, key) == 0 for key in TIES)
    assert (shape.images, shape.seed, shape.tail, shape.scale_max) == (10_000, 7, mini.tail, mini.scale_max)


@pytest.mark.parametrize("name", BOARDS)
def test_each_board_has_controls_and_paired_seeds(name: str) -> None:
    suite = load_suite(name)
    assert suite.controls is not None
    assert (suite.controls.negative, suite.controls.positive) == ("random", "supervised")
    seeds = {tuple(row.seeds) for row in suite.backbones}
    assert seeds == {(0, 1, 2) if name in ("mini_shape", "mls_tables") else (0, 1, 2, 3, 4)}
    for row in suite.backbones:
        assert row.recipe == "random_demo" or "run.precision=bf16" in row.overrides
        assert bool(row.init_from) == ("optimiser.lr=0.001" in row.overrides), "forks go on at half the rate"


def test_mini_asks_for_what_was_stated_beforehand() -> None:
    controls = load_suite("mini").controls
    assert controls is not None
    for protocol, metric, points in (
        ("multilabel_linear", "mAP", 15),
        ("region_knn", "object_acc", 20),
        ("region_linear", "object_acc", 20),
    ):
        least = controls.threshold(protocol, metric)
        assert (least.spreads, least.points) == (8, points)


def plan_of(suite: Suite) -> Plan:
    return build_plan(suite, scenes_source(suite.data), shared=True)


def pretrainings(plan: Plan, *words: str) -> set[str]:
    return {job.id for job in plan.jobs if job.kind == "pretrain" and all(word in job.label for word in words)}


def test_all_forks_of_the_claims_start_from_the_same_weights_which_are_minis_own() -> None:
    plans = {suite.name: plan_of(suite) for suite in load_suites("claims")}
    assert set(plans) == set(SAME_SCENES)
    own = pretrainings(plans["mini"], "moco, seed")
    assert len(own) == 5
    for name in ("mls_claim", "mls_tables", "saliency_claim"):
        assert pretrainings(plans[name], "moco start, seed") <= own
        assert pretrainings(plans[name], "supervised") <= pretrainings(plans["mini"], "supervised")
    moco_on = [pretrainings(plans[name], "moco on, seed 2") for name in ("mls_claim", "mls_tables", "saliency_claim")]
    assert moco_on[0] == moco_on[1] == moco_on[2] != set()
    assert pretrainings(plans["mls_tables"], "loss bce, seed 1") == pretrainings(
        plans["mls_claim"], "mls as printed, seed 1"
    )


def test_suites_of_version_1_are_gone() -> None:
    for path in Path(SUITES).glob("*.yaml"):
        assert "version: 1" not in path.read_text()
