"""``scenebench compare``: what is compared with what, by which test, and what is listed instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_records import fill, make_record

from benchmarks.compare.compare import compare
from benchmarks.compare.sides import Side, find_side
from benchmarks.compare.text import to_json, to_markdown, to_text
from benchmarks.records.record import DatasetPart, ProtocolPart, Record
from scenebench.cli import main
from scenebench.config import config_hash
from scenebench.errors import UserError

KNN = "multilabel_knn"


def row(label: str, values: dict[int, float | None], protocol: str = KNN, **changes: object) -> list[Record]:
    part = changes.pop("protocol_part", None)
    records = [make_record(label, protocol, seed, {"mAP": value}, **changes) for seed, value in values.items()]  # type: ignore[arg-type]
    return [record.model_copy(update={"protocol": part}) for record in records] if part else records


def side(*rows: list[Record]) -> Side:
    return Side("x", {found[0].backbone.label: found for found in rows})


def other_protocol(version: int = 1, k: int = 3) -> ProtocolPart:
    resolved = {"id": KNN, "version": version, "settings": {"image_size": 128, "knn": {"k": k}}}
    return ProtocolPart(id=KNN, version=version, task="classification", hash=config_hash(resolved), resolved=resolved)


def test_equal_seeds_are_paired_and_others_are_not() -> None:
    a = row("moco", {0: 10.0, 1: 12.0, 2: 14.0})
    (paired,) = compare(side(a), side(row("mls", {0: 11.0, 1: 13.5, 2: 15.2}))).differences
    assert (paired.test, paired.pairs, paired.why_none) == ("paired t", 3, "")
    assert paired.difference == pytest.approx(3.7 / 3)
    (welch,) = compare(side(a), side(row("mls", {0: 11.0, 1: 13.5, 5: 15.2}))).differences
    assert (welch.test, welch.pairs) == ("Welch", 0)
    assert paired.p is not None
    assert welch.p is not None
    assert paired.p < welch.p  # the seeds' own differences are taken out
    (single,) = compare(side(row("moco", {0: 10.0})), side(row("mls", {0: 11.0}))).differences
    assert (single.test, single.p, single.interval, single.why_none) == ("", None, None, "n = 1: no test")
    (one_sided,) = compare(side(a), side(row("mls", {0: 11.0}))).differences
    assert one_sided.why_none == "n = 1: no test"
    (equal,) = compare(side(a), side(row("mls", {0: 11.0, 1: 13.0, 2: 15.0}))).differences
    assert equal.why_none == "the differences do not vary: no test"


def test_holm_is_over_all_tests_of_one_comparison() -> None:
    values = {0: 10.0, 1: 11.0, 2: 13.0}
    a = [*row("moco", values), *row("moco", values, "multilabel_linear")]
    b = [*row("mls", {0: 11.0, 1: 12.1, 2: 13.9}), *row("mls", {0: 12.0, 1: 10.0, 2: 14.0}, "multilabel_linear")]
    first, second = sorted(compare(side(a), side(b)).differences, key=lambda one: one.p or 0)
    assert first.p_holm == pytest.approx(2 * (first.p or 0))
    assert second.p_holm == pytest.approx(second.p)


def test_rows_of_two_suites_are_paired_by_name() -> None:
    a = side(row("moco", {0: 1.0}), row("gone", {0: 1.0}))
    b = side(row("moco", {0: 3.0}), row("new", {0: 1.0}))
    found = compare(a, b)
    assert [(one.row_a, one.row_b, one.difference) for one in found.differences] == [("moco", "moco", 2.0)]
    assert (found.only_a, found.only_b) == (["gone"], ["new"])
    with pytest.raises(UserError, match=r"no row in common \(gone, moco / mls\)"):
        compare(a, side(row("mls", {0: 1.0})))


def test_what_cannot_be_compared_is_listed_with_the_reason() -> None:
    a = [*row("moco", {0: 10.0}), *row("moco", {0: 20.0}, "multilabel_linear")]
    same = row("mls", {0: 11.0}, "multilabel_linear")
    other_values = row("mls", {0: 11.0}, protocol_part=other_protocol(version=2, k=20))
    found = compare(side(a), side([*same, *other_values]))
    assert [one.protocol for one in found.differences] == ["multilabel_linear"]
    (left,) = found.not_comparable
    assert left.protocol == KNN
    assert "protocol version 1 and 2" in left.reason
    assert "settings.knn.k - and 20" in left.reason
    with pytest.raises(UserError, match="nothing can be compared: multilabel_knn: protocol version 1 and 2"):
        compare(side(row("moco", {0: 10.0})), side(other_values))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": "paper"}, "size demo and paper"),
        ({"dataset": {"fingerprint": "ffff"}}, r"data scenes \(0123456789abcdef\) and scenes \(ffff\)"),
        ({"dataset": {"name": "photos"}}, r"data scenes .* and photos \("),
    ],
)
def test_other_data_and_sizes_are_refused(change: dict[str, object], reason: str) -> None:
    record = make_record("mls")
    if isinstance(change.get("dataset"), dict):
        change = {"dataset": DatasetPart(**{**record.dataset.model_dump(), **change["dataset"]})}  # type: ignore[dict-item]
    with pytest.raises(UserError, match=f"nothing can be compared: {KNN}: {reason}"):
        compare(side(row("moco", {0: 1.0})), side([record.model_copy(update=change)]))


def test_an_undefined_metric_is_no_zero() -> None:
    a = [*row("moco", {0: None}), *row("moco", {0: 1.0}, "multilabel_linear")]
    b = [*row("mls", {0: 5.0}), *row("mls", {0: 5.0}, "multilabel_linear")]
    found = compare(side(a), side(b))
    assert [one.protocol for one in found.differences] == ["multilabel_linear"]
    assert [one.reason for one in found.not_comparable] == ["mAP has no value on one side"]


def test_recipes_differ_key_by_key_but_not_by_seed_or_path() -> None:
    a = row("moco", {0: 1.0}, recipe={"mls": {"k": 5}, "seed": 0, "data": {"root": "here", "size": 64}})
    b = row("mls", {1: 1.0}, recipe={"mls": {"k": 20}, "seed": 1, "data": {"root": "there", "size": 64}})
    (setup,) = compare(side(a), side(b)).setups
    assert {(key.key, key.a, key.b) for key in setup.keys} == {
        ("backbone.method", "moco", "mls"),
        ("recipe.mls.k", "5", "20"),
    }


def test_the_three_formats_say_the_same_and_keep_text_as_text() -> None:
    hostile = "<b>|x\n\x1b[31m"
    found = compare(side(row("moco", {0: 1.0, 1: 2.0})), side(row(hostile, {0: 3.0, 1: 4.5}, method="mls")))
    content = json.loads(to_json(found))
    assert content["differences"][0]["difference"] == pytest.approx(2.25)
    markdown = to_markdown(found)
    assert "<b>" not in markdown
    assert "+2.25" in markdown
    text = to_text(found)
    assert "\x1b" not in text
    assert "+2.25" in text
    assert "p Holm is adjusted for the 1 tests" in text


def test_a_side_is_found_by_folder_file_backbone_or_label(tmp_path: Path) -> None:
    board = fill(tmp_path / "board", [*row("moco", {0: 1.0}), *row("mls", {0: 2.0})])
    assert find_side(str(board), []).rows.keys() == {"moco", "mls"}
    assert find_side(str(board / "run000/record.json"), []).rows.keys() == {"moco"}
    assert find_side("mls", [board]).rows.keys() == {"mls"}
    with pytest.raises(UserError, match="did you mean 'moco'"):
        find_side("mocoo", [board])
    backbone = tmp_path / "some.safetensors"
    backbone.write_bytes(b"weights")
    with pytest.raises(UserError, match="no record of this backbone file"):
        find_side(str(backbone), [board])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="holds no records"):
        find_side(str(empty), [])


def test_one_label_of_two_recipes_is_two_rows(tmp_path: Path) -> None:
    records = [*row("moco", {0: 1.0}), *row("moco", {0: 2.0}, recipe={"k": 9})]
    rows = find_side("moco", [fill(tmp_path / "board", records)]).rows
    assert len(rows) == 2
    assert all(name.startswith("moco [") for name in rows)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = fill(tmp_path / "board", [*row("moco", {0: 1.0, 1: 2.0}), *row("mls", {0: 2.0, 1: 4.0})])
    assert main(["compare", "moco", "mls", "--records", str(board)]) == 0
    assert "+1.50" in capsys.readouterr().out
    assert (
        main(["compare", "moco", "mls", "--records", str(board), "--format", "json", "--out", str(tmp_path / "c")]) == 0
    )
    assert json.loads((tmp_path / "c").read_text())["differences"][0]["test"] == "paired t"
    call = ["compare", "moco", "mls", "--records", str(board), "--out", str(tmp_path / "c")]
    capsys.readouterr()
    assert main(call) == 2
    assert "c: exists already and would be lost" in capsys.readouterr().err
    assert json.loads((tmp_path / "c").read_text()), "kept as it was"
    assert main([*call, "--overwrite"]) == main(call) == 0, "the same text again is no loss"
    capsys.readouterr()
    assert main(["compare", "moco", "mls", "--records", str(board), "--format", "jsn"]) == 2
    assert "did you mean 'json'" in capsys.readouterr().err
