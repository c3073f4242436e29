from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.published.values import (
    NOTES_FILE,
    PUBLISHED,
    PublishedValue,
    read_published,
)
from scenebench.errors import UserError


@pytest.fixture(scope="module")
def values() -> list[PublishedValue]:
    return read_published()


def find(values: list[PublishedValue], **wanted: object) -> list[PublishedValue]:
    return [value for value in values if all(getattr(value, key) == want for key, want in wanted.items())]


def test_the_papers_numbers_are_there(values: list[PublishedValue]) -> None:
    mls = find(values, table="table1", method="MLS", pretrain_epochs=800)
    assert {v.metric: v.value for v in mls} == {
        "box_AP": 40.5,
        "box_AP50": 60.7,
        "box_AP75": 44.5,
        "mask_AP": 36.5,
        "mask_AP50": 57.7,
        "mask_AP75": 39.1,
    }
    (dictionary,) = find(values, table="figure5a", method="MLS D=8192")
    assert dictionary.value == 39.8
    (psp,) = find(values, table="table3", method="MLS", protocol="pspnet_r50_d8_40k", metric="mIoU")
    assert (psp.value, psp.pretrain_epochs) == (78.5, None)
    assert len(values) == 255 + 19
    assert values[0].table == "table1", "the paper before the context"


def test_no_value_is_given_twice(values: list[PublishedValue]) -> None:
    keys = [(v.table, v.task, v.protocol, v.method, v.pretrain_data, v.pretrain_epochs, v.metric) for v in values]
    assert len(set(keys)) == len(keys)


def test_origins_say_who_ran_it(values: list[PublishedValue]) -> None:
    assert {v.origin for v in find(values, method="MLS")} == {"own"}
    assert {v.origin for v in find(values, table="table1", method="SoCo")} == {"reproduced"}
    assert {v.origin for v in find(values, table="table1", method="ORL")} == {"copied"}
    assert {v.origin for v in find(values, table="table3", method="DenseCL")} == {"unknown"}
    assert all(v.source and v.origin_basis for v in values)


def test_anomalies_travel_with_the_values(values: list[PublishedValue]) -> None:
    (indoor,) = find(values, method="Supervised", task="indoor67_finetune")
    assert "columns probably permuted" in indoor.notes[0]
    (flowers,) = find(values, method="Supervised", task="flowers102_finetune")
    assert flowers.notes == ()
    (mask,) = find(values, table="table6", method="MoCo-v2", metric="mask_AP")
    assert any("misprint" in note for note in mask.notes)
    (box,) = find(values, table="table6", method="MoCo-v2", metric="box_AP")
    assert not any("misprint" in note for note in box.notes)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("mls.csv", "box_AP,38.9", "box_AP,n/a", r"mls.csv:2: could not convert"),
        ("mls.csv", ",own,", ",ours,", r"origin: unknown value 'ours'"),
        ("mls.csv", "origin_basis", "basis", r"mls.csv:2: expected the columns"),
        ("mls.csv", "box_AP,38.9", "box_AP,nan", r"mls.csv:2: value nan is no number"),
        (NOTES_FILE, "table4,,", "table44,,", r"concerns no value"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    folder = shutil.copytree(PUBLISHED, tmp_path / "published")
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        read_published(folder)
