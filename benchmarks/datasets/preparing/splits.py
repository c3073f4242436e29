"""Split files of the small sets: one list a split, so that nothing but text is needed to train on them."""

from __future__ import annotations

from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.tree import Tree


def write_splits(name: str, tree: Tree, outputs: Outputs) -> None:
    """``lists/<name>_<split>.tsv``: ``<path><TAB><label>`` lines; paths relative to the root, labels 0-based."""
    for split, samples in read_official(name, tree).splits.items():
        entries = [f"{tree.relative(sample.image)}\t{sample.labels[0]}" for sample in samples]
        outputs.write_list(f"lists/{name}_{split}.tsv", entries)
