"""One rule of admission: what ``leaderboard add`` refuses the board leaves out and names, and the other way round."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from board_records import board_record, sealed

from benchmarks.compare.sides import find_side
from benchmarks.records.adding import add_records, admit_all
from benchmarks.records.admission import MAX_BYTES, MAX_DEPTH, refused_by
from benchmarks.records.collect import collect, read_board
from benchmarks.records.store import stored_texts
from benchmarks.records.versions import content_hash_of
from scenebench.cli import main
from scenebench.errors import UserError
from scenebench.filling import MANIFEST


def resealed(content: dict[str, Any], **changes: Any) -> bytes:
    """A record's JSON with other values and the hash that fits them, as whoever writes one by hand would."""
    changed = {**content, **changes}
    return json.dumps(changed | {"content_hash": content_hash_of(changed)}).encode()


def nested(depth: int) -> object:
    """Lists in lists."""
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def of_depth(content: dict[str, Any], depth: int) -> bytes:
    """A record of that depth in all: root, backbone, recipe, then lists."""
    recipe = {"a": nested(depth - 3)}
    from scenebench.config import config_hash

    backbone = {**content["backbone"], "recipe": recipe, "recipe_hash": config_hash(recipe)}
    return resealed(content, backbone=backbone)


def replaced(content: dict[str, Any], old: str, new: str) -> bytes:
    text = json.dumps(content)
    assert old in text
    return text.replace(old, new).encode()


Write = Callable[[dict[str, Any]], bytes]
BAD: dict[str, tuple[Write, str]] = {
    "3 MiB": (lambda c: resealed(c, notes=["x" * 3 * 2**20]), "a record has 2,000,000 at most"),
    "one byte too many": (
        lambda c: resealed(c).ljust(MAX_BYTES + 1),
        "a record has 2,000,000 at most",
    ),
    "depth 60": (lambda c: of_depth(c, 60), "nested more than 40 levels deep"),
    "depth 41": (lambda c: of_depth(c, MAX_DEPTH + 1), "nested more than 40 levels deep"),
    "endless depth": (lambda c: b"[" * 1_000_000, "nested more than 40 levels deep"),
    "NaN": (lambda c: replaced(c, '"mAP": 31.0', '"mAP": NaN'), "NaN is no JSON"),
    "Infinity": (lambda c: replaced(c, '"mAP": 31.0', '"mAP": -Infinity'), "-Infinity is no JSON"),
    "NaN in a recipe": (lambda c: replaced(c, '"recipe": {', '"recipe": {"a": NaN, '), "NaN is no JSON"),
    "1e400": (lambda c: replaced(c, '"seed": 0}', '"seed": 1e400}'), "1e400 is larger than any number"),
    "1e308": (lambda c: resealed(c, metrics={"mAP": 1e308}), "metrics are percentages"),
    "an integer of 5000 digits": (lambda c: replaced(c, '"epochs": 8', '"epochs": ' + "9" * 5000), "larger than any"),
    "an integer beyond 64 bits": (lambda c: resealed(c, seed=2**63), "larger than any number"),
    "101 metrics": (lambda c: resealed(c, metrics={f"m{i}": 1.0 for i in range(101)}), "101 metrics"),
    "a key twice": (lambda c: replaced(c, '"seed": 0,', '"seed": 1, "seed": 0,'), "'seed' stands twice"),
    "a key twice, deep": (lambda c: replaced(c, '{"mAP": 31.0}', '{"mAP": 99.0, "mAP": 31.0}'), "'mAP' stands twice"),
    "another hash": (lambda c: json.dumps({**c, "content_hash": "0" * 64}).encode(), "content hash disagrees"),
    "no hash": (lambda c: json.dumps({**c, "content_hash": ""}).encode(), "content hash disagrees"),
    "hash of another type": (lambda c: json.dumps({**c, "content_hash": ["a"]}).encode(), "content_hash"),
    "edited": (lambda c: json.dumps({**c, "metrics": {"mAP": 99.0}}).encode(), "content hash disagrees"),
    "recipe of another hash": (
        lambda c: resealed(c, backbone={**c["backbone"], "recipe": {"other": 1}}),
        "does not name what stands beside it",
    ),
    "a number as text": (lambda c: resealed(c, seed="0"), "seed"),
    "a metric as text": (lambda c: resealed(c, metrics={"mAP": "31"}), "metrics.mAP"),
    "a metric that is true": (lambda c: resealed(c, metrics={"mAP": True}), "metrics.mAP"),
    "a part that is a list": (lambda c: resealed(c, dataset=[1]), "dataset"),
    "a part that is null": (lambda c: resealed(c, environment=None), "environment"),
    "an unknown key": (lambda c: resealed(c, href="javascript:1"), "href"),
    "a key with a dot": (lambda c: resealed(c, **{"metrics.mAP": 1.0}), "metrics.mAP"),
    "a missing key": (lambda c: resealed({k: v for k, v in c.items() if k != "dataset"}), "dataset"),
    "a later schema": (lambda c: resealed(c, schema_version=99), "install a later scenebench"),
    "a schema of text": (lambda c: resealed(c, schema_version="2"), "this version reads"),
    "version 1, damaged": (lambda c: resealed(c, schema_version=1, dataset={}), "not a valid record"),
    "not UTF-8": (
        lambda c: replaced(c, "a processor", "\u00e9").replace("\u00e9".encode(), b"\xe9"),
        "not a readable record",
    ),
    "UTF-16": (lambda c: json.dumps(c).encode("utf-16"), "not a readable record"),
    "half a sign": (lambda c: replaced(c, "a processor", "\\ud800"), "lone surrogate"),
    "truncated": (lambda c: json.dumps(c).encode()[:700], "not a readable record"),
    "empty": (lambda c: b"", "not a readable record"),
    "zeros": (lambda c: b"\x00" * 100, "not a readable record"),
    "two records": (lambda c: json.dumps(c).encode() * 2, "not a readable record"),
    "a list": (lambda c: b"[]", "record schema None"),
    "a pickle": (lambda c: b"\x80\x04\x95cos\nsystem\n.", "not a readable record"),
}
GOOD: dict[str, Write] = {
    "as written": lambda c: json.dumps(c).encode(),
    "as large as may be": lambda c: resealed(c).ljust(MAX_BYTES),
    "as deep as may be": lambda c: of_depth(c, MAX_DEPTH),
    "brackets in a note": lambda c: resealed(c, notes=["[" * 1000 + "\\" * 3]),
    "signs of a note": lambda c: resealed(c, notes=["\u2028\x85\r\n\x00 名前 \\ud800"]),
    "a whole number for a metric": lambda c: resealed(c, metrics={"mAP": 31}),
    "without what has a default": lambda c: resealed({k: v for k, v in c.items() if k not in ("notes", "per_class")}),
    "a large note in another script": lambda c: resealed(c, notes=["名" * 300_000]),
}
NAMES = ["bad", "a\nb", "[31m\x1b", "; rm -rf x", "a: b", "-o", "\u202ecod", "ü" * 80, "$(x)", "%s{}", "'\"<b>"]


def original(tmp_path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(sealed(tmp_path / "original", board_record("other")).read_text())
    return content


def run(capfd: pytest.CaptureFixture[str], *call: str) -> tuple[int, list[str]]:
    """Exit code and what was said of errors, by lines."""
    code = main(list(call))
    return code, capfd.readouterr().err.splitlines()


@pytest.mark.parametrize("what", BAD)
def test_add_and_board_refuse_the_same_for_the_same_reason(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write, message = BAD[what]
    folder = tmp_path / "records"
    sealed(folder / "good", board_record())
    bad = folder / "bad/record.json"
    bad.parent.mkdir()
    bad.write_bytes(write(original(tmp_path)))

    code, (line,) = run(capfd, "leaderboard", "add", str(folder), "--to", str(tmp_path / "board"))
    assert code == 2
    assert str(bad) in line
    assert message in line
    assert not (tmp_path / "board").exists()

    code, (named,) = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / "page"))
    assert code == 1
    assert named.removeprefix("scenebench: not admitted: ")[:300] == line.removeprefix("scenebench: ")[:300]
    assert "| mine" not in named
    (page,) = (tmp_path / "page/runs").iterdir()
    assert "31.00" in page.read_text()

    for strict in (lambda: collect(folder), lambda: find_side(str(folder), [])):
        with pytest.raises(UserError) as error:
            strict()
        assert refused_by(error.value, str(bad)).reason in line
    assert not [path for path in tmp_path.rglob(".*") if path.name not in (".lock", MANIFEST)]


@pytest.mark.parametrize("what", GOOD)
def test_add_and_board_take_the_same_and_keep_it_whole(what: str, tmp_path: Path) -> None:
    file = tmp_path / "records/a/record.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(GOOD[what](original(tmp_path)))
    shown = collect(tmp_path / "records", keep_going=True)
    assert not shown.refused
    add_records([file], tmp_path / "board")
    (stored,) = admit_all(tmp_path / "board")
    assert stored.content == json.loads(file.read_bytes())
    assert stored.record == shown.records[0]
    assert collect(tmp_path / "board", keep_going=True).records == shown.records


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_folder_is_called_the_bad_record_is_named_in_one_line(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "records"
    sealed(folder / "good", board_record())
    (folder / name).mkdir()
    (folder / name / "record.json").write_bytes(b"{")
    for code, call in (
        (2, ("leaderboard", "add", str(folder), "--to", str(tmp_path / "board"))),
        (1, ("leaderboard", str(folder), "--out", str(tmp_path / "page"))),
    ):
        found, (line,) = run(capfd, *call)
        assert found == code
        assert line.isprintable()
        assert "not a readable record" in line


def test_a_name_that_is_no_unicode_is_spelt(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "records"
    sealed(folder / "good", board_record())
    bad = folder / os.fsdecode(b"\xff\xfe")
    bad.mkdir()
    (bad / "record.json").write_bytes(b"{")
    code, (line,) = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / "page"))
    assert (code, line.isprintable()) == (1, True)
    assert "[U+DCFF]" in line
    assert "[U+DCFF]" in (tmp_path / "page/index.html").read_text(encoding="utf-8")


def _link(folder: Path, target: Path) -> Path:
    (folder / "bad").mkdir()
    (folder / "bad/record.json").symlink_to(target)
    return folder / "bad/record.json"


def test_links_devices_and_pipes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    outside = sealed(tmp_path / "outside", board_record("outside"))
    targets = {"out": outside, "nowhere": tmp_path / "none", "zero": Path("/dev/zero"), "circle": Path("record.json")}
    for name, target in targets.items():
        folder = tmp_path / name
        sealed(folder / "good", board_record())
        _link(folder, target)
        code, (line,) = run(capfd, "leaderboard", "add", str(folder), "--to", str(tmp_path / "board"))
        assert (code, "bad/record.json: " in line) == (2, True)
        code, (named,) = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / f"{name}-page"))
        assert (code, named.partition("admitted: ")[2]) == (1, line.removeprefix("scenebench: "))
        assert not (tmp_path / "board").exists()
    folder = tmp_path / "pipe"
    sealed(folder / "good", board_record())
    (folder / "bad").mkdir()
    os.mkfifo(folder / "bad/record.json")
    assert run(capfd, "leaderboard", "add", str(folder), "--to", str(tmp_path / "board"))[0] == 2
    code, (named,) = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / "pipe-page"))
    assert (code, "is not a plain file" in named) == (1, True)


def test_a_link_within_the_folder_is_the_record_it_leads_to(tmp_path: Path) -> None:
    folder = tmp_path / "records"
    good = sealed(folder / "good", board_record())
    (folder / "more").mkdir()
    (folder / "more/record.json").symlink_to(good)
    assert len(collect(folder, keep_going=True).records) == 1
    with pytest.raises(UserError, match="is on the board already"):
        add_records([folder], tmp_path / "board")


def test_every_bad_record_is_named_and_all_bad_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "records"
    for number in range(3):
        (folder / f"bad{number}").mkdir(parents=True)
        (folder / f"bad{number}/record.json").write_bytes(b"{")
    code, lines = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / "page"))
    assert (code, len(lines)) == (2, 1)
    assert "holds no record that is admitted (3 refused)" in lines[0]
    assert not (tmp_path / "page").exists()
    sealed(folder / "good", board_record())
    code, lines = run(capfd, "leaderboard", str(folder), "--out", str(tmp_path / "page"))
    assert code == 1
    assert [f"bad{number}/record.json" in line for number, line in enumerate(lines)] == [True] * 3


def test_a_bad_record_of_the_board_keeps_nobody_from_evaluating(tmp_path: Path) -> None:
    """It is left out of what stands beside the new row, with a note; a comparison, which asked for it, refuses."""
    sealed(tmp_path / "good", board_record())
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/record.json").write_bytes(b"{")
    said: list[str] = []
    assert len(read_board([tmp_path], said.append)) == 1
    (line,) = said
    assert "bad/record.json: not a readable record" in line
    with pytest.raises(UserError, match="bad/record"):
        read_board([tmp_path])


# --- records of one file ---------------------------------------------------------------------------------------------


def board_of_two(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A store of two records: the file, its lines, and those of its shared parts."""
    contents = [json.loads(sealed(tmp_path / f"r{seed}", board_record(seed=seed)).read_text()) for seed in (0, 1)]
    lines, shared = stored_texts(contents)
    store = tmp_path / "board/smoke.jsonl"
    store.parent.mkdir()
    store.write_text(lines)
    store.with_name("smoke.shared.jsonl").write_text(shared)
    return store, lines.splitlines(keepends=True), shared.splitlines(keepends=True)


LINES: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda line: line[:200], "not a readable record"),
    "edited": (lambda line: line.replace("31.0", "99.0"), "content hash disagrees"),
    "a part that is not there": (
        lambda line: line.replace('"environment":"', '"environment":"0'),
        "is not in the file",
    ),
    "a column twice": (lambda line: line.replace("{", '{"seed":5,', 1), "'seed' stands twice"),
    "two columns in one place": (lambda line: line.replace("{", '{"metrics":{"mAP":1.0},', 1), "stand in one line"),
    "no object": (lambda line: "[1]\n", "no JSON object"),
    "too long": (lambda line: line.rstrip() + " " * 5 * MAX_BYTES + "\n", "a record has 2,000,000 at most"),
    "NaN": (lambda line: line.replace("31.0", "NaN"), "NaN is no JSON"),
    "deep": (lambda line: line.replace("{", f'{{"notes":{"[" * 60},', 1), "nested more than 40"),
}


@pytest.mark.parametrize("what", LINES)
def test_a_bad_line_is_named_and_the_others_are_shown(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage, message = LINES[what]
    store, lines, _ = board_of_two(tmp_path)
    store.write_text(lines[0] + damage(lines[1]))
    code, (named,) = run(capfd, "leaderboard", str(store.parent), "--out", str(tmp_path / "page"))
    assert code == 1
    assert "smoke.jsonl:2: " in named
    assert message in named
    code, (line,) = run(capfd, "leaderboard", "add", str(store), "--to", str(tmp_path / "other"))
    assert code == 2
    assert line.removeprefix("scenebench: ") == named.removeprefix("scenebench: not admitted: ")
    assert not (tmp_path / "other").exists()


def test_a_bad_shared_part_is_named_and_what_needs_it_is_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store, _, shared = board_of_two(tmp_path)
    recipes = [number for number, line in enumerate(shared) if '"backbone.recipe"' in line]
    shared[recipes[0]] = shared[recipes[0]].replace("mine_demo", "yours_demo")
    store.with_name("smoke.shared.jsonl").write_text("".join(shared))
    code, lines = run(capfd, "leaderboard", str(store), "--out", str(tmp_path / "page"))
    assert (code, len(lines)) == (1, 2)
    assert any("its backbone.recipe" in line and "is not in the file" in line for line in lines)
    assert any(f"smoke.shared.jsonl:{recipes[0] + 1}: its hash disagrees with its value" in line for line in lines)
    assert len(list((tmp_path / "page/runs").iterdir())) == 1


def test_a_small_line_that_stands_for_much_is_refused(tmp_path: Path) -> None:
    """A part of 1.9 MB is taken once, and no record is larger than one in a file of its own may be."""
    content = original(tmp_path)
    from scenebench.config import config_hash

    recipe, suite = {"a": "x" * 1_900_000}, {"b": "x" * 200_000}
    content["backbone"] |= {"recipe": recipe, "recipe_hash": config_hash(recipe)}
    content |= {"suite_resolved": suite, "suite_hash": config_hash(suite)}
    lines, shared = stored_texts([json.loads(resealed(content))])
    (tmp_path / "smoke.jsonl").write_text(lines)
    (tmp_path / "smoke.shared.jsonl").write_text(shared)
    with pytest.raises(UserError, match=r"smoke\.jsonl:1: .* a record has 2,000,000 at most"):
        collect(tmp_path / "smoke.jsonl")
