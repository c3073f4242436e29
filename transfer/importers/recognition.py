"""Which family a checkpoint is of: by the names and shapes of its tensors, or stated by ``--from`` and ``--prefix``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from scenebench.errors import TransferError, UserError, did_you_mean
from transfer.importers.containers import is_average
from transfer.importers.family import Branch, Checkpoint, Family
from transfer.importers.fitting import as_claimed, as_stated_family, branches_of, lacking, networks
from transfer.importers.names import STEMS, unwrapped
from transfer.importers.nearest import nearly, nothing_found
from transfer.importers.outer_module import without_outer_module
from transfer.importers.stated_preprocessing import OPTIONS, StatedPreprocessing
from transfer.importers.under_prefix import family_under, family_under_any


@dataclass(frozen=True)
class Wanted:
    """What the user says of a checkpoint (``--from``, ``--branch``, ``--prefix``); None where it is to be found out."""

    family: str | None = None
    branch: str | None = None
    prefix: str | None = None


@dataclass(frozen=True)
class Recognised:
    """A checkpoint's family and the backbone of one of its branches.

    Attributes:
        tensors: under torchvision's names, as the file has them.
        copies: the same tensors where the file holds the network under a second name.
        reason: why it is of that family, a clause.
        hint: of a file of no known family: which one it would be but for a tensor, for errors.
    """

    family: Family
    branch: str
    tensors: dict[str, Tensor]
    reason: str
    copies: list[Tensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hint: str = ""


def recognise(
    checkpoint: Checkpoint, families: dict[str, Family], wanted: Wanted, stated: StatedPreprocessing
) -> Recognised:
    """Find the family and take the branch.

    Args:
        families: to choose from, by name, the more special ones first.
        wanted: what the user says of it.
        stated: what preprocessing the user stated; where it is complete, families that differ in nothing else need
            not be told apart.

    Raises:
        UserError: of no family (what is in the file is shown), of several, not of the wanted one, or without that
            branch or prefix.
        TransferError: two copies of one branch that differ.
    """
    tensors = unwrapped(checkpoint.tensors, str(checkpoint.path))
    plain = dataclasses.replace(checkpoint, tensors=tensors, wrapped=tensors.keys() != checkpoint.tensors.keys())
    raw_names = {id(tensor): name for name, tensor in checkpoint.tensors.items()}
    named = None if wanted.family is None else family_named(wanted.family, families)
    if wanted.prefix is not None:
        family = family_under(wanted.prefix, named or families["unknown"], plain, wanted.branch)
        return _taken(family, plain, None, raw_names)
    if named is not None:
        return _stated(plain, named, wanted, raw_names)
    claims, plain = _claims(plain, families)
    if not claims:
        return _fallback(plain, families, wanted.branch, raw_names)
    if len(claims) == 1 or _agree(claims, plain, with_preprocessing=True):
        return _taken(claims[0], plain, wanted.branch, raw_names)
    names = ", ".join(family.name for family in claims)
    if stated.complete and _agree(claims, plain, with_preprocessing=False):
        nameless = dataclasses.replace(claims[0], method="unknown")
        taken = _taken(nameless, plain, wanted.branch, raw_names)
        return dataclasses.replace(taken, reason=f"{taken.reason}; so are those of {names}, but nothing depends on it")
    aliases = [alias for family in claims for alias in family.methods]
    also = f"; also {', '.join(aliases)}" if aliases else ""
    raise UserError(
        f"{checkpoint.path}: fits several families; say which with --from ({names}{also}"
        f"{_hint(checkpoint.path, claims)}) or, where you know the preprocessing but not the family, state it "
        f"({OPTIONS})"
    )


def family_named(name: str, families: dict[str, Family]) -> Family:
    """A family by what ``--from`` takes; one of its further names is recorded as the method.

    Raises:
        UserError: there is no such family; the error says how they are listed.
    """
    by_name = {known: family for family in families.values() for known in family.names}
    if name not in by_name:
        near = did_you_mean(name, by_name)
        near = near if near.startswith(" (did") else ""
        raise UserError(f"--from: unknown value '{name}'{near}; 'scenebench import --families' lists them, a line each")
    family = by_name[name]
    return dataclasses.replace(family, method=name) if name in family.methods else family


def _claims(plain: Checkpoint, families: dict[str, Family]) -> tuple[list[Family], Checkpoint]:
    """Every family that claims the file, looked into through outer modules (Lightning's ``model.``) where none does."""
    candidates = [family for family in families.values() if not family.fallback]
    inner: Checkpoint | None = plain
    while inner is not None:
        claims = [claimed for family in candidates if (claimed := as_claimed(family, inner)) is not None]
        if claims:
            return claims, inner
        inner = without_outer_module(inner)
    return [], plain


def _fallback(
    plain: Checkpoint, families: dict[str, Family], branch: str | None, raw_names: dict[int, str]
) -> Recognised:
    for family in families.values():
        if family.fallback and family.name != "unknown" and as_claimed(family, plain):
            return _taken(family, plain, branch, raw_names)
    if "unknown" not in families:  # an export of our own, whose report says what must be in it
        family = next(iter(families.values()))
        raise UserError(f"{plain.path}: {_reasons(family, plain)} ({family.description})")
    hint = nearly(plain, families)
    unknown = family_under_any(families["unknown"], plain, hint)
    if unknown is None:
        raise UserError(f"{plain.path}: of no known family. {nothing_found(plain, families)}")
    return dataclasses.replace(_taken(unknown, plain, branch, raw_names), hint=hint)


def _stated(plain: Checkpoint, family: Family, wanted: Wanted, raw_names: dict[int, str]) -> Recognised:
    inner: Checkpoint | None = plain
    while inner is not None:
        found = as_stated_family(family, inner)
        if found is not None:
            taken = _taken(found[0], inner, wanted.branch, raw_names)
            return dataclasses.replace(taken, notes=[*([found[1]] if found[1] else []), *taken.notes])
        inner = without_outer_module(inner)
    reason = _reasons(family, plain)
    raise UserError(
        f"{plain.path}: not a checkpoint of '{wanted.family}' ({family.description}): {reason}; --prefix says where "
        "its network lies"
    )


def _reasons(family: Family, plain: Checkpoint) -> str:
    return "; ".join(lacking(family, plain)) or "no ResNet lies where that family has it"


def _taken(family: Family, plain: Checkpoint, wanted: str | None, raw_names: dict[int, str]) -> Recognised:
    branch = _branch(family, plain, wanted)
    found = networks(family, branch, plain)
    first, *others = found.values()
    for prefix, other in zip([*found][1:], others, strict=True):
        _require_equal(first, other, f"{plain.path}: '{next(iter(found))}*' and '{prefix}*'")
    stem = next(name for name in STEMS if name in first)
    example = raw_names[id(first[stem])]
    tensors, notes = family.complete(first)
    if "n_averaged" in plain.tensors or is_average(plain.container):
        mark = "n_averaged" if "n_averaged" in plain.tensors else plain.container
        notes = [*notes, f"the weights are a running average ({mark})"]
    return Recognised(
        family=family,
        branch=branch.name,
        tensors=tensors,
        reason=f"its tensors are named as {family.title} names them ({example}, ...)",
        copies=[tensor for other in others for tensor in other.values()],
        notes=notes,
    )


def _branch(family: Family, plain: Checkpoint, wanted: str | None) -> Branch:
    known = branches_of(family, plain)
    extended = dataclasses.replace(family, branches=known)
    present = [branch for branch in known if networks(family, branch, plain)]
    options = " or ".join(f"--branch {branch.name}" for branch in present)
    if plain.average_swapped and wanted is None:
        raise UserError(
            f"{plain.path}: holds the trained weights and their average (MMEngine puts the average in state_dict and "
            f"the others in ema_state_dict); say which with {options}"
        )
    branch = known[0] if wanted is None else extended.branch(wanted)
    if branch is None:
        names = ", ".join(branch.name for branch in known)
        raise UserError(f"--branch: a checkpoint of {family.title} has no branch '{wanted}' (it may have: {names})")
    if branch not in present:
        raise UserError(f"{plain.path}: its branch '{branch.name}' is not in this file; it has {options}")
    return branch


def _agree(families: list[Family], plain: Checkpoint, with_preprocessing: bool) -> bool:
    """Whether it makes no difference which of the families is meant."""
    outcomes = set()
    for family in families:
        tensors = next(iter(networks(family, family.branches[0], plain).values()), {})
        identities = frozenset((name, id(tensor)) for name, tensor in tensors.items())
        recorded = (family.preprocessing, family.method, family.branches[0].name) if with_preprocessing else None
        outcomes.add((identities, family.stride_in, recorded))
    return len(outcomes) == 1


def _hint(path: Path, families: Iterable[Family]) -> str:
    """A family whose name is in the file's name; no more than a hint."""
    text = path.name.lower().replace("_", "").replace("-", "")
    names = [name for family in families for name in family.names]
    named = [name for name in names if name.replace("-", "") in text]
    return f"; the file's name suggests {named[0]}" if len(named) == 1 else ""


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
