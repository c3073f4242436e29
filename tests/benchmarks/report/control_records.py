"""Records of a suite that states controls, in which the positive one passes, is borderline, fails or is missing."""

from __future__ import annotations

from collections.abc import Sequence

from made_up_records import make_record

from benchmarks.records.record import Record
from scenebench.config import config_hash

NOISE = (-1.0, 0.0, 1.0)
"""Added to every row's mean, by seed; one row has no more spread than another, so that the pooled spread is 1."""
CONTROLS = {
    "negative": "random",
    "positive": "supervised",
    "spreads": 3.0,
    "points": 0.0,
    "range": {"multilabel_linear.mAP": {"spreads": 8.0, "points": 0.0}},
}


def seal(record: Record) -> Record:
    return record.model_copy(update={"content_hash": record.computed_hash()})


def controlled(
    means: dict[str, float],
    protocol: str = "multilabel_linear",
    metrics: tuple[str, ...] = ("mAP",),
    seeds: int = 3,
    controls: dict[str, object] | None = None,
    noise: Sequence[float] = NOISE,
    **changes: object,
) -> list[Record]:
    """Sealed records of one column or several equal ones: every row its mean and its noise, rolled by row.

    Rolled noise makes the paired differences vary.
    """
    suite = {"name": "own", "controls": CONTROLS if controls is None else controls}
    about = {"suite": "own", "suite_resolved": suite, "suite_hash": config_hash(suite), **changes}
    records = []
    for number, (label, mean) in enumerate(means.items()):
        for seed in range(seeds):
            value = mean + noise[(seed + number) % len(noise)]
            records.append(seal(make_record(label, protocol, seed, dict.fromkeys(metrics, value), **about)))
    return records


def reference(value: float, protocol: str, metric: str) -> Record:
    """The predictor that looks at no picture."""
    label = "chance, no picture seen"
    return seal(make_record(label, protocol, 0, {metric: value}, method="chance", origin="reference", suite="own"))
