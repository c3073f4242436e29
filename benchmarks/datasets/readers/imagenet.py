"""ImageNet-1k as folders with synset names.

::

    ROOT/train/<synset>/<synset>_<number>.JPEG
    ROOT/val/<synset>/ILSVRC2012_val_<8 digits>.JPEG

Labels are the places of the synsets in sorted order, as every toolbox has them.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.datasets.readers.lists import read_lines
from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree, some_of
from scenebench.errors import UserError

_SYNSET = re.compile(r"n\d{8}")


def read_imagenet(tree: Tree, fault: Fault = strict) -> OfficialData:
    """``train`` and ``val``.

    Raises:
        UserError: the images of a split lie flat, or no folder of ``train`` has a synset's name.
    """
    synsets = synsets_of(tree)
    splits = {split: _read_split(tree, split, synsets, fault) for split in ("train", "val")}
    return OfficialData("imagenet", tree.root, synsets, splits, [("train", "val")])


def read_subset(tree: Tree, list_file: Path | str) -> list[Sample]:
    """The training images of a prepared list (``path<TAB>label`` lines, see ``preparing.imagenet``)."""
    list_file = Path(list_file)
    samples: list[Sample] = []
    count = len(synsets_of(tree))
    for line in read_lines(Tree(list_file.parent), list_file.name):
        relative, _, label = line.partition("\t")
        if not label.isdecimal() or int(label) >= count or not tree.has_file(relative):
            raise UserError(f"{list_file}: '{line}' is no image below {tree.root} with its label; prepare it again")
        samples.append(Sample(tree.path(relative), (int(label),)))
    return samples


def synsets_of(tree: Tree) -> list[str]:
    """The class folders of ``train``, sorted."""
    synsets = [name for name in tree.folders("train") if _SYNSET.fullmatch(name)]
    if not synsets:
        here = [*(f"{name}/" for name in tree.folders("train")), *sorted(tree.files("train"))]
        raise UserError(
            f"{tree.root}: train/ holds no folder with a synset's name (n01440764, ...); it holds {some_of(here)}"
        )
    return synsets


def _read_split(tree: Tree, split: str, synsets: list[str], fault: Fault) -> list[Sample]:
    if tree.files(split) and not tree.folders(split):
        raise UserError(
            f"{tree.root}: the images of {split}/ lie flat ({some_of(sorted(tree.files(split)), 2)}); "
            "sort them into folders with synset names, as the devkit's ground truth says"
        )
    samples: list[Sample] = []
    label_of = {synset: label for label, synset in enumerate(synsets)}
    for folder in tree.folders(split):
        if folder not in label_of:
            fault("label", tree.path(f"{split}/{folder}"), "is not the folder of a training class")
            continue
        for name in sorted(tree.files(f"{split}/{folder}")):
            path = tree.path(f"{split}/{folder}/{name}")
            prefix = name.partition("_")[0]
            if not name.upper().endswith((".JPEG", ".JPG", ".PNG")):
                fault("unlisted", path, "is not an image by its name")
            elif _SYNSET.fullmatch(prefix) and prefix != folder:
                fault("label", path, f"is an image of {prefix} in the folder of {folder}")
            else:
                samples.append(Sample(path, (label_of[folder],)))
    for synset in sorted(set(synsets) - set(tree.folders(split))):
        fault("missing", tree.path(split), f"has no folder {synset}")
    return samples
