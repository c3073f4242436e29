"""``scenebench leaderboard add``: what is taken, where it goes, and what is refused without a trace."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from board_records import SOURCE, SUITE, board_record, sealed

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import generate_scenes
from benchmarks.records.adding import add_records, admit_all, store_name
from benchmarks.records.admission import MAX_BYTES
from benchmarks.records.collect import collect
from benchmarks.submission.comparable import known_fingerprints
from benchmarks.submission.contribution import contribute
from scenebench.children import in_children
from scenebench.cli import main
from scenebench.config import config_hash
from scenebench.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[3]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents(board: Path) -> dict[str, object]:
    """Every record of a board, as it stands there, by its hash."""
    return {one.record.content_hash: one.content for one in admit_all(board)}


def test_records_go_in_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [sealed(tmp_path / f"run{seed}", board_record(seed=seed)) for seed in (0, 1)]
    board = tmp_path / "board"
    assert main(["leaderboard", "add", *map(str, files), "--to", str(board)]) == 0
    said = capsys.readouterr().out
    assert "2 records added" in said
    assert f"{board}/smoke.jsonl: mine, multilabel_knn, seed 1" in said
    assert tree(board) == [".lock", "smoke.jsonl", "smoke.shared.jsonl"]
    given = [json.loads(path.read_text()) for path in files]
    assert contents(board) == {one["content_hash"]: one for one in given}
    before = (board / "smoke.jsonl").read_text().splitlines()
    more = sealed(tmp_path / "more", board_record("other", "fcn_demo"))
    contribute([more.parent], board)
    after = (board / "smoke.jsonl").read_text().splitlines()
    assert len(after) == 3
    assert [line for line in after if line in before] == before, "what was there stays, letter by letter"
    assert len(collect(board).records) == 3


def test_the_order_of_adding_leaves_no_trace(tmp_path: Path) -> None:
    files = [
        sealed(tmp_path / f"{n}", board_record(label, seed=s)) for n, (label, s) in enumerate([("b", 1), ("a", 0)])
    ]
    contribute(files, tmp_path / "one")
    for file in reversed(files):
        contribute([file], tmp_path / "two")
    for name in ("smoke.jsonl", "smoke.shared.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_board_is_added_to_another(tmp_path: Path) -> None:
    file = sealed(tmp_path / "a", board_record())
    contribute([file], tmp_path / "one")
    contribute([tmp_path / "one/smoke.jsonl"], tmp_path / "two")
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_a_board_of_the_old_form_keeps_it(tmp_path: Path) -> None:
    old = sealed(tmp_path / "board/smoke/cell", board_record())
    before = old.read_bytes()
    with pytest.raises(UserError, match="is on the board already"):
        contribute([sealed(tmp_path / "again", board_record())], tmp_path / "board")
    contribute([sealed(tmp_path / "new", board_record(seed=1))], tmp_path / "board")
    assert old.read_bytes() == before
    assert len(collect(tmp_path / "board").records) == 2


def test_the_committed_records_would_be_taken_today(tmp_path: Path) -> None:
    stores = [path for path in (REPOSITORY / "results/records").glob("*.jsonl") if not path.stem.endswith(".shared")]
    for store in stores:
        assert len(contribute([store], tmp_path / "board")) == len(admit_all(store))


def test_the_fingerprint_of_smoke_is_that_of_its_data(tmp_path: Path) -> None:
    data: DatasetFolder = generate_scenes(tmp_path / "scenes", SUITE.data)
    assert known_fingerprints()[SOURCE.identity] == data.fingerprint


def test_the_same_record_twice_is_refused(tmp_path: Path) -> None:
    file = sealed(tmp_path / "a", board_record())
    board = tmp_path / "board"
    (added,) = contribute([file], board)
    before = tree(board)
    with pytest.raises(UserError, match="is on the board already: ") as error:
        contribute([file], board)
    assert str(added.file) in str(error.value)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UserError, match="is on the board already"):
        contribute([tmp_path / "a", tmp_path / "b"], tmp_path / "new")
    assert tree(board) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("value", "says"), [(32.0, "other values"), (31.0, "the same values")])
def test_a_second_value_of_a_cell_is_refused_and_both_are_named(value: float, says: str, tmp_path: Path) -> None:
    board = tmp_path / "board"
    (added,) = contribute([sealed(tmp_path / "a", board_record())], board)
    later = sealed(tmp_path / "b", board_record(value=value, started="2026-05-01T10:00:00+00:00"))
    with pytest.raises(UserError, match=f"is there with {says}") as error:
        contribute([later], board)
    assert str(later) in str(error.value)
    assert str(added.file) in str(error.value)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "protocol": ({"protocol_part": {"id": "multilabel_kn"}}, "did you mean 'multilabel_knn'"),
    "version": ({"protocol_part": {"version": 2}}, "version 2 .* this version has version 1"),
    "suite": ({"suite": "smok"}, "did you mean 'smoke'"),
    "group": ({"suite": "papers"}, "unknown value 'papers'"),
    "size": ({"size": "paper"}, "size 'paper', and suite 'smoke' is of size 'smoke'"),
    "data": ({"dataset_part": {"name": "photos"}}, "measured on 'photos', and suite 'smoke' is about 'scenes'"),
    "fingerprint": ({"dataset_part": {"fingerprint": "ff"}}, "fingerprint ff, and it should be"),
    "metric": ({"metrics": {"mAAP": 3.0}}, "did you mean 'mAP'"),
    "range": ({"metrics": {"mAP": 101.0}}, "no percentage"),
    "empty": ({"metrics": {}}, "has no metrics"),
    "label": ({"backbone_part": {"label": "a\nb"}}, "printable"),
    "long": ({"backbone_part": {"label": "x" * 300}}, "printable"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_this_versions_is_refused_and_nothing_is_added(what: str, tmp_path: Path) -> None:
    changes, message = WRONG[what]
    good = sealed(tmp_path / "good", board_record())
    bad = sealed(tmp_path / "bad", board_record(seed=1, **changes))
    with pytest.raises(UserError, match=message) as error:
        contribute([good, bad], tmp_path / "board")
    assert str(bad) in str(error.value)
    assert not (tmp_path / "board").exists()


def test_other_values_of_a_protocol_are_named(tmp_path: Path) -> None:
    record = board_record()
    resolved = json.loads(json.dumps(record.protocol.resolved))
    resolved["settings"]["knn"]["k"] = 7
    changed = record.protocol.model_copy(update={"resolved": resolved, "hash": config_hash(resolved)})
    bad = sealed(tmp_path / "bad", record.model_copy(update={"protocol": changed}))
    with pytest.raises(UserError, match=r"settings\.knn\.k is 7 instead of 3"):
        contribute([bad], tmp_path / "board")


def test_own_data_makes_a_board_of_its_own(tmp_path: Path) -> None:
    record = board_record(dataset_part={"name": "photos", "fingerprint": "ff"})
    assert len(contribute([sealed(tmp_path / "a", record)], tmp_path / "board", own_data=True)) == 1


def test_a_record_by_hand_or_of_another_schema_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sealed(tmp_path / "a", board_record())
    content = json.loads(file.read_text())
    for change, message in (
        ({"metrics": {"mAP": 99.0}}, "content hash disagrees"),
        ({"schema_version": 99}, "install a later scenebench"),
        ({"schema_version": "2"}, "this version reads"),
        ({"content_hash": ""}, "content hash disagrees"),
    ):
        file.write_text(json.dumps({**content, **change}))
        assert main(["leaderboard", "add", str(file), "--to", str(tmp_path / "board")]) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert errors.count("\n") == 1
    for text in ("{", "[" * 100_000, '{"metrics": NaN}', "\x00", ""):
        file.write_text(text)
        assert main(["leaderboard", "add", str(file), "--to", str(tmp_path / "board")]) == 2
        assert "not a readable record" in capsys.readouterr().err
    assert not (tmp_path / "board").exists()


def test_links_large_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    file = sealed(tmp_path / "a", board_record())
    (tmp_path / "b").mkdir()
    (tmp_path / "b/record.json").symlink_to(file)
    (tmp_path / "c").symlink_to(tmp_path / "a")
    for linked in ("b", "b/record.json", "c"):
        with pytest.raises(UserError, match="is a link"):
            contribute([tmp_path / linked], tmp_path / "board")
    with pytest.raises(UserError, match="no such record"):
        contribute([tmp_path / "none.json"], tmp_path / "board")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no file named record\.json"):
        contribute([tmp_path / "empty"], tmp_path / "board")
    file.write_text(" " * (MAX_BYTES + 1))
    with pytest.raises(UserError, match="is not taken"):
        contribute([file], tmp_path / "board")
    with pytest.raises(UserError, match="is a file"):
        contribute([file], file)


@pytest.mark.parametrize(
    "label", ["../../../etc/passwd", "/root", "..", ".", "-", "a/../../b", "ünï\u202ecode", "CON\\x"]
)
def test_no_name_leads_out_of_the_board(label: str, tmp_path: Path) -> None:
    board = tmp_path / "deep/board"
    file = sealed(tmp_path / "a", board_record(label))
    if label.isprintable():
        (added,) = contribute([file], board)
        assert added.file == board / "smoke.jsonl"
    else:
        with pytest.raises(UserError, match="printable"):
            contribute([file], board)
    (added,) = add_records([sealed(tmp_path / "b", board_record(suite=label))], tmp_path / "plain")
    assert added.file.parent == tmp_path / "plain"
    assert not added.file.name.startswith((".", "-"))
    assert added.file.is_file()
    assert store_name("") == "single"


@pytest.mark.parametrize("name", ["smoke.jsonl", "smoke.shared.jsonl"])
def test_a_link_in_the_board_is_not_followed(name: str, tmp_path: Path) -> None:
    board, elsewhere = tmp_path / "board", tmp_path / "elsewhere"
    board.mkdir()
    (board / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match="leads out of"):
        contribute([sealed(tmp_path / "a", board_record())], board)
    assert not elsewhere.exists()


def test_a_failure_half_way_takes_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = tmp_path / "board"
    contribute([sealed(tmp_path / "first", board_record("first", "fcn_demo"))], board)
    before = {path: path.read_bytes() for path in board.rglob("*")}
    new = [sealed(tmp_path / f"run{seed}", board_record(seed=seed)) for seed in (0, 1)]
    single = sealed(tmp_path / "single", board_record(suite="", suite_hash="", suite_resolved={}, size=""))
    real, calls = Path.replace, []

    for failing in (1, 2, 3, 4):
        calls.clear()

        def replace(self: Path, target: Path, failing: int = failing) -> Path:
            calls.append(target)
            if len(calls) == failing:
                raise OSError(28, "No space left on device")
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(UserError, match="No space left on device"):
            add_records([*new, single], board)
        monkeypatch.setattr(Path, "replace", real)
        assert {path: path.read_bytes() for path in board.rglob("*")} == before
    assert len(add_records([*new, single], board)) == 3


def test_a_board_with_a_bad_record_is_not_added_to(tmp_path: Path) -> None:
    board = tmp_path / "board"
    contribute([sealed(tmp_path / "a", board_record())], board)
    store = board / "smoke.jsonl"
    store.write_text(store.read_text().replace('"metrics.mAP":31.0', '"metrics.mAP":99.0'))
    before = store.read_bytes()
    with pytest.raises(UserError, match=r"smoke\.jsonl:1: its content hash disagrees"):
        contribute([sealed(tmp_path / "b", board_record(seed=1))], board)
    assert store.read_bytes() == before


def test_additions_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Eight processes, one board."""
    files = [sealed(tmp_path / f"run{seed}", board_record(seed=seed)) for seed in range(8)]
    in_children([partial(add_records, [file], tmp_path / "board") for file in files])
    assert sorted(record.seed for record in collect(tmp_path / "board").records) == list(range(8))


def test_the_page_is_of_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(tmp_path), str(tmp_path)]) == 2
    assert "to add records: scenebench leaderboard add" in capsys.readouterr().err
    assert main(["leaderboard", "add"]) == 2
    assert "required: RECORD" in capsys.readouterr().err
    assert main(["leaderboard", "add", "x", "--out", "y"]) == 2
    assert "unrecognised: --out y" in capsys.readouterr().err
