"""Errors a user can mend: one line that names the file, key or value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The command line prints it as one line and exits with code 2, without a traceback."""


class TransferError(UserError):
    """A conversion that would lose, change or invent weights."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the known name nearest to ``name``, or the whole list where none is near."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        return f" (did you mean '{near[0]}'?)"
    return f" (known: {', '.join(choices)})"


def require_choice(what: str, value: str, known: Iterable[str]) -> None:
    """Raise :class:`UserError` unless ``value`` is one of ``known``; ``what`` is the key's full name."""
    choices = list(known)
    if value not in choices:
        raise UserError(f"{what}: unknown value '{value}'{did_you_mean(value, choices)}")
