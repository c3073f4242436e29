"""What is in a checkpoint in which no ResNet was found: what an error has to say."""

from __future__ import annotations

from transfer.importers.family import Checkpoint, Family
from transfer.importers.fitting import lacking, networks, unexplained, why_not
from transfer.importers.names import LAST_STAGE, STEMS, below, is_backbone_name
from transfer.importers.other_networks import named


def nothing_found(plain: Checkpoint, families: dict[str, Family]) -> str:
    """Sentences: what network it is, if a mark tells; else the family that most of the tensors would fit, how many do
    and what is missing, or some names."""
    other = named(plain.tensors)
    total = len(plain.tensors)
    if other:
        return f"It is {other}; only plain ResNets can be imported"
    counted = {name: _fitting(family, plain) for name, family in families.items() if not family.fallback}
    best = max(counted, key=lambda name: (counted[name][0], -len(why_not(families[name], plain))))
    count, prefix = counted[best]
    if count:
        family = families[best]
        present = {family.rename(name) for name in below(prefix, plain.tensors)}
        lacks = [] if present & set(STEMS) else [f"it lacks the first convolution, {prefix}{STEMS[0]}"]
        lacks += [] if LAST_STAGE in present else [f"it lacks {prefix}{LAST_STAGE}"]
        return f"Nearest is {best} ({family.rule}): {count} of its {total} tensors fit, but {'; '.join(lacks)}"
    names = ", ".join(list(plain.tensors)[:3])
    return f"No ResNet is among its {total} tensors ({names}, ...); --prefix says where one lies"


def nearly(plain: Checkpoint, families: dict[str, Family]) -> str:
    """Of a file that nobody claims: the families whose marks and network are in it beside something else; a clause, or
    empty. It names what they would take."""
    found = []
    for family in families.values():
        marked = (family.needs or len(family.branches) > 1) and not family.fallback and not lacking(family, plain)
        prefixes = [next(iter(networks(family, branch, plain)), None) for branch in family.branches[:1] if marked]
        stray = unexplained(family, plain)
        if stray and prefixes and prefixes[0] is not None:
            found.append(
                f"it would be of {family.name}, which takes {prefixes[0]}* ({family.branches[0].name}), but for "
                f"'{stray}'; --from {family.name} takes it all the same"
            )
    return f"; {found[0]}" if len(found) == 1 else ""


def _fitting(family: Family, plain: Checkpoint) -> tuple[int, str]:
    counts = [
        (sum(is_backbone_name(family.rename(name) or "") for name in below(prefix, plain.tensors)), prefix)
        for branch in family.branches
        for prefix in branch.prefixes
    ]
    return max(counts, key=lambda count: count[0])
