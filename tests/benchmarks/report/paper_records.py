"""Records as a paper-size run would leave them, with made-up numbers."""

from __future__ import annotations

from typing import Any

from made_up_records import make_record

from benchmarks.published.layout import load_paper_table
from benchmarks.published.values import read_published
from benchmarks.records.collect import ExpectedCell, Results
from benchmarks.records.record import DatasetPart, ProtocolPart, Record
from benchmarks.report.paper_parts import PaperResult
from benchmarks.report.paper_tables import make_paper_table
from scenebench.config import config_hash

FPN = "mask_rcnn_r50_fpn_1x"
RESOLVED = {"id": FPN, "data": {"dataset": "coco2017"}, "settings": {"iterations": 90000}}
CURRENT = {FPN: config_hash(RESOLVED)}
METRICS = ("box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75")
MLS_KEYS: dict[str, Any] = {
    "k": 20,
    "dictionary_size": 4096,
    "loss_weight": 0.5,
    "temperature": 0.2,
    "momentum": 0.995,
    "loss": "bce",
    "dictionaries": "paired",
}
COCO = DatasetPart(
    name="coco2017",
    fingerprint="c0c0" * 4,
    train_split="train",
    test_split="val",
    train_images=117266,
    test_images=5000,
    categories=80,
)


def paper_record(
    method: str = "mls",
    value: float = 40.0,
    seed: int = 0,
    epochs: int = 800,
    label: str = "",
    keys: dict[str, Any] | None = None,
    backbone: dict[str, Any] | None = None,
    resolved: dict[str, Any] = RESOLVED,
    **changes: Any,
) -> Record:
    """A sealed record that may stand in tables 1, 6, 7 and 8 of MLS, unless ``changes`` or ``backbone`` spoil it.

    Args:
        keys: of the recipe's section ``mls``; ``backbone``: replaces values of the backbone's part.
    """
    mls = MLS_KEYS | (keys or {})
    recipe = {"method": method, "seed": seed, "mls": mls, "optimiser": {"lr": 0.3, "weight_decay": 1e-4}}
    protocol = ProtocolPart(id=FPN, version=1, task="detection", hash=config_hash(resolved), resolved=resolved)
    values: dict[str, Any] = {
        "protocol": protocol,
        "metrics": {metric: value + number for number, metric in enumerate(METRICS)},
        "dataset": COCO,
        "size": "paper",
        "suite": "mls_table1",
    }
    made = make_record(label or method, FPN, seed, method=method, recipe=recipe)
    part = {
        "architecture": "resnet50",
        "dataset": "coco2017/train2017",
        "dataset_fingerprint": "f00d" * 4,
        "epochs": epochs,
        "images_seen": epochs * 118272,
        **(backbone or {}),
    }
    content = made.model_dump(exclude={"judged", "content_hash"}) | {
        name: item.model_dump() if hasattr(item, "model_dump") else item for name, item in (values | changes).items()
    }
    content["backbone"] |= part
    record = Record.model_validate(content)
    return record.model_copy(update={"content_hash": record.computed_hash()})


def table_of(
    records: list[Record],
    name: str = "mls_table1",
    current: dict[str, str] | None = None,
    gaps: list[ExpectedCell] | None = None,
) -> PaperResult:
    """The paper's table ``name`` with these records."""
    results = Results("T", "", [], [], records, gaps or [])
    return make_paper_table(load_paper_table(name), read_published(), results, CURRENT if current is None else current)
