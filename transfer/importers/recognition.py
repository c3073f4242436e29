"""Which family a checkpoint is of: by the names and shapes of its tensors, or told by ``--from``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from torch import Tensor

from scenebench.errors import TransferError, UserError, require_choice
from transfer.importers.family import Branch, Checkpoint, Family
from transfer.importers.names import STEMS, below, looks_like_resnet, unwrapped
from transfer.importers.nearest import nearest_family, why_not
from transfer.importers.stated_preprocessing import OPTIONS, StatedPreprocessing


@dataclass(frozen=True)
class Recognised:
    """A checkpoint's family and the backbone of one of its branches.

    Attributes:
        tensors: under torchvision's names, as the file has them.
        copies: the same tensors where the file holds the network under a second name.
        reason: why it is of that family, a clause.
    """

    family: Family
    branch: str
    tensors: dict[str, Tensor]
    reason: str
    copies: list[Tensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def recognise(
    checkpoint: Checkpoint,
    families: dict[str, Family],
    wanted: str | None,
    branch: str | None,
    stated: StatedPreprocessing,
) -> Recognised:
    """Find the family and take the branch.

    Args:
        families: to choose from, by name, the more special ones first.
        wanted: a name of one of them (``--from``), or None to recognise it.
        branch: ``--branch``, or None for the family's default.
        stated: what preprocessing the user stated; where it is complete, families that differ in nothing else need
            not be told apart.

    Raises:
        UserError: of no family (the nearest is shown), of several, not of the wanted one, or without that branch.
        TransferError: two copies of one branch that differ.
    """
    tensors = unwrapped(checkpoint.tensors, str(checkpoint.path))
    plain = dataclasses.replace(checkpoint, tensors=tensors, wrapped=tensors.keys() != checkpoint.tensors.keys())
    raw_names = {id(tensor): name for name, tensor in checkpoint.tensors.items()}
    if wanted is not None:
        return _told(plain, families, wanted, branch, raw_names)
    fitting = [family for family in families.values() if not family.fallback and fits(family, plain)]
    fitting = fitting or [family for family in families.values() if family.fallback and fits(family, plain)][:1]
    if not fitting:
        raise UserError(f"{checkpoint.path}: of no known family. {nearest_family(plain, families)}")
    if len(fitting) == 1 or _agree(fitting, plain, with_preprocessing=True):
        return _taken(fitting[0], plain, branch, raw_names)
    names = ", ".join(family.name for family in fitting)
    if stated.complete and _agree(fitting, plain, with_preprocessing=False):
        nameless = dataclasses.replace(fitting[0], method="unknown")
        taken = _taken(nameless, plain, branch, raw_names)
        return dataclasses.replace(taken, reason=f"{taken.reason}; so are those of {names}, but nothing depends on it")
    aliases = [alias for family in fitting for alias in family.methods]
    also = f"; also {', '.join(aliases)}" if aliases else ""
    raise UserError(
        f"{checkpoint.path}: fits several families; say which with --from ({names}{also}) or, where you know the "
        f"preprocessing but not the family, state it ({OPTIONS})"
    )


def fits(family: Family, plain: Checkpoint) -> bool:
    """Whether a checkpoint (without wrappers' prefixes) is of the family."""
    return not why_not(family, plain) and any(_networks(family, branch, plain) for branch in family.branches)


def _told(
    plain: Checkpoint, families: dict[str, Family], wanted: str, branch: str | None, raw_names: dict[int, str]
) -> Recognised:
    by_name = {name: family for family in families.values() for name in family.names}
    require_choice("--from", wanted, by_name)
    family = by_name[wanted]
    if wanted in family.methods:
        family = dataclasses.replace(family, method=wanted)
    if fits(family, plain):
        return _taken(family, plain, branch, raw_names)
    if family.may_be_bare and looks_like_resnet(below("", plain.tensors)):
        bare = dataclasses.replace(
            family, branches=tuple(dataclasses.replace(known, prefixes=("",)) for known in family.branches)
        )
        taken = _taken(bare, plain, branch, raw_names)
        note = f"bare names do not tell the branch: taken for '{taken.branch}'"
        return dataclasses.replace(taken, notes=[note] if len(family.branches) > 1 else [])
    reason = "; ".join(why_not(family, plain)) or "no ResNet lies where that family has it"
    raise UserError(f"{plain.path}: not a checkpoint of '{wanted}' ({family.description}): {reason}")


def _taken(family: Family, plain: Checkpoint, wanted: str | None, raw_names: dict[int, str]) -> Recognised:
    branch = _branch(family, plain, wanted)
    networks = _networks(family, branch, plain)
    first, *others = networks.values()
    for prefix, other in zip([*networks][1:], others, strict=True):
        _require_equal(first, other, f"{plain.path}: '{next(iter(networks))}*' and '{prefix}*'")
    stem = next(name for name in STEMS if name in first)
    example = raw_names[id(first[stem])]
    tensors, notes = family.complete(first)
    return Recognised(
        family=family,
        branch=branch.name,
        tensors=tensors,
        reason=f"its tensors are named as {family.title} names them ({example}, ...)",
        copies=[tensor for other in others for tensor in other.values()],
        notes=notes,
    )


def _branch(family: Family, plain: Checkpoint, wanted: str | None) -> Branch:
    present = [branch for branch in family.branches if _networks(family, branch, plain)]
    names = ", ".join(branch.name for branch in family.branches)
    branch = family.branches[0] if wanted is None else family.branch(wanted)
    if branch is None:
        raise UserError(f"--branch: a checkpoint of {family.title} has no branch '{wanted}' (it may have: {names})")
    if branch not in present:
        there = ", ".join(known.name for known in present)
        raise UserError(f"{plain.path}: its branch '{branch.name}' is not in this file; --branch {there} is")
    return branch


def _networks(family: Family, branch: Branch, plain: Checkpoint) -> dict[str, dict[str, Tensor]]:
    """The ResNets under the branch's prefixes, by prefix, under torchvision's names."""
    found = {}
    for prefix in branch.prefixes:
        renamed = ((family.rename(name), tensor) for name, tensor in below(prefix, plain.tensors).items())
        tensors = {name: tensor for name, tensor in renamed if name is not None}
        if looks_like_resnet(tensors):
            found[prefix] = tensors
    return found


def _agree(families: list[Family], plain: Checkpoint, with_preprocessing: bool) -> bool:
    """Whether it makes no difference which of the families is meant."""
    outcomes = set()
    for family in families:
        tensors = next(iter(_networks(family, family.branches[0], plain).values()), {})
        identities = frozenset((name, id(tensor)) for name, tensor in tensors.items())
        outcomes.add((identities, family.stride_in, family.preprocessing if with_preprocessing else None))
    return len(outcomes) == 1


def _require_equal(first: dict[str, Tensor], other: dict[str, Tensor], where: str) -> None:
    different = [
        name
        for name, tensor in first.items()
        if name not in other or tensor.shape != other[name].shape or not bool((tensor == other[name]).all())
    ]
    if different:
        raise TransferError(
            f"{where} should be one network under two names, but {len(different)} tensors differ ({different[0]}, ...)"
        )
