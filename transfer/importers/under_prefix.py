"""A ResNet wherever it lies in a file: under the prefix that the user names, or the only one there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from scenebench.errors import UserError
from transfer.importers.detectron2 import from_detectron2
from transfer.importers.family import Branch, Checkpoint, Family
from transfer.importers.fitting import networks
from transfer.importers.names import (
    below,
    looks_like_resnet,
    of_feature_blocks,
    of_huggingface,
    of_sequential,
    unwrapped_name,
)

_RULES: tuple[Callable[[str], str | None], ...] = (of_sequential, of_huggingface, of_feature_blocks, from_detectron2)
_LAST_STAGES = (
    "layer4.0.conv1.weight",
    "7.0.conv1.weight",
    "encoder.stages.3.layers.0.layer.0.convolution.weight",
    "4.0.conv1.weight",
    "res5.0.conv1.weight",
)
_MODULES = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
_OF_OTHER_RESNETS = ("conv2", "bn2", "conv3", "bn3", "stem", "attnpool", "attn_pool", "maxpool")


def family_under(prefix: str, family: Family, plain: Checkpoint, branch: str | None) -> Family:
    """``family`` with its network below ``prefix``, in whatever naming it is there.

    Args:
        prefix: as it stands in the file or without wrappers; a final dot may be missing.
        branch: what the user calls it; without it the family's name of that branch, if it has such a prefix.

    Raises:
        UserError: nothing begins so, or no ResNet lies below; the prefixes that have one are listed.
    """
    wanted = unwrapped_name(prefix if prefix.endswith((".", "/")) or not prefix else f"{prefix}.")
    known = next((known.name for known in family.branches if wanted in known.prefixes), "only")
    for rule in (family.rename, *_RULES):
        moved = _moved(family, wanted, branch or known, rule)
        if networks(moved, moved.branches[0], plain):
            return moved
    there = prefixes_of_resnets(plain)
    where = f"a ResNet lies below {' and '.join(map(_shown, there))}" if there else "no ResNet is in this file"
    found = f"{len(below(wanted, plain.tensors))} tensors begin with it, but make no ResNet"
    raise UserError(f"{plain.path}: --prefix {prefix}: {found}; {where}")


def family_under_any(unknown: Family, plain: Checkpoint, hint: str) -> Family | None:
    """``unknown`` with the only ResNet of the file; None where there is none.

    Args:
        hint: what to add to the error.

    Raises:
        UserError: there are several; all are listed, for none is the right one by its name alone.
    """
    prefixes = prefixes_of_resnets(plain)
    if len(prefixes) > 1:
        listed = ", ".join(f"--prefix {_shown(prefix)}" for prefix in prefixes)
        raise UserError(
            f"{plain.path}: of no known family, with {len(prefixes)} ResNets; say which one its authors transfer: "
            f"{listed}{hint}"
        )
    return family_under(prefixes[0], unknown, plain, None) if prefixes else None


def prefixes_of_resnets(plain: Checkpoint) -> list[str]:
    """Below which prefixes of a checkpoint (without wrappers) a ResNet lies, in the file's order."""
    found: dict[str, None] = {}
    for name in plain.tensors:
        for last in _LAST_STAGES:
            prefix = name.removesuffix(last)
            if prefix != name and (not prefix or prefix.endswith((".", "/"))) and _resnet_below(prefix, plain):
                found[prefix] = None
    return list(found)


def _resnet_below(prefix: str, plain: Checkpoint) -> bool:
    tensors = below(prefix, plain.tensors)
    return any(looks_like_resnet({rule(name) or "": tensor for name, tensor in tensors.items()}) for rule in _RULES)


def _moved(family: Family, prefix: str, branch: str, rule: Callable[[str], str | None]) -> Family:
    def rename(name: str) -> str | None:
        renamed = rule(name)
        known = renamed is not None and renamed.partition(".")[0] in (*_MODULES, *_OF_OTHER_RESNETS)
        return renamed if known else None  # heads beside the network's own modules

    return dataclasses.replace(
        family, branches=(Branch(branch, (prefix,)),), rename=rename, needs=(), beside=None, released_bare=False
    )


def _shown(prefix: str) -> str:
    return f"'{prefix}'"
