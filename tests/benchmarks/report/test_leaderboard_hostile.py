"""Untrusted records: their text stays text, what cannot be shown is refused by name, and nothing is half-written."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from hostile_records import HOSTILE, REFUSED, hostile_records
from made_up_records import demo_records, fill, make_record
from test_leaderboard import Page, board

from benchmarks.records.admission import require_own_id
from benchmarks.records.collect import Results, collect, collect_for_page
from benchmarks.report.escaping import visible
from benchmarks.report.leaderboard_rerun import rerun_commands
from benchmarks.report.suite_table import make_tables, suite_to_csv
from scenebench.cli import main
from scenebench.errors import UserError


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    page = board(fill(tmp_path / "hostile", hostile_records()))
    plain = board(fill(tmp_path / "plain", [make_record(f"label {i}", notes=["a note"]) for i in range(len(HOSTILE))]))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}, "a record's text made a tag"
    assert len(page.scripts) == len(plain.scripts) == 1, "our script is a file; this is the data"
    out = tmp_path / "hostile" / "leaderboard"
    pages = sorted((out / "runs").glob("*.html"))
    assert len(pages) == len(HOSTILE)
    shape = {tag for file in (tmp_path / "plain").rglob("runs/*.html") for tag, _ in Page(file.read_text("utf-8")).tags}
    for file in [out / "index.html", *pages]:
        text = file.read_text(encoding="utf-8")
        assert len(text) < 500_000
        assert visible(text, keep="\n\t") == text, "nothing invisible"
        read = Page(text)
        if file.parent.name == "runs":
            assert {tag for tag, _ in read.tags} <= shape | {"nav"}
            assert not any(read.scripts)
        for _, attributes in read.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
            for name in ("href", "src"):
                assert re.fullmatch(r"(\.\./|runs/)?[\w.-]+(#[\w-]+)?|#[\w-]+|data:,", attributes.get(name) or "a")
    assert all(re.fullmatch(r"[\w.-]+", path.name) for path in out.rglob("*"))


def test_data_for_the_script_holds_no_key_of_a_record(tmp_path: Path) -> None:
    data = json.loads(board(fill(tmp_path, hostile_records())).scripts[0])
    rows = [row for table in data["tables"] for row in table["rows"]]
    assert {key for table in data["tables"] for key in table} == {"kinds", "data", "size", "rows"}
    assert {key for row in rows for key in row} == {"sort", "origin", "architecture", "epochs", "text"}
    assert any(row["sort"][0] == "__proto__" for row in rows)


def test_commands_to_run_again_are_quoted() -> None:
    for record in hostile_records():
        for line in rerun_commands(record):
            assert line.isprintable()
            unquoted = re.sub(r"'[^']*'|\"'\"", "", line)
            assert not re.search(r"[`$;&|<>]", unquoted), line


def test_no_value_of_the_csv_is_a_formula(tmp_path: Path) -> None:
    text = suite_to_csv(make_tables(collect(fill(tmp_path, hostile_records()))))
    values = [value for line in csv.reader(io.StringIO(text)) for value in line]
    assert any("=cmd" in value for value in values)
    assert not any(value.startswith(("=", "+", "@", "\t")) for value in values)


def test_a_huge_number_of_classes_is_cut(tmp_path: Path) -> None:
    classes: dict[str, dict[str, float | None]] = {f"class {number}": {"mAP": 1.0} for number in range(20_000)}
    board(fill(tmp_path, [make_record(per_class=classes)]))
    (page,) = (tmp_path / "leaderboard" / "runs").glob("*.html")
    text = page.read_text(encoding="utf-8")
    assert "19500 further categories" in text
    assert text.count("<tr>") < 600


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
@pytest.mark.parametrize("what", REFUSED)
def test_a_record_that_cannot_be_shown_is_left_out_by_name(
    tmp_path: Path, what: str, many: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many records a process of its own checks the hashes."""
    monkeypatch.setattr("benchmarks.records.collect.shared_out", lambda number: 2 if many else 1)
    write, message = REFUSED[what]
    fill(tmp_path / "results", [make_record("good")])
    write(tmp_path / "results" / "bad" / "record.json")
    assert main(["leaderboard", str(tmp_path / "results"), "--out", str(tmp_path / "board")]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert "bad/record.json" in said.err
    assert said.err.count("\n") == 1
    assert "1 records, 1 not admitted" in said.out
    page = Page((tmp_path / "board/index.html").read_text(encoding="utf-8"))
    assert "1 not admitted" in " ".join(page.text)
    assert "bad/record.json" in " ".join(page.text)
    shutil.rmtree(tmp_path / "results/run000")
    assert main(["leaderboard", str(tmp_path / "results"), "--out", str(tmp_path / "none")]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "none").exists(), "nothing is written"


def checked(folder: Path) -> Results:
    return collect_for_page(folder, lambda results: results)


def test_the_same_record_twice_counts_once_and_shared_ids_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, [make_record("mls"), make_record("mls")])
    assert len(checked(tmp_path).records) == 1
    few = checked(fill(tmp_path / "more", demo_records()))
    monkeypatch.setattr("benchmarks.records.collect.shared_out", lambda number: 2)
    assert checked(tmp_path / "more") == few, "however they are read"
    one = make_record("mls").model_copy(update={"content_hash": "a" * 64})
    other = one.model_copy(update={"content_hash": "a" * 16 + "c" * 48})
    seen: dict[str, str] = {}
    require_own_id(one, seen, "a.json")
    with pytest.raises(UserError, match=r"b\.json: shares its first 16 digits"):
        require_own_id(other, seen, "b.json")


def test_invisible_signs_are_spelt() -> None:
    assert visible("a\u202eb\u200bc\x00") == "a[U+202E]b[U+200B]c[U+0000]"
    assert visible("plain 名前\n", keep="\n") == "plain 名前\n"
