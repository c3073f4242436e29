"""A suite states its controls and thresholds; what does not fit is one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.suites.controls import Threshold, stated_controls
from benchmarks.suites.suite import Suite, load_suite
from scenebench.config import config_hash
from scenebench.errors import UserError


def suite_with(folder: Path, controls: object = None, **more: object) -> Suite:
    content = {
        "backbones": [
            {"recipe": "random_demo", "label": "random"},
            {"recipe": "supervised_demo", "label": "supervised", "labels": True},
        ],
        "protocols": [{"protocol": "multilabel_linear"}, {"protocol": "fcn_demo"}],
        **({} if controls is None else {"controls": controls}),
        **more,
    }
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_suite(path)


GOOD = {"negative": "random", "positive": "supervised"}


def test_thresholds_by_column(tmp_path: Path) -> None:
    named = {"multilabel_linear.mAP": 8, "fcn_demo.mIoU": {"points": 5}}
    controls = suite_with(tmp_path, {**GOOD, "spreads": 4, "range": named}).controls
    assert controls is not None
    assert controls.threshold("multilabel_linear", "mAP") == Threshold(8.0, 0.0)
    assert controls.threshold("fcn_demo", "mIoU") == Threshold(4.0, 5.0)
    assert controls.threshold("fcn_demo", "mAcc") == Threshold(4.0, 0.0)


def test_what_a_record_states_is_read_back(tmp_path: Path) -> None:
    suite = suite_with(tmp_path, {**GOOD, "range": {"multilabel_linear.mAP": 8}})
    assert stated_controls(suite.resolved) == suite.controls
    assert stated_controls({}) is None
    for hostile in ("random", {"negative": 1}, {"negative": "a", "positive": "b", "range": {"x": "y"}}, ["random"]):
        assert stated_controls({"controls": hostile}) is None


def test_a_suite_without_controls_is_the_suite_that_it_was(tmp_path: Path) -> None:
    plain = suite_with(tmp_path).resolved
    assert not {"controls", "user_data_order"} & set(plain)
    assert config_hash(plain) != config_hash(suite_with(tmp_path, GOOD).resolved)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({"negative": "random", "positive": "supervisd"}, "positive.*'supervisd'.*did you mean 'supervised'"),
        ({"negative": "random"}, "'positive' is missing"),
        ({"negative": "random", "positive": "random"}, "both the negative and the positive"),
        ({**GOOD, "range": {"multilabel_linear.mAp": 8}}, "no column 'multilabel_linear.mAp'.*'multilabel_linear.mAP'"),
        ({**GOOD, "range": {"multilabel_linear.mAP": "much"}}, "multilabel_linear.mAP: 'much' is neither"),
        ({**GOOD, "range": {"multilabel_linear.mAP": {"spread": 8}}}, "spread.*did you mean.*spreads"),
        ({**GOOD, "range": {"multilabel_linear.mAP": -1}}, "spreads: -1 is not a number of at least 0"),
        ({**GOOD, "spreads": -2}, "spreads: -2 is not a number of at least 0"),
        ({**GOOD, "spread": 2}, "spread.*did you mean.*spreads"),
        ({**GOOD, "spreads": "x"}, "spreads"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, controls: object, message: str) -> None:
    with pytest.raises(UserError, match=f"own.yaml: controls.*{message}") as caught:
        suite_with(tmp_path, controls)
    assert "\n" not in str(caught.value)


def test_an_order_names_protocols_of_the_suite(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="user_data_order.*'fcn_dem'.*did you mean 'fcn_demo'"):
        suite_with(tmp_path, user_data_order=["fcn_dem"])
