"""Assignments of a Python file whose values are lost: replaced by another value before anything read them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from transfer.config_lint.python_syntax import names_read
from transfer.config_lint.tree import UNKNOWN, Node, Place


@dataclass(frozen=True)
class _Assignment:
    place: Place
    value: Node
    expression: ast.expr


class Assignments:
    """Follows one file from top to bottom."""

    def __init__(self) -> None:
        self._unread: dict[str, _Assignment] = {}

    def read(self, statement: ast.AST) -> None:
        """A statement or expression that uses names: their values are not lost."""
        for name in names_read(statement):
            self._unread.pop(name, None)

    def forget(self, name: str) -> None:
        """A name that is deleted, or set where only running tells whether it is."""
        self._unread.pop(name, None)

    def assign(self, name: str, expression: ast.expr, value: Node) -> Place | None:
        """A new assignment, its own expression read before; the place of the one that is lost by it.

        None where nothing is lost: the name is new, was read since, or has the same value again.
        """
        before = self._unread.get(name)
        self._unread[name] = _Assignment(value.place, value, expression)
        if before is None or ast.dump(before.expression) == ast.dump(expression):
            return None
        old, new = before.value.plain(), value.plain()
        return None if old is not UNKNOWN and old == new and type(old) is type(new) else before.place
