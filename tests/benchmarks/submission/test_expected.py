"""Files of expected values: written from records, read back, held against records, and every slip in one named."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_records import PROTOCOLS, SOURCE, board_record

from benchmarks.submission.expected import (
    LEAST_TOLERANCE,
    Expected,
    ExpectedValue,
    read_expected,
    require_of,
    shortfalls,
    write_expected,
)
from scenebench.errors import UserError

GOOD = "suite: smoke\nsize: smoke\nvalues:\n- {protocol: multilabel_knn, metric: mAP, value: 31, tolerance: 1}\n"


def expected(value: float, tolerance: float, metric: str = "mAP", protocol: str = "multilabel_knn") -> Expected:
    return Expected("smoke", "smoke", "", [ExpectedValue(protocol, metric, value, tolerance)])


def check(path: Path, text: str) -> Expected:
    path.write_text(text)
    found = read_expected(path)
    require_of(found, path, "smoke", "smoke", SOURCE.identity, list(PROTOCOLS.values()))
    return found


def test_a_value_holds_at_its_tolerance_and_not_below() -> None:
    records = [board_record(seed=0, value=30.0), board_record(seed=1, value=31.0)]  # mean 30.5
    assert shortfalls(expected(31.5, 1.0), records) == []
    (line,) = shortfalls(expected(31.6, 1.0), records)
    assert line == "multilabel_knn mAP: 30.50 over 2 seeds, expected at least 30.60 (31.6 - 1)"
    assert "not measured" in shortfalls(expected(1, 1, "mIoU", "fcn_demo"), records)[0]
    undefined = [board_record(metrics={"mAP": None})]
    assert "undefined" in shortfalls(expected(0, 0), undefined)[0]


def test_what_is_written_holds_for_the_records_it_is_from(tmp_path: Path) -> None:
    records = [
        board_record(seed=0, value=30.0),
        board_record(seed=1, value=34.0),
        board_record(protocol="fcn_demo", metrics={"mIoU": 5.0, "mAcc": None, "aAcc": 40.0}),
    ]
    path = tmp_path / "expected.yaml"
    assert write_expected(path, "smoke", "smoke", SOURCE.identity, records) == 3  # an undefined one is not expected
    found = check(path, path.read_text())
    assert shortfalls(found, records) == []
    assert found.values[0].value == 32.0
    assert found.values[0].tolerance == pytest.approx(2 * 8**0.5, abs=1e-3)
    assert found.values[1].tolerance == LEAST_TOLERANCE
    worse = [record.model_copy(update={"metrics": {"mAP": 20.0}}) for record in records[:2]]
    assert len(shortfalls(found, [*worse, records[2]])) == 1
    with pytest.raises(UserError, match="nothing was measured"):
        write_expected(path, "smoke", "smoke", "", [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("suite: smoke", "suite: demo"), "of suite 'demo', and this is suite 'smoke'"),
        (("suite: smoke\n", ""), "'suite' is missing"),
        (("size: smoke", "size: paper"), "of size 'paper'"),
        (("size: smoke", "data: ffff"), "of other data"),
        (("multilabel_knn", "multilabel_kn"), "did you mean 'multilabel_knn'"),
        (("mAP", "mAPP"), "did you mean 'mAP'"),
        (("value: 31", "value: high"), r"values\[0\]"),
        (("value: 31", "value: .nan"), r"values\[0\]: value: nan"),
        (("value: 31", "vallue: 31"), "'value' is missing"),
        (("tolerance: 1", "tolerance: -1"), r"values\[0\]: tolerance: -1"),
        (("tolerance: 1", "tolerance: 1, hash: abcd"), "another version of protocol"),
        (("tolerance: 1", "tolerance: 1, hsh: abcd"), "did you mean 'hash'"),
        (("values:", "valus:"), "did you mean 'values'"),
        (("- {", "- x\n- {"), r"values\[0\]: expected a mapping"),
    ],
)
def test_slips_are_named(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    check(tmp_path / "good.yaml", GOOD)
    with pytest.raises(UserError, match=message):
        check(tmp_path / "bad.yaml", GOOD.replace(*change))


def test_an_empty_file_or_a_cell_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'values' is empty"):
        check(tmp_path / "a.yaml", "suite: smoke\n")
    with pytest.raises(UserError, match="multilabel_knn mAP is given twice"):
        check(tmp_path / "b.yaml", GOOD + GOOD.splitlines()[-1] + "\n")
    with pytest.raises(UserError, match="none"):
        read_expected(tmp_path / "none.yaml")
