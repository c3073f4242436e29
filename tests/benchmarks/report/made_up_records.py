"""Records as a suite would leave them, with made-up numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.records.record import BackbonePart, DatasetPart, EnvironmentPart, ProtocolPart, Record, write_record
from scenebench.config import config_hash

TASKS = {
    "multilabel_knn": ("classification", ["mAP"]),
    "multilabel_linear": ("classification", ["mAP"]),
    "mask_rcnn_fpn_demo": ("detection", ["box_AP", "box_AP50", "box_AP75", "mask_AP", "mask_AP50", "mask_AP75"]),
    "fcn_demo": ("segmentation", ["mIoU", "mAcc", "aAcc"]),
    "pspnet_demo": ("segmentation", ["mIoU", "mAcc", "aAcc"]),
}
MakeRecord = Callable[..., Record]


def make_record(
    label: str = "mls",
    protocol: str = "multilabel_knn",
    seed: int = 0,
    metrics: dict[str, float | None] | None = None,
    method: str | None = None,
    origin: str = "own",
    recipe: dict[str, object] | None = None,
    **changes: object,
) -> Record:
    """An unsealed record; ``changes`` replace its top-level values."""
    task, names = TASKS.get(protocol, ("classification", ["mAP"]))
    method = method or {"random": "random_init"}.get(label, label)
    resolved = {"id": protocol, "settings": {"image_size": 128}}
    if recipe is None:
        recipe = {} if origin == "reference" else {"name": f"{label}_demo", "seed": seed, "data": {"root": f"d{seed}"}}
    content = {
        "suite": "demo",
        "size": "demo",
        "seed": seed,
        "protocol": ProtocolPart(id=protocol, version=1, task=task, hash=config_hash(resolved), resolved=resolved),
        "backbone": BackbonePart(
            label=label,
            method=method,
            origin=origin,
            architecture="resnet18, stem 16",
            sha256="ab" * 32,
            recipe_name=f"{label}_demo",
            recipe_hash=config_hash(recipe),
            recipe=recipe,
            dataset="scenes",
            dataset_fingerprint="0123456789abcdef",
            epochs=8,
            seed=seed,
        ),
        "dataset": DatasetPart(
            name="scenes",
            fingerprint="0123456789abcdef",
            train_split="train",
            test_split="test",
            train_images=1400,
            test_images=400,
            categories=16,
        ),
        "metrics": metrics if metrics is not None else dict.fromkeys(names, 10.0),
        "per_class": {"disc": {"mAP": 12.5}, "ring": {"mAP": None}},
        "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
        "wall_seconds": 12.5,
        "peak_memory_mb": 900.0,
        "environment": EnvironmentPart(
            packages={"torch": "2.14.1"}, python="3.11.2", platform="Linux", processor="a processor", threads=1
        ),
    }
    return Record(**{**content, **changes})


def fill(folder: Path, records: list[Record]) -> Path:
    """Write the records as a results folder without a suite."""
    for number, record in enumerate(records):
        write_record(folder / f"run{number:03d}" / "record.json", record)
    return folder


def demo_records() -> list[Record]:
    """What the demo suite leaves: cheap probes on three seeds, the others on one, two references."""
    means = {"random": 20.0, "moco": 25.0, "mls": 27.0, "saliency": 26.5}
    records = []
    for label, mean in means.items():
        for seed in range(3):
            for protocol, (_, metrics) in TASKS.items():
                if seed == 0 or protocol.startswith("multilabel"):
                    values = {metric: mean + seed + 0.25 * i for i, metric in enumerate(metrics)}
                    records.append(make_record(label, protocol, seed, values))
    for label, mean in {"scene-type oracle": 21.0, "colour-histogram probe": 18.0}.items():
        for protocol in ("multilabel_knn", "multilabel_linear"):
            records.append(make_record(label, protocol, 0, {"mAP": mean}, method="reference", origin="reference"))
    return records
