"""The generated scenes, or any prepared data set of ``folder``, in the form of the official ones."""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.readers.coco import read_instances
from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree


def read_scenes(tree: Tree, fault: Fault = strict) -> OfficialData:
    """Every split of the description, with boxes and semantic maps; the fingerprint is compared too."""
    folder = DatasetFolder.open(tree.root)
    found = folder.compute_fingerprint()
    if found != folder.fingerprint:
        fault("checksum", tree.root, f"fingerprint {found}, not {folder.fingerprint}: changed since it was prepared")
    splits: dict[str, list[Sample]] = {}
    for split, count in folder.splits.items():
        relative = f"annotations/instances_{split}.json"
        classes, samples = read_instances(tree, relative, f"images/{split}", fault)
        if classes != folder.categories:
            fault("label", tree.path(relative), "its categories are not those of dataset.json")
        if len(samples) != count:
            fault("counts", tree.path(relative), f"{len(samples)} images, dataset.json says {count}")
        splits[split] = [
            Sample(sample.image, sample.labels, sample.boxes, _mask(tree, split, sample, fault), sample.size)
            for sample in samples
        ]
    values = frozenset({*range(len(folder.categories) + 1), 255})
    return OfficialData("scenes", tree.root, folder.categories, splits, [tuple(splits)], values)


def _mask(tree: Tree, split: str, sample: Sample, fault: Fault) -> Path | None:
    relative = f"semantic/{split}/{sample.image.stem}.png"
    if tree.has_file(relative):
        return tree.path(relative)
    fault("missing", sample.image, f"has no {relative}")
    return None
