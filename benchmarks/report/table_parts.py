"""What a table is made of: kinds, columns, rows, cells."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.report.statistics import Summary
from scenebench.config import config_hash
from scenebench.untrusted_text import clip as clip

METRIC_NAMES = {
    "mAP": "mAP",
    "box_AP": "box AP",
    "box_AP50": "box AP50",
    "box_AP75": "box AP75",
    "mask_AP": "mask AP",
    "mask_AP50": "mask AP50",
    "mask_AP75": "mask AP75",
}
# Notes that belong wherever a method is named.
METHOD_NOTES = {
    "saliency": "The method 'saliency' is a re-implementation from the abstract of arXiv 2302.11461; "
    "its paper's details were not available.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of table: the metrics of ``task`` that start with ``prefix``; ``primary`` ones get a difference column."""

    name: str
    title: str
    task: str
    prefix: str
    primary: tuple[str, ...]


KINDS = (
    Kind("classification", "Multi-label classification", "classification", "", ("mAP", "top1")),
    Kind("detection", "Object detection (boxes)", "detection", "box_", ("box_AP",)),
    Kind("instance_segmentation", "Instance segmentation (masks)", "detection", "mask_", ("mask_AP",)),
    Kind("semantic_segmentation", "Semantic segmentation", "segmentation", "", ("mIoU",)),
)


@dataclass(frozen=True)
class Column:
    """One protocol (in one version, with one set of values) and one metric."""

    protocol: str
    version: int
    hash: str
    metric: str
    title: str
    primary: bool

    @property
    def metric_name(self) -> str:
        """The metric as a table's head says it."""
        return METRIC_NAMES.get(self.metric, clip(self.metric))


@dataclass(frozen=True)
class Cell:
    """One value of a table.

    Attributes:
        state: ``measured``, ``undefined`` (the metric has no value), ``missing``, ``failed`` or ``none`` (not planned).
        summary: over the seeds that were measured.
        planned: number of seeds that were planned.
        delta, delta_spread: difference to the baseline's mean, and its spread.
        welch_p, interval: Welch's two-sided p value and the bootstrap interval of the difference; None of single seeds.
        best: the highest mean among the backbones (references do not count).
        records: content hashes of the records behind it.
        values: one a record.
        reasons: why seeds are missing.
    """

    state: str
    summary: Summary | None = None
    planned: int = 0
    delta: float | None = None
    delta_spread: float | None = None
    welch_p: float | None = None
    interval: tuple[float, float] | None = None
    best: bool = False
    records: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A backbone or a reference."""

    label: str
    method: str
    origin: str
    cells: list[Cell]
    is_baseline: bool = False

    @property
    def is_reference(self) -> bool:
        """Whether the row judges no backbone."""
        return self.origin == "reference"


@dataclass(frozen=True)
class Table:
    """One table, in the unit of percent."""

    kind: Kind
    data: str
    fingerprint: str
    size: str
    categories: int
    columns: list[Column]
    rows: list[Row]

    @property
    def name(self) -> str:
        """What tells this table from every other one of the same results, for files and anchors."""
        return f"{self.kind.name}-{self.fingerprint[:8]}-{config_hash([self.data, self.size])[:4]}"
