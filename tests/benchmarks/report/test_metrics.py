"""The one list of metrics, and that whatever shows main metrics shows those."""

from __future__ import annotations

from pathlib import Path

from made_up_records import fill, make_record

from benchmarks.published.values import COMPARED_METHODS, read_published
from benchmarks.report.leaderboard_tables import published_sections
from benchmarks.report.metrics import KINDS, MAIN_METRICS, kind_of, metric_label, metric_order
from docs.generate.results import Page


def test_every_kind_has_main_metrics_of_its_own() -> None:
    assert MAIN_METRICS == (
        "mAP",
        "top1",
        "object_acc",
        "dense_mIoU",
        "CorLoc",
        "box_AP",
        "mask_AP",
        "mIoU",
        "max_F",
        "AUC",
    )
    for kind in KINDS:
        assert {kind_of(metric) for metric in kind.main} == {kind.name}


def test_order_and_names() -> None:
    metrics = ["aAcc", "mask_AP50", "other", "box_AP50", "box_AP", "mIoU", "top1", "mAP"]
    ordered = ["mAP", "top1", "box_AP", "box_AP50", "mask_AP50", "mIoU", "aAcc", "other"]
    assert sorted(metrics, key=metric_order) == ordered
    assert metric_label("mask_AP50") == "mask AP50"
    assert metric_label("x" * 100) == "x" * 79 + "…"


def test_rank_agreement_has_a_column_of_every_main_metric(tmp_path: Path) -> None:
    """Accuracy is one: a suite on a data set of one label an image has no mAP."""
    records = [
        make_record(label, "multilabel_knn", seed, {"top1": 10.0 + place + seed / 10, "top5": 50.0})
        for place, label in enumerate(COMPARED_METHODS)
        for seed in (0, 1)
    ]
    fill(tmp_path / "records/own", records)
    head = Page(tmp_path).agreement("own").splitlines()[0]
    assert head == "| published | multilabel_knn top1 |"


def test_published_segmentation_is_found_by_its_own_filter_alone() -> None:
    """Beside mIoU its tables print pixel accuracies, which are no classification."""
    (fcn,) = [one for one in published_sections(read_published()) if {"mIoU", "mAcc"} <= _heads(one.table.columns)]
    assert fcn.kinds == ["semantic_segmentation"]


def _heads(columns: object) -> set[str]:
    return {column.name.rpartition(": ")[2] for column in columns}  # type: ignore[attr-defined]
