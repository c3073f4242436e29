"""Why a checkpoint is not of a family, and which family it is nearest to: what an error has to say."""

from __future__ import annotations

import difflib

from transfer.importers.family import Checkpoint, Family
from transfer.importers.names import LAST_STAGE, STEMS, below, is_backbone_name


def why_not(family: Family, plain: Checkpoint) -> list[str]:
    """What a checkpoint (without wrappers' prefixes) lacks, or has too much, to be of the family; the network apart."""
    reasons = [
        f"nothing in it is named {' or '.join(f'{prefix}*' for prefix in group)}"
        for group in family.needs
        if not _any_begins(plain, group)
    ]
    reasons += [
        f"it has {prefix}*, which that family has not" for prefix in family.refuses if _any_begins(plain, (prefix,))
    ]
    if not family.condition(plain):
        reasons.append("it lacks the mark of that family")
    return reasons


def nearest_family(plain: Checkpoint, families: dict[str, Family]) -> str:
    """Sentences: the family that most of the tensors would fit, what it expects, how many fit and what is missing."""
    known = f"Known families: {', '.join(families)}"
    counted = {name: _fitting(family, plain) for name, family in families.items() if not family.fallback}
    best = max(counted, key=lambda name: (counted[name][0], -len(why_not(families[name], plain))))
    count, prefix = counted[best]
    total = len(plain.tensors)
    if count:
        family = families[best]
        present = {family.rename(name) for name in below(prefix, plain.tensors)}
        lacks = [] if present & set(STEMS) else [f"it lacks the first convolution, {prefix}{STEMS[0]}"]
        lacks += [] if LAST_STAGE in present else [f"it lacks {prefix}{LAST_STAGE}"]
        reasons = "; ".join([*why_not(family, plain), *lacks])
        return f"Nearest is {best} ({family.rule}): {count} of its {total} tensors fit, but {reasons}. {known}"
    return f"{_without_any(plain, families)}. {known}"


def _fitting(family: Family, plain: Checkpoint) -> tuple[int, str]:
    counts = [
        (sum(is_backbone_name(family.rename(name) or "") for name in below(prefix, plain.tensors)), prefix)
        for branch in family.branches
        for prefix in branch.prefixes
    ]
    return max(counts, key=lambda count: count[0])


def _without_any(plain: Checkpoint, families: dict[str, Family]) -> str:
    total = len(plain.tensors)
    strays = sorted({name.removesuffix(LAST_STAGE) for name in plain.tensors if name.endswith(f".{LAST_STAGE}")})
    if not strays:
        return f"No ResNet is among its {total} tensors ({', '.join(sorted(plain.tensors)[:3])}, ...)"
    prefixes = {
        prefix: name
        for name, family in families.items()
        for branch in family.branches
        for prefix in branch.prefixes
        if prefix
    }
    near = (difflib.get_close_matches(strays[0], prefixes, n=1, cutoff=0.0) or [""])[0]
    count = sum(is_backbone_name(name.removeprefix(strays[0])) for name in plain.tensors if name.startswith(strays[0]))
    return (
        f"A ResNet lies under '{strays[0]}' ({count} of its {total} tensors), where no family has one; nearest is "
        f"{prefixes[near]}, which has it under '{near}'. Take the prefix off, or rename it to 'backbone.'"
    )


def _any_begins(plain: Checkpoint, prefixes: tuple[str, ...]) -> bool:
    return any(name.startswith(prefixes) for name in plain.tensors)
