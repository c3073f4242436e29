"""The command line's parser: one line on a wrong call, and groups of commands of which one may be left unsaid."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from scenebench.errors import UserError, did_you_mean

_HELP = ("-h", "--help")


class OneLineParser(argparse.ArgumentParser):
    """argparse that answers a wrong call with one line, and a misspelt command with the nearest right one."""

    _default_command = ""
    _default_takes_words = False
    _notice = ""

    def set_default_command(self, name: str, takes_words: bool = False, notice: str = "") -> None:
        """Let ``name`` be the command of this group where a call names none.

        Args:
            takes_words: also where the first word is no command: it is the default command's own argument then.
            notice: printed to standard error, for a form of call that goes.
        """
        self._default_command, self._default_takes_words, self._notice = name, takes_words, notice

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, with the default command in its place."""
        words = list(sys.argv[1:] if args is None else args)
        if self._default_command and self._names_no_command(words):
            if self._notice:
                print(f"note: {self._notice}", file=sys.stderr)
            words = [self._default_command, *words]
        return super().parse_known_args(words, namespace)

    def _names_no_command(self, words: list[str]) -> bool:
        if not words or words[0] in _HELP:
            return not words
        known = [name for action in self._actions if action.choices is not None for name in action.choices]
        return words[0].startswith("-") or (self._default_takes_words and words[0] not in known)

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and leave with exit code 2."""
        raise UserError(f"{message} (see '{self.prog} --help')")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            self.error(f"unknown {action.metavar or action.dest} '{value}'{did_you_mean(str(value), known)}")
