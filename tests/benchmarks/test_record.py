import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.record import (
    BackbonePart,
    DatasetPart,
    EnvironmentPart,
    ProtocolPart,
    Record,
    read_record,
    write_record,
)
from scenebench.errors import UserError


def make_record(**changes: object) -> Record:
    content: dict[str, object] = {
        "seed": 1,
        "protocol": ProtocolPart(id="p", version=1, task="detection", hash="0" * 16, resolved={"id": "p"}),
        "backbone": BackbonePart(label="mls", method="mls", origin="own", architecture="resnet18w16", sha256="ab"),
        "dataset": DatasetPart(
            name="scenes",
            fingerprint="f" * 16,
            train_split="train",
            test_split="test",
            train_images=3,
            test_images=2,
            categories=1,
        ),
        "metrics": {"box_AP": 0.1 + 0.2, "mask_AP": None},
        "per_class": {"disc": {"box_AP": 1 / 3}},
        "started": "2026-01-01T00:00:00+00:00",
        "wall_seconds": 1.5,
        "peak_memory_mb": 100.0,
        "environment": EnvironmentPart(packages={}, python="3.11", platform="x", processor="y", threads=1),
    }
    return Record(**content | changes)


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    written = write_record(tmp_path / "record.json", make_record(notes=["zwölf"]))
    read = read_record(tmp_path / "record.json")
    assert read == written
    assert read.metrics == {"box_AP": 0.1 + 0.2, "mask_AP": None}
    assert len(read.content_hash) == 64


def test_the_hash_depends_on_the_content_alone() -> None:
    assert make_record().computed_hash() == make_record(content_hash="x").computed_hash()
    assert make_record().computed_hash() != make_record(seed=2).computed_hash()


@pytest.mark.parametrize("key", ["seed", "label", "metric"])
def test_a_record_edited_by_hand_is_refused_by_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "edited.json"
    write_record(path, make_record())
    content = json.loads(path.read_text())
    if key == "seed":
        content["seed"] = 2
    elif key == "label":
        content["backbone"]["label"] = "ours"
    else:
        content["metrics"]["box_AP"] = 99.0
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"edited\.json.*edited by hand"):
        read_record(path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_undefined_metric_cannot_be_stored_as_nan(value: float) -> None:
    with pytest.raises(ValidationError, match="box_AP"):
        make_record(metrics={"box_AP": value})


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    write_record(path, make_record())
    content = json.loads(path.read_text()) | {"schema_version": 99}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"old\.json: record schema 99"):
        read_record(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "\x00"])
def test_what_is_no_record_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"odd\.json"):
        read_record(path)


def test_missing_and_unknown_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, make_record())
    content = json.loads(path.read_text())
    del content["dataset"]["fingerprint"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"dataset\.fingerprint"):
        read_record(path)
    with pytest.raises(UserError, match=r"missing\.json"):
        read_record(tmp_path / "missing.json")
