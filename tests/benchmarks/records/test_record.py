import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.records.adding import admit_all
from benchmarks.records.collect import collect
from benchmarks.records.json_schema import schema_text
from benchmarks.records.record import (
    SCHEMA_FILE,
    SCHEMA_VERSION,
    BackbonePart,
    DatasetPart,
    EnvironmentPart,
    JudgedPart,
    ProtocolPart,
    Record,
    read_record,
    write_record,
)
from benchmarks.records.versions import MIGRATIONS, content_hash_of
from benchmarks.report.run_report import write_tables
from benchmarks.report.suite_table import make_tables
from scenebench.config import config_hash
from scenebench.errors import UserError

RECORDS = Path(__file__).with_name("schema_1.jsonl")
"""Ten records as the first version of the schema kept them."""


def make_record(**changes: object) -> Record:
    content: dict[str, object] = {
        "seed": 1,
        "protocol": ProtocolPart(
            id="p", version=1, task="detection", hash=config_hash({"id": "p"}), resolved={"id": "p"}
        ),
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


def test_the_committed_schema_is_that_of_the_code_and_records_follow_it() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run scenebench records schema"
    schema = json.loads(schema_text())
    written = make_record().model_dump(mode="json")
    assert set(written) == set(schema["properties"])
    assert set(schema["required"]) <= set(written)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_what_was_judged_is_counted() -> None:
    assert make_record().judged == JudgedPart(images=2, instances=None, runs=1)
    counted = JudgedPart(images=2, instances=7, runs=3)
    assert make_record(judged=counted).judged == counted
    with pytest.raises(ValidationError, match="runs"):
        JudgedPart(images=2, runs=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite_resolved": {"name": "s"}, "suite_hash": "0" * 16}, "suite_hash '0000000000000000' does not name"),
        ({"wall_seconds": -1.0}, "wall_seconds"),
        ({"per_class": {"disc": {"box_AP": math.nan}}}, "class disc: metric box_AP is nan"),
        (
            {"protocol": ProtocolPart(id="p", version=1, task="detection", hash="1" * 16, resolved={"id": "p"})},
            "protocol.hash",
        ),
    ],
)
def test_an_impossible_record_is_not_written(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    unchecked = make_record().model_copy(update=changes)
    with pytest.raises(UserError, match=message):
        write_record(tmp_path / "r.json", unchecked)
    assert list(tmp_path.iterdir()) == []


def test_a_resealed_record_with_another_recipe_is_refused(tmp_path: Path) -> None:
    """Whoever edits a recipe and computes the content hash anew still meets the recipe's own hash."""
    path = tmp_path / "r.json"
    recipe = {"mls": {"k": 20}}
    backbone = make_record().backbone.model_copy(update={"recipe": recipe, "recipe_hash": config_hash(recipe)})
    write_record(path, make_record(backbone=backbone))
    content = json.loads(path.read_text())
    content["backbone"]["recipe"]["mls"]["k"] = 5
    content["content_hash"] = content_hash_of(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"r\.json.*backbone\.recipe_hash"):
        read_record(path)


def test_the_records_of_version_1_read_and_lose_nothing() -> None:
    kept = admit_all(RECORDS)
    assert len(kept) == 10
    for one in kept:
        old, record = one.content, one.record
        assert (old["schema_version"], record.schema_version) == (1, SCHEMA_VERSION)
        assert record.migrated_from == old["content_hash"]
        assert record.content_hash == record.computed_hash()
        assert record.judged == JudgedPart(images=old["dataset"]["test_images"])
        new = record.model_dump(mode="json")
        for part in ("protocol", "dataset", "metrics", "per_class", "notes", "seed", "suite", "size", "started"):
            assert new[part] == old[part]
        for part in ("backbone", "environment"):
            assert new[part] | old[part] == new[part]


def test_a_migrated_record_can_be_written_and_read(tmp_path: Path) -> None:
    record = admit_all(RECORDS)[0].record
    assert write_record(tmp_path / "r.json", record) == record
    assert read_record(tmp_path / "r.json") == record


def test_tables_of_migrated_records_are_those_of_the_records(tmp_path: Path) -> None:
    """Written anew under the present schema they give the same bytes."""
    for number, one in enumerate(admit_all(RECORDS)):
        write_record(tmp_path / "new" / str(number) / "record.json", one.record)
    for name, place in (("old", RECORDS), ("new", tmp_path / "new")):
        results = collect(place)
        assert len(results.records) == 10
        write_tables(results, make_tables(results), tmp_path / f"{name}_tables")
    for made in (tmp_path / "old_tables").iterdir():
        assert made.read_bytes() == (tmp_path / "new_tables" / made.name).read_bytes()


def test_a_version_1_record_edited_by_hand_is_refused_before_it_is_migrated(tmp_path: Path) -> None:
    content = dict(admit_all(RECORDS)[0].content)
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert read_record(tmp_path / "r.json").migrated_from == content["content_hash"]
    for edit in ({"seed": 77}, {"judged": {"images": 1}}, {"content_hash": ""}):
        (tmp_path / "r.json").write_text(json.dumps(content | edit))
        with pytest.raises(UserError, match=r"r\.json.*edited by hand"):
            read_record(tmp_path / "r.json")


@pytest.mark.parametrize("version", [0, 3, -1, True, "2", 2.0, None, [2]])
def test_a_version_that_is_not_known_is_never_guessed(tmp_path: Path, version: object) -> None:
    path = tmp_path / "r.json"
    write_record(path, make_record())
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": version}))
    with pytest.raises(UserError, match=r"r\.json: record schema .*this version reads 1, 2"):
        read_record(path)


def test_a_migration_is_pure_and_takes_one_step() -> None:
    for version, migrate in MIGRATIONS.items():
        content = {"schema_version": version, "dataset": {"test_images": 5}, "kept": [1]}
        before = json.dumps(content)
        assert migrate(content)["schema_version"] == version + 1
        assert migrate(content)["kept"] == [1]
        assert json.dumps(content) == before
