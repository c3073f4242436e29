"""Lists of training images: the published 1 % and 10 % of ImageNet, as published or as 'data prepare' wrote them."""

from __future__ import annotations

import difflib
from pathlib import Path

from benchmarks.datasets.readers.imagenet import read_subset, synsets_of
from benchmarks.datasets.readers.lists import read_lines
from benchmarks.datasets.samples import Sample
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def read_train_list(root: Path, name: str) -> list[Sample]:
    """The training images that a list names, of ImageNet below ``root``.

    Args:
        name: the file; below ``root`` unless absolute. Lines ``train/<synset>/<file><TAB><label>`` (prepared) or
            ``n01440764_10026.JPEG`` (published).

    Raises:
        UserError: no such file, a line of another form, an image that is not there or named twice, a class without
            an image.
    """
    path = root / name
    if not path.is_file():
        raise UserError(_explain_missing(root, path))
    tree = Tree(root)
    first = next(iter(read_lines(Tree(path.parent), path.name)), "")
    if not first:
        raise UserError(f"{path}: names no image")
    samples = read_subset(tree, path) if "\t" in first else _read_published(tree, path)
    images = [sample.image for sample in samples]
    if len(set(images)) != len(images):
        raise UserError(f"{path}: names {len(images) - len(set(images))} images twice")
    without = len(synsets_of(tree)) - len({sample.labels for sample in samples})
    if without:
        raise UserError(f"{path}: {without} of {len(synsets_of(tree))} classes have no image in it")
    return samples


def _read_published(tree: Tree, path: Path) -> list[Sample]:
    label_of = {synset: label for label, synset in enumerate(synsets_of(tree))}
    samples: list[Sample] = []
    for number, line in enumerate(read_lines(Tree(path.parent), path.name), start=1):
        file = Path(line.split()[0]).name
        synset = file.partition("_")[0]
        if synset not in label_of:
            raise UserError(f"{path}: line {number}: '{line}' names no class of {tree.root}/train")
        relative = f"train/{synset}/{file}"
        if not tree.has_file(relative):
            raise UserError(f"{path}: line {number}: {tree.root} has no {relative}")
        samples.append(Sample(tree.path(relative), (label_of[synset],)))
    return samples


def _explain_missing(root: Path, path: Path) -> str:
    here = sorted(str(file.relative_to(root)) for file in (root / "lists").glob("*")) if root.is_dir() else []
    near = difflib.get_close_matches(f"lists/{path.name}", here, n=1, cutoff=0.5)
    hint = f" (did you mean settings.train_list={near[0]}?)" if near else ""
    return (
        f"{path}: no such list of training images{hint}; make it from the published one with "
        f"'scenebench data prepare imagenet {root} --list FILE', or name a file with settings.train_list="
    )
