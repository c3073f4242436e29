"""Thousands of valid records in an instant: what the leaderboard's benchmark and its browser tests are made of."""

from __future__ import annotations

import json
import random
from pathlib import Path

from made_up_records import TASKS, make_record

from benchmarks.records.record import Record
from scenebench.config import config_hash

_METHODS = ("moco", "mls", "saliency", "densecl", "byol", "supervised")
_ARCHITECTURES = ("resnet18, stem 16", "resnet50", "vit_small_patch16")
_EPOCHS = (8, 100, 200, 400)


def many_records(number: int, seeds: int = 3) -> list[Record]:
    """Exactly ``number`` sealed records: backbones x every protocol x ``seeds``, with made-up numbers."""
    generator = random.Random(0)
    records: list[Record] = []
    row = 0
    while len(records) < number:
        row += 1
        records += _records_of_row(row, seeds, generator)
    return records[:number]


def _records_of_row(row: int, seeds: int, generator: random.Random) -> list[Record]:
    method, epochs = _METHODS[row % 6], _EPOCHS[row % 4]
    label, level = f"{method} {row:04d}", generator.uniform(15, 45)
    records = []
    for seed in range(seeds):
        recipe = {"name": f"{method}_demo", "method": method, "seed": seed, "row": row, "epochs": epochs}
        for protocol, (_, metrics) in TASKS.items():
            values = {metric: level + generator.gauss(3 * place, 1) for place, metric in enumerate(metrics)}
            record = make_record(label, protocol, seed, values, method, recipe=recipe)
            changes = {"architecture": _ARCHITECTURES[row % 3], "epochs": epochs, "images_seen": epochs * 1400}
            changes["recipe_hash"] = config_hash(recipe)
            record = record.model_copy(update={"backbone": record.backbone.model_copy(update=changes)})
            records.append(record.model_copy(update={"content_hash": record.computed_hash()}))
    return records


def write_many(folder: Path, records: list[Record]) -> Path:
    """Each record in a run folder of its own, with a short log beside it; not flushed to the disk one by one."""
    for number, record in enumerate(records):
        run = folder / f"run{number:05d}"
        run.mkdir(parents=True)
        text = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True)
        (run / "record.json").write_text(text + "\n", encoding="utf-8")
        (run / "log.txt").write_text(f"made-up run {number}\n" * 20, encoding="utf-8")
    return folder
