"""Numbers of other data, sizes, protocols or backbones never stand beside a published value."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_records import demo_records, make_record
from paper_records import COCO, CURRENT, FPN, MLS_KEYS, RESOLVED, paper_record, table_of

from benchmarks.published.layout import paper_table_names
from benchmarks.records.collect import ExpectedCell
from benchmarks.records.record import JudgedPart, Record
from benchmarks.report.paper_parts import PaperResult
from benchmarks.report.paper_render import paper_to_csv, paper_to_markdown
from benchmarks.report.table_parts import Cell


def cell(result: PaperResult, label: str, column: int = 0, group: int = 0) -> Cell:
    (place,) = [n for n, row in enumerate(result.rows) if row.label == label]
    return result.groups[group].cells[place][column]


def filled(result: PaperResult) -> set[tuple[str, int]]:
    """(row, column) of what stands beside a published value."""
    return {
        (row.label, column)
        for place, row in enumerate(result.rows)
        for column, found in enumerate(result.groups[0].cells[place])
        if row.is_paper and found.summary is not None
    }


def test_a_whole_paper_run_stands_beside_the_published_values() -> None:
    result = table_of([paper_record(value=40.0, seed=s) for s in (0, 1)] + [paper_record(value=43.0, seed=2)])
    assert filled(result) == {("MLS 800", column) for column in range(6)}
    found = cell(result, "MLS 800")
    assert (found.values, found.summary and found.summary.n) == ((40.0, 40.0, 43.0), 3)
    place = [row.label for row in result.rows].index("MLS 800")
    assert result.difference(place, 0) == pytest.approx(41.0 - 40.5)
    assert len(result.groups) == 1
    assert "missing" in paper_to_markdown(result)


SMALL = COCO.model_copy(update={"name": "scenes", "fingerprint": "5ce" * 5 + "0"})
OTHER_PROTOCOL = RESOLVED | {"settings": {"iterations": 10}}
SPOILT: dict[str, dict[str, Any]] = {
    "scenes at size paper": {"dataset": SMALL},
    "scenes with as many images": {"dataset": SMALL.model_copy(update={"test_images": 5000, "categories": 80})},
    "COCO at size demo": {"size": "demo"},
    "COCO at no size": {"size": ""},
    "size in capitals": {"size": "PAPER"},
    "another split": {"dataset": COCO.model_copy(update={"test_split": "train"})},
    "a part of the test images": {"dataset": COCO.model_copy(update={"test_images": 500})},
    "fewer judged than there are": {"judged": JudgedPart(images=4999)},
    "merged categories": {"dataset": COCO.model_copy(update={"categories": 1})},
    "an overridden protocol": {"resolved": OTHER_PROTOCOL},
    "a protocol that reads other data": {"resolved": RESOLVED | {"data": {"dataset": "scenes"}}},
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_not_the_columns_data_stands_apart(name: str) -> None:
    record = paper_record(**SPOILT[name])
    current = CURRENT | ({FPN: record.protocol.hash} if name == "a protocol that reads other data" else {})
    result = table_of([record], current=current)
    assert filled(result) == set()
    assert all(c.summary is None for line in result.groups[0].cells for c in line)
    (apart,) = result.groups[1:]
    assert record.dataset.name in apart.title
    assert apart.reasons
    lines = [line for line in paper_to_csv(result).splitlines() if "40.000000" in line]
    assert lines
    assert all(",apart," in line for line in lines)


ROW_SPOILT: dict[str, dict[str, Any]] = {
    "another k": {"keys": {"k": 5}},
    "another dictionary": {"keys": {"dictionary_size": 1024}},
    "a flag for a number": {"keys": {"k": True}},
    "another loss": {"keys": {"loss": "infonce_like"}},
    "another method under its label": {"method": "densecl_like", "label": "MLS 800"},
    "a narrow network": {"backbone": {"architecture": "resnet18w16"}},
    "fewer epochs": {"epochs": 200},
    "pretrained on scenes": {"backbone": {"dataset": "scenes/train"}},
    "pretrained on a part of COCO": {"backbone": {"images_seen": 800 * 5000}},
    "pretrained on nothing known": {"backbone": {"dataset": ""}},
    "imported under another name": {"backbone": {"origin": "imported"}, "label": "a download"},
}


@pytest.mark.parametrize("name", ROW_SPOILT)
def test_another_backbone_is_a_further_row(name: str) -> None:
    result = table_of([paper_record(**ROW_SPOILT[name])])
    assert filled(result) == set()
    (further,) = [n for n, row in enumerate(result.rows) if not row.is_paper]
    assert result.groups[0].cells[further][0].values == (40.0,)
    assert result.published[further] == [None] * 6
    assert result.difference(further, 0) is None


def test_a_label_alone_opens_no_row() -> None:
    """A suite may call a backbone whatever it likes."""
    for label in ("MLS 800", "ORL", "Self-EMD", "Supervised"):
        result = table_of([paper_record(method="byol", epochs=10, label=label)])
        assert filled(result) == set()


def test_imported_weights_stand_in_the_row_of_their_name() -> None:
    backbone = {"origin": "imported", "recipe": {}, "recipe_hash": "", "dataset": "", "epochs": 0, "images_seen": 0}
    result = table_of([paper_record("moco", label="MoCo-v2", backbone=backbone)])
    assert {row for row, _ in filled(result)} == {"MoCo-v2"}
    two = [
        paper_record("moco", 30.0 + s, s, label="MoCo-v2", backbone=backbone | {"sha256": f"{s}" * 64}) for s in (0, 1)
    ]
    result = table_of(two)
    assert filled(result) == set(), "two files are not two seeds"
    assert any("2 recipes fit the row MoCo-v2" in note for note in result.notes)


def test_two_copies_of_the_data_never_share_a_column() -> None:
    other = COCO.model_copy(update={"fingerprint": "beef" * 4})
    result = table_of([paper_record(value=40.0), paper_record(value=30.0, seed=1, dataset=other)])
    assert filled(result) == set()
    assert [group.columns[0].setting.fingerprint for group in result.groups[1:] if group.columns[0].setting] == [
        "beef" * 4,
        "c0c0" * 4,
    ]
    assert all(len(c.values) <= 1 for group in result.groups for line in group.cells for c in line)
    assert any("different copies" in note for note in result.notes)
    assert "beef" * 4 in paper_to_markdown(result)


def test_two_versions_of_a_protocol_never_share_a_column() -> None:
    result = table_of([paper_record(value=40.0), paper_record(value=30.0, seed=1, resolved=OTHER_PROTOCOL)])
    assert cell(result, "MLS 800").values == (40.0,)
    (apart,) = result.groups[1:]
    assert {column.setting.hash for column in apart.columns if column.setting} != set(CURRENT.values())
    three = [paper_record(resolved=RESOLVED | {"settings": {"iterations": n}}, seed=n) for n in (1, 2)]
    (apart,) = table_of(three).groups[1:]
    assert len({column.title for column in apart.columns}) == len(apart.columns), "told apart by their heads"
    assert all(len(c.values) <= 1 for line in apart.cells for c in line)


def test_two_recipes_never_share_a_cell() -> None:
    """Both hold what the paper states; they differ in what it does not say."""
    records = [paper_record(value=30.0 + s, seed=s, keys={"order": ("before", "after")[s]}) for s in (0, 1)]
    result = table_of(records)
    assert filled(result) == set()
    assert sorted(c.values for line in result.groups[0].cells for c in line[:1] if c.values) == [(30.0,), (31.0,)]


def test_one_backbone_under_two_suites_is_one_row_and_no_further_seed() -> None:
    first = paper_record(label="mls", value=40.0)
    second = paper_record(label="bce", value=41.0, suite="mls_table6", started="2026-02-01T00:00:00+00:00")
    assert cell(table_of([first, second]), "MLS 800").values == (41.0,)


@pytest.mark.parametrize("table", paper_table_names())
def test_the_demo_fills_no_published_cell(table: str) -> None:
    records = [r.model_copy(update={"content_hash": r.computed_hash()}) for r in demo_records()]
    result = table_of(records, table)
    assert all(c.summary is None for line in result.groups[0].cells for c in line)
    for group in result.groups[1:]:
        assert group.title == "scenes, size demo"


def test_records_named_like_paper_data_need_the_size_too() -> None:
    """A folder of scenes that calls itself coco2017 has neither COCO's number of images nor its protocol."""
    fake = make_record("mls", "mask_rcnn_fpn_demo").dataset.model_copy(update={"name": "coco2017"})
    record: Record = make_record("mls", "mask_rcnn_fpn_demo", dataset=fake, size="paper")
    result = table_of([record.model_copy(update={"content_hash": record.computed_hash()})])
    assert filled(result) == set()


def test_a_demo_of_the_ablation_finds_its_rows_in_a_group_apart() -> None:
    records = []
    for number, loss in enumerate(("infonce", "knn_softmax", "bce_positives", "bce")):
        for seed in (0, 1):
            recipe = {"method": "mls", "seed": seed, "mls": MLS_KEYS | {"loss": loss, "k": 5}}
            values = {"mAP": 20.0 + number + 0.5 * seed}
            record = make_record(
                loss, "multilabel_knn", seed, values, method="mls", recipe=recipe, suite="mls_table6_demo"
            )
            records.append(record.model_copy(update={"content_hash": record.computed_hash()}))
    result = table_of(records, "mls_table6")
    assert filled(result) == set()
    (apart,) = result.groups[1:]
    means = {
        row.label: line[0].summary.mean for row, line in zip(result.rows, apart.cells, strict=True) if line[0].summary
    }
    assert means == {"MoCo-v2": 20.25, "MoCo-v2 + kNN softmax": 21.25, "MoCo-v2 + BCE-pos": 22.25, "MLS": 23.25}
    found = cell(result, "MLS", group=1)
    assert found.delta == pytest.approx(3.0)
    assert found.best
    assert found.welch_p is not None
    assert found.interval is not None
    assert found.interval[0] < 3.0 < found.interval[1]


def test_a_baseline_of_another_budget_gives_no_difference() -> None:
    mls, moco = paper_record(), paper_record("moco", 38.0)
    assert cell(table_of([mls, moco]), "MLS 800").delta == pytest.approx(2.0)
    other = paper_record("moco", 38.0, backbone={"dataset_fingerprint": "0" * 16})
    result = table_of([mls, other])
    assert cell(result, "MoCo-v2").summary is not None
    assert cell(result, "MLS 800").delta is None
    assert any("no difference is taken" in note for note in result.notes)


def test_a_failed_run_is_shown_with_its_reason() -> None:
    gap = ExpectedCell("mls 800", FPN, "detection", ["box_AP"], 0, False, "r.json", "failed: out of memory, log x.txt")
    result = table_of([paper_record("moco", 38.0)], gaps=[gap])
    assert cell(result, "MLS 800").state == "failed"
    assert cell(result, "MLS 400").state == "missing"
    text = paper_to_markdown(result)
    assert "failed [" in text
    assert "failed: out of memory, log x.txt" in text
