"""The boards that the page of results is about: what each asks, what its rows are held against, what a run takes."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.suites.suite import Suite, load_suite


@dataclass(frozen=True)
class Board:
    """A suite that has a section of its own.

    Attributes:
        name: of the suite.
        asks: the question, for the list of boards.
        baseline: the row that the others are held against.
        is_claim: whether it is forks that put one method's claim to the test.
        options: what its command needs besides.
    """

    name: str
    asks: str
    baseline: str
    is_claim: bool = False
    options: str = ""

    @property
    def command(self) -> str:
        """What runs it."""
        return f"scenebench run {self.name} {self.options}--out results/{self.name}"


_PHOTOS = "--data FOLDER "
BOARDS = (
    Board("mini", "which methods learn what on generated scenes", "moco"),
    Board("mini_shape", "the same where only the shape tells a category", "moco"),
    Board("photos", "which methods learn what on small photographs", "moco", options=_PHOTOS),
    Board("mls_claim", "whether the loss of MLS helps, by forks from one MoCo-v2 start a seed", "moco on", True),
    Board("mls_tables", "tables 6 to 8 and figure 5 of MLS in small, by the same forks", "moco on", True),
    Board("saliency_claim", "whether saliency helps, by the same forks", "random crops, beta 0", True),
    Board("photos_claims", "both claims on photographs, by forks", "moco on", True, _PHOTOS),
)
COLUMNS = {
    "multilabel_knn": "kNN",
    "multilabel_linear": "the linear probe",
    "multilabel_low_shot": "the low-shot probe",
    "multilabel_finetune_1pct": "fine-tuning with 1 % of the labels",
    "multilabel_finetune_10pct": "fine-tuning with 10 % of the labels",
    "region_knn": "objects by kNN",
    "region_linear": "objects by the linear probe",
    "dense_linear": "patches by the linear probe",
    "dense_knn": "patches by kNN",
    "dense_linear_photos_ade": "patches of ADE20K by the linear probe",
    "dense_knn_photos_ade": "patches of ADE20K by kNN",
    "dense_linear_photos_voc": "patches of VOC by the linear probe",
    "dense_knn_photos_voc": "patches of VOC by kNN",
    "fcn_demo": "segmentation",
    "fcn_photos_ade": "segmentation of ADE20K",
    "fcn_photos_voc": "segmentation of VOC",
    "mask_rcnn_fpn_demo": "detection",
}
"""The columns in words, by protocol."""
ROWS = {"moco": "MoCo-v2", "densecl": "DenseCL", "byol": "BYOL", "mls": "MLS", "moco on": "MoCo-v2 trained on"}
"""Rows whose words are not their labels."""
UNTOLD = ("random", "supervised", "moco start")
"""Controls, and the start of forks: held against nothing."""


def in_words(protocol: str, metric: str) -> str:
    """A column as a sentence names it."""
    words = COLUMNS.get(protocol, protocol)
    return f"{words} ({metric.partition('_')[0]} AP)" if metric in ("box_AP", "mask_AP") else words


def row_in_words(label: str) -> str:
    """A row as a sentence names it: ``oracle, mean, lambda 0.5`` is ``oracle (mean, lambda 0.5)``."""
    name, comma, rest = ROWS.get(label, label).partition(", ")
    return f"{name} ({rest})" if comma else name


def estimated_hours(name: str) -> float:
    """Core-hours of a suite by the seconds that its file states; rows that share a pretraining count each."""
    suite: Suite = load_suite(name)
    seconds = 0.0
    for row in suite.backbones:
        seconds += row.seconds * len(row.seeds)
        for column in suite.protocols:
            judged = row.seeds if column.seeds is None else set(row.seeds) & set(column.seeds)
            seconds += column.seconds * len(judged)
    return seconds / 3600
