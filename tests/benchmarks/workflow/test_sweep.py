from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.suites.source import scenes_source
from benchmarks.suites.suite import SUITES, load_suite, suite_names
from benchmarks.suites.sweep import MAX_ROWS, expand
from benchmarks.workflow.plan import Job, Plan
from benchmarks.workflow.plan_from_suite import build_plan
from scenebench.config import parse_overrides
from scenebench.errors import UserError

RANDOM = {"label": "random", "recipe": "random_demo"}


def load(folder: Path, *rows: dict[str, Any], **changes: Any) -> Any:
    path = folder / "mine.yaml"
    content = {
        "data": {"images": 12, "size": 32, "seed": 1},
        "backbones": [RANDOM, *rows],
        "protocols": [{"protocol": "multilabel_knn"}],
        **changes,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_suite(path)


def plan_for(folder: Path, *rows: dict[str, Any], **changes: Any) -> Plan:
    suite = load(folder, *rows, **changes)
    return build_plan(suite, scenes_source(suite.data))


def pretrainings(plan: Plan) -> list[Job]:
    return [job for job in plan.jobs if job.kind == "pretrain"]


def mls(label: str = "k {mls.k}", **changes: Any) -> dict[str, Any]:
    return {"label": label, "recipe": "mls_demo", "sweep": {"mls.k": [1, 5]}, **changes}


def test_the_expansion_is_the_product_in_the_order_written() -> None:
    rows = expand({"mls.loss": ["infonce", "bce"], "mls.k": [5, 1]}, "{mls.loss}, k {mls.k}", "here")
    assert [(row.label, row.overrides) for row in rows] == [
        ("infonce, k 5", ["mls.loss=infonce", "mls.k=5"]),
        ("infonce, k 1", ["mls.loss=infonce", "mls.k=1"]),
        ("bce, k 5", ["mls.loss=bce", "mls.k=5"]),
        ("bce, k 1", ["mls.loss=bce", "mls.k=1"]),
    ]


def test_a_label_without_a_placeholder_has_the_values_appended() -> None:
    rows = expand({"mls.loss": ["bce"], "mls.k": [5, 1]}, "mls", "here")
    assert [row.label for row in rows] == ["mls bce, 5", "mls bce, 1"]


@pytest.mark.parametrize("value", ["bce", "1", "true", "null", "1e-4", "a: b", 3, 0.5, 1e-05, True, None, [0.05, 0.25]])
def test_an_override_reads_every_value_back(value: Any) -> None:
    (row,) = expand({"a.b": [value]}, "x", "here")
    read = parse_overrides(row.overrides)["a"]["b"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("sweep", "label", "message"),
    [
        ({"mls.k": []}, "k", r"sweep: 'mls.k' needs a list of one or more values, found \[\]"),
        ({"mls.k": 5}, "k", "sweep: 'mls.k' needs a list of one or more values, found 5"),
        ({"mls.k": [1, 5, 1]}, "k", "sweep: 'mls.k' has the value 1 twice; remove one"),
        ({"mls.k": [1, 1.0]}, "k", "sweep: 'mls.k' has the value 1.0 twice"),
        ({"mls.k": [{"a": 1}]}, "k", "sweep: 'mls.k': .* is not a number, a text, or a list of them"),
        ({"mls.k": [1, 5]}, "k {msl.k}", r"label: '\{msl.k\}' names no swept key \(did you mean 'mls.k'\?\)"),
        ({"mls.k": [1, 5], "mls.loss": ["bce", "infonce"]}, "k {mls.k}", "label: 'k 1' comes out twice"),
        ({"mls.k": list(range(11)), "mls.loss_weight": list(range(10))}, "x", "sweep: makes 110 rows; at most 100"),
        ({"seed": [0, 1]}, "x", "sweep: 'seed' is no key to sweep; it is set by seeds"),
        ({"data.root": ["a"]}, "x", "sweep: 'data.root' is no key to sweep"),
    ],
)
def test_a_bad_sweep_names_file_and_row(tmp_path: Path, sweep: dict[str, Any], label: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^mine\.yaml: backbones\[1\]: {message}"):
        load(tmp_path, {"label": label, "recipe": "mls_demo", "sweep": sweep})


def test_the_largest_sweep_is_allowed() -> None:
    assert len(expand({"mls.k": list(range(MAX_ROWS))}, "k", "here")) == MAX_ROWS


@pytest.mark.parametrize("key", ["overrides", "user_data_overrides"])
def test_a_swept_key_has_no_other_value(tmp_path: Path, key: str) -> None:
    with pytest.raises(UserError, match=r"backbones\[1\]: sweep: 'mls.k' is also given as the override 'mls.k=3'"):
        load(tmp_path, mls(**{key: ["mls.k=3"]}))


def test_two_rows_of_one_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the label 'k 5' is given twice"):
        load(tmp_path, mls(), {"label": "k 5", "recipe": "mls_demo"})


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"mls.kk": [1]}, r"unknown key 'mls.kk' \(did you mean 'k'\?\)"),
        ({"mls.loss": ["bec"]}, r"mls.loss: unknown value 'bec' \(did you mean 'bce'\?\)"),
        ({"mls.k": [5, "five"]}, "'five' of type 'str' could not be converted to Integer at 'mls.k'"),
        ({"mls.dictionary_size": [1024, 1000]}, "mls.dictionary_size: 1000 is not a multiple of .* 32; use 992"),
    ],
)
def test_a_wrong_key_or_value_fails_when_the_suite_is_planned(
    tmp_path: Path, sweep: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plan_for(tmp_path, mls("x", sweep=sweep))


def test_rows_share_all_else_and_equal_recipes_share_one_pretraining(tmp_path: Path) -> None:
    base = {"label": "mls", "recipe": "mls_demo", "seeds": [3, 4]}  # its k is 5
    plan = plan_for(tmp_path, base, mls(seeds=[3, 4], seconds=7, overrides=["mls.loss_weight=0.5"]), baseline="k 5")
    assert plan.rows == ["random", "mls", "k 1", "k 5"]
    assert plan.baseline == "k 5"
    # random once; k 1 and k 5 twice each, and 'mls' is 'k 5'
    assert len(pretrainings(plan)) == 1 + 2 + 2
    swept = [job for job in pretrainings(plan) if "mls.k=1" in job.command]
    assert [job.seconds for job in swept] == [7, 7]
    assert [job.label for job in swept] == ["pretrain k 1, seed 3", "pretrain k 1, seed 4"]
    judged = Counter(job.cell["label"] for job in plan.jobs if job.cell)
    assert judged == {"random": 1, "mls": 2, "k 1": 2, "k 5": 2}
    inputs = {job.cell["label"]: job.inputs for job in plan.jobs if job.cell and job.cell["seed"] == 3}
    assert inputs["mls"] == inputs["k 5"] != inputs["k 1"]


def test_the_first_row_of_a_sweep_may_be_the_baseline(tmp_path: Path) -> None:
    assert load(tmp_path, backbones=[mls()]).baseline == "k 1"


@pytest.mark.parametrize(
    "row",
    [
        {"label": "bound", "recipe": "supervised_demo"},
        {"label": "bound", "recipe": "saliency_demo", "overrides": ["saliency.source=mask"]},
    ],
)
def test_a_recipe_that_learns_from_labels_needs_the_row_to_say_so(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"backbone 'bound': the recipe learns from labels.*add 'labels: true'"):
        plan_for(tmp_path, row)
    plan = plan_for(tmp_path, {**row, "labels": True})
    data = next(job for job in plan.jobs if job.kind == "data")
    random, bound = pretrainings(plan)
    assert f"data.annotations={data.id}/annotations/instances_train.json" in bound.command
    assert not any("annotations" in word for word in random.command)


def test_labels_that_nothing_reads_make_no_other_pretraining(tmp_path: Path) -> None:
    row = {"recipe": "mls_demo"}
    plan = plan_for(tmp_path, {**row, "label": "with", "labels": True}, {**row, "label": "without"})
    assert len(pretrainings(plan)) == 2


def _plan_of(name: str) -> Plan:
    suite = load_suite(name)
    return build_plan(suite, scenes_source(suite.data))


@pytest.mark.parametrize(
    ("name", "rows", "pretrained"),
    [
        ("mls_table6_demo", ["random", "infonce", "knn_softmax", "bce_positives", "bce"], 5),
        ("mls_table7_demo", ["random", "moco", "g_only", "z_only", "paired"], 5),
        ("mls_table8_demo", ["random", "moco", "k 1", "k 2", "k 5", "k 10"], 6),
        ("mls_fig5a_demo", ["random", "moco", *(f"D {2**power}" for power in range(8, 14))], 8),
        ("mls_fig5b_demo", ["random", "moco", *(f"lambda {value}" for value in (0.1, 0.2, 0.5, 1.0, 2.0))], 7),
    ],
)
def test_the_papers_suites_have_the_papers_rows(name: str, rows: list[str], pretrained: int) -> None:
    plan = _plan_of(name)
    assert plan.rows == [*rows, "scene-type oracle", "colour-histogram probe"]
    assert len(pretrainings(plan)) == 3 * pretrained
    assert plan.protocols == ["multilabel_knn", "multilabel_linear"]


def test_the_saliency_grid_is_that_of_the_fact_sheet_and_pretrains_equal_rows_once() -> None:
    plan = _plan_of("saliency_ablation_demo")
    assert plan.baseline == "random crops, beta 0"
    parts = Counter(label.split()[0] for label in plan.rows if label not in ("random", "moco"))
    assert parts == {
        "random": 2,
        "saliency": 2,
        "source": 4,
        "gamma": 4,
        "beta": 4,
        "K": 3,
        "refresh": 3,
        "scene-type": 1,
        "colour-histogram": 1,
    }
    inputs = {job.cell["label"]: job.inputs for job in plan.jobs if job.cell and job.cell["seed"] == 0}
    for label in ("gamma 2", "beta 1", "refresh 0.4"):
        assert inputs[label] == inputs["saliency crops, beta 1"]
    for label in ("beta 0", "K 2, beta 0"):
        assert inputs[label] == inputs["saliency crops, beta 0"]
    assert len(pretrainings(plan)) == 3 * 19


def test_every_suite_says_how_it_is_run() -> None:
    for name in suite_names():
        text = (SUITES / f"{name}.yaml").read_text()
        assert text.startswith("# ")
        if name != "smoke":
            assert f"#   scenebench run {name} --" in text
            assert f" --out results/{name}" in text
