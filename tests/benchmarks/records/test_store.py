"""Records in one file a suite: nothing is lost, pandas reads it, and what was kept one by one becomes such a file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas
import pytest
from board_records import board_record, sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import demo_records, fill, make_record

from benchmarks.compare.sides import find_side
from benchmarks.records.adding import add_records, admit_all
from benchmarks.records.collect import collect
from benchmarks.records.convert import convert
from benchmarks.records.places import place_named
from benchmarks.records.store import Part, pack, stored_texts, unpack
from benchmarks.records.versions import content_hash_of
from scenebench.cli import main
from scenebench.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]
RECORDS = REPOSITORY / "results/records"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


@given(
    st.dictionaries(st.text(), VALUES, max_size=4), st.dictionaries(st.text(), st.floats(0, 100), max_size=4), VALUES
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_record_holds_comes_back(tree: dict[str, Any], metrics: dict[str, float], value: Any) -> None:
    content = make_record().model_dump(mode="json") | {"metrics": metrics, "suite_resolved": tree, "notes": value}
    content["backbone"]["recipe"] = tree
    line, parts = pack(content)
    text = json.loads(json.dumps([line, parts]))
    shared = {part["hash"]: Part(part["value"], 1, 1) for part in text[1]}
    assert canonical(unpack(text[0], shared, "here")) == canonical(content)


def test_equal_records_give_equal_bytes_and_shared_parts_stand_once() -> None:
    contents = [record.model_dump(mode="json") for record in demo_records()]
    lines, shared = stored_texts(contents)
    assert (lines, shared) == stored_texts(contents[::-1])
    parts = [json.loads(line) for line in shared.splitlines()]
    assert [(part["part"], part["hash"]) for part in parts] == sorted((part["part"], part["hash"]) for part in parts)
    assert len(parts) == 1 + 5 + 1 + len({canonical(one["backbone"]["recipe"]) for one in contents})


def test_pandas_reads_a_row_a_record(tmp_path: Path) -> None:
    add_records([fill(tmp_path / "runs", demo_records())], tmp_path / "board")
    frame = pandas.read_json(tmp_path / "board/demo.jsonl", lines=True)
    assert len(frame) == len(demo_records())
    knn = frame[frame["protocol.id"] == "multilabel_knn"]
    assert knn.groupby("backbone.label")["metrics.mAP"].mean()["mls"] == 28.0
    assert list(frame.columns[:5]) == ["suite", "size", "backbone.label", "protocol.id", "seed"]
    shared = pandas.read_json(tmp_path / "board/demo.shared.jsonl", lines=True)
    recipes = frame.merge(shared, left_on="backbone.recipe", right_on="hash")
    assert set(recipes[recipes["backbone.label"] == "mls"]["value"].map(lambda recipe: recipe["name"])) == {"mls_demo"}


def test_the_old_form_is_converted_and_both_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old"
    fill(old / "mini_photos", demo_records()[:20])
    fill(old, [make_record("loose", suite="other suite")])
    before = collect(old)
    assert main(["records", "convert", str(old), "--to", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/new/mini_photos.jsonl: 20 records" in said
    assert f"{tmp_path}/new/other-suite.jsonl: 1 records" in said
    assert collect(tmp_path / "new").records == before.records
    stored = {one.content["content_hash"]: canonical(one.content) for one in admit_all(tmp_path / "new")}
    assert stored == {one.content["content_hash"]: canonical(one.content) for one in admit_all(old)}
    convert(old)
    assert collect(old).records == before.records, "a record in both forms counts once"
    with pytest.raises(UserError, match=r"mini_photos\.jsonl: is there"):
        convert(old)


def test_what_is_damaged_is_not_converted(tmp_path: Path) -> None:
    fill(tmp_path / "old", demo_records()[:2])
    file = tmp_path / "old/run001/record.json"
    file.write_text(file.read_text()[:50])
    with pytest.raises(UserError, match=r"run001/record\.json: not a readable record"):
        convert(tmp_path / "old", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no files of one record each"):
        convert(tmp_path / "empty")
    with pytest.raises(UserError, match="no such folder"):
        convert(tmp_path / "nowhere")


def test_the_commands_take_a_file_and_the_name_without_its_ending(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_records([fill(tmp_path / "runs", demo_records())], tmp_path / "board")
    store = tmp_path / "board/demo.jsonl"
    assert place_named(tmp_path / "board/demo") == store
    for name in (store, tmp_path / "board/demo", tmp_path / "board"):
        assert main(["compare", "mls", "moco", "--records", str(name)]) == 0
        assert main(["table", str(name), "--out", str(tmp_path / "tables")]) == 0
    assert find_side(str(store), []).rows.keys() == find_side(str(tmp_path / "runs"), []).rows.keys()
    capsys.readouterr()
    assert main(["leaderboard", str(store)]) == 2
    assert "say where to write by --out FOLDER" in capsys.readouterr().err


def test_the_page_of_a_store_is_that_of_the_files(tmp_path: Path) -> None:
    runs = fill(tmp_path / "runs", demo_records())
    convert(runs, tmp_path / "board")
    for name in ("runs", "board"):
        assert main(["leaderboard", str(tmp_path / name), "--out", str(tmp_path / f"{name}-page")]) == 0
    for path in (tmp_path / "runs-page").rglob("*"):
        if path.is_file():
            assert (
                path.read_bytes() == (tmp_path / "board-page" / path.relative_to(tmp_path / "runs-page")).read_bytes()
            )


def test_what_a_run_leaves_besides_is_no_record(tmp_path: Path) -> None:
    sealed(tmp_path / "run", board_record(seed=1))
    (tmp_path / "run/run.json").write_text('{"protocol": "x"}')
    assert len(collect(tmp_path / "run").records) == 1
    assert len(add_records([tmp_path / "run"], tmp_path / "board")) == 1


def test_logs_of_a_run_are_no_records(tmp_path: Path) -> None:
    sealed(tmp_path / "knn", board_record())
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n')
    assert len(collect(tmp_path).records) == 1


# --- what is committed -----------------------------------------------------------------------------------------------


def test_every_committed_record_is_named_by_its_hash_and_kept_in_the_one_form() -> None:
    """Those of the results, if any are there, and those of the first schema that the tests keep."""
    numbers = {}
    for store in sorted([*RECORDS.glob("*.jsonl"), *Path(__file__).parent.glob("*.jsonl")]):
        if not store.name.endswith(".shared.jsonl"):
            records = admit_all(store)
            numbers[store.stem] = len(records)
            assert all(one.content["content_hash"] == content_hash_of(one.content) for one in records)
            lines, shared = stored_texts(dict(one.content) for one in records)
            assert store.read_text() == lines
            assert store.with_name(f"{store.stem}.shared.jsonl").read_text() == shared
    assert numbers["schema_1"] == 10


def test_a_clone_stays_small() -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "results"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no clone of git")
    files = [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name]
    assert len(files) < 150
    assert sum(file.stat().st_size for file in files if file.is_file()) < 6_000_000
