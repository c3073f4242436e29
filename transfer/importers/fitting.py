"""Whether a checkpoint is of a family: its marks are there, its network is, and nothing else is in the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from torch import Tensor

from transfer.importers.containers import is_average
from transfer.importers.family import Branch, Checkpoint, Family
from transfer.importers.names import below, is_backbone_name, looks_like_resnet

_CLASSIFIER = ("fc.weight", "fc.bias")
_ANYBODYS = ("n_averaged", "steps")
"""What wrappers that average weights count; no family's."""


def as_claimed(family: Family, plain: Checkpoint) -> Family | None:
    """The family, with the prefixes that this file has, if it claims the file unasked; None if not.

    Args:
        plain: the checkpoint without wrappers' prefixes.
    """
    if not why_not(family, plain) and any(networks(family, branch, plain) for branch in family.branches):
        return family
    if family.released_bare and is_bare(plain):
        return bare(family)
    return None


def as_stated_family(family: Family, plain: Checkpoint) -> tuple[Family, str] | None:
    """The family with the prefixes that this file has, and a note, where the user says that it is this family's."""
    if not lacking(family, plain) and any(networks(family, branch, plain) for branch in family.branches):
        stray = unexplained(family, plain)
        return family, f"it also holds {stray}, which {family.title} does not save" if stray else ""
    if family.may_be_bare and looks_like_resnet(below("", plain.tensors)):
        several = len(family.branches) > 1
        note = f"bare names do not tell the branch: taken for '{family.branches[0].name}'" if several else ""
        return bare(family), note
    return None


def why_not(family: Family, plain: Checkpoint) -> list[str]:
    """What a checkpoint lacks, or has too much, to be of the family; the network apart."""
    stray = unexplained(family, plain)
    return lacking(family, plain) + ([f"it has {stray}, which that family has not"] if stray else [])


def lacking(family: Family, plain: Checkpoint) -> list[str]:
    """Marks of the family that a checkpoint has not."""
    reasons = [
        "nothing in it is named " + " or ".join(f"{pattern.removesuffix('*')}*" for pattern in group)
        for group in family.needs
        if not any(_matches(name, group) for name in plain.tensors)
    ]
    if not family.condition(plain):
        reasons.append("it lacks the mark of that family")
    return reasons


def unexplained(family: Family, plain: Checkpoint) -> str:
    """The first tensor of the state dict that the family does not account for; empty where there is none."""
    if family.beside is None:
        return ""
    prefixes = [prefix for branch in family.branches for prefix in branch.prefixes]
    for name in plain.tensors:
        if "/" in name or _matches(name, family.beside) or name in _ANYBODYS:
            continue
        if not any(_is_of_branch(family, prefix, name) for prefix in prefixes):
            return name
    return ""


def networks(family: Family, branch: Branch, plain: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """The ResNets under the branch's prefixes, by prefix, under torchvision's names."""
    found = {}
    for prefix in branch.prefixes:
        renamed = ((family.rename(name), tensor) for name, tensor in below(prefix, plain.tensors).items())
        tensors = {name: tensor for name, tensor in renamed if name is not None and name not in _ANYBODYS}
        if looks_like_resnet(tensors):
            found[prefix] = tensors
    return found


def branches_of(family: Family, plain: Checkpoint) -> tuple[Branch, ...]:
    """The family's branches, and ``ema`` where the file keeps a running average in a further state dict.

    The average is that of the network which the gradient trains, hence looked for under the prefixes of the branch that
    is (the first but for a teacher).
    """
    if is_average(plain.container):  # there is nothing but the average
        return (dataclasses.replace(family.branches[0], name="ema"),)
    tables = dict.fromkeys(name.rpartition("/")[0] for name in plain.tensors if "/" in name)
    prefixes = [
        f"{table}/{prefix}"
        for table in tables
        if is_average(table)
        for prefix in family.branches[0].prefixes
        if networks(family, Branch("ema", (f"{table}/{prefix}",)), plain)
    ]
    return (*family.branches, Branch("ema", tuple(prefixes[:1]))) if prefixes else family.branches


def is_bare(plain: Checkpoint) -> bool:
    """Whether a file is nothing but a ResNet under torchvision's names, without a classifier."""
    names = [name for name in plain.tensors if "/" not in name and name not in _ANYBODYS]
    return all(map(is_backbone_name, names)) and looks_like_resnet(below("", plain.tensors))


def bare(family: Family) -> Family:
    """The family for a file of torchvision's bare names."""
    branches = tuple(dataclasses.replace(branch, prefixes=("",)) for branch in family.branches)
    return dataclasses.replace(family, branches=branches, beside=None)


def only_a_classifier(checkpoint: Checkpoint) -> bool:
    """Whether ``fc``, if there is one, is one layer and not a projection head of several."""
    return all(name in _CLASSIFIER for name in checkpoint.tensors if name.startswith("fc."))


def _is_of_branch(family: Family, prefix: str, name: str) -> bool:
    if not name.startswith(prefix):
        return False
    renamed = family.rename(name[len(prefix) :])
    return renamed is None or is_backbone_name(renamed)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        name.startswith(pattern.removesuffix("*")) if pattern.endswith((".", "*")) else name == pattern
        for pattern in patterns
    )
