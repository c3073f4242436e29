"""Subsets of ImageNet by published lists, as SimCLR published them: one file name a line, ``n01440764_10026.JPEG``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.imagenet import synsets_of
from benchmarks.datasets.readers.lists import read_lines
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

PUBLISHED_SIZES = {12811: "1 %", 128116: "10 %"}


def write_subsets(tree: Tree, outputs: Outputs, lists: tuple[Path, ...], partial: bool) -> None:
    """``lists/imagenet_<list>.tsv`` for each list: ``train/<synset>/<file><TAB><label>`` lines.

    Raises:
        UserError: no list given, a line of another form, twice the same, an image that is not there, a class without
            any image, a size that is not a published one (unless ``partial``).
    """
    if not lists:
        raise UserError("imagenet: give the published lists with --list 1percent.txt --list 10percent.txt")
    synsets = synsets_of(tree)
    for path in lists:
        entries = _entries(tree, path, synsets)
        if not partial:
            _check_size(path, entries, synsets)
        outputs.write_list(f"lists/imagenet_{path.stem}.tsv", entries)


def _entries(tree: Tree, path: Path, synsets: list[str]) -> list[str]:
    label_of = {synset: label for label, synset in enumerate(synsets)}
    entries: list[str] = []
    for number, line in enumerate(read_lines(Tree(path.parent), path.name), start=1):
        file = Path(line.split()[0]).name
        synset = file.partition("_")[0]
        if synset not in label_of:
            raise UserError(f"{path}: line {number}: '{line}' names no class of {tree.root}/train")
        relative = f"train/{synset}/{file}"
        if not tree.has_file(relative):
            raise UserError(f"{path}: line {number}: {tree.root} has no {relative}")
        entries.append(f"{relative}\t{label_of[synset]}")
    if len(set(entries)) != len(entries):
        raise UserError(f"{path}: names {len(entries) - len(set(entries))} images twice")
    return entries


def _check_size(path: Path, entries: list[str], synsets: list[str]) -> None:
    if len(entries) not in PUBLISHED_SIZES:
        known = ", ".join(f"{size} ({share})" for size, share in PUBLISHED_SIZES.items())
        raise UserError(f"{path}: {len(entries)} images; published lists have {known}; --partial takes any number")
    without = len(synsets) - len({entry.rpartition("\t")[2] for entry in entries})
    if without:
        raise UserError(f"{path}: {without} of {len(synsets)} classes have no image; it is not a published list")
