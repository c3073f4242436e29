"""What the expressions of a Python configuration stand for: literals, ``dict(...)``, names, little arithmetic.

Anything else (calls, comprehensions, conditions) is :data:`~transfer.config_lint.tree.UNKNOWN`. Nothing is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfer.config_lint.tree import UNKNOWN, Node, Place, Problem, scalar

BASE_NAME = "_base_"

_BASE_REFERENCE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
_ENVIRONMENT = re.compile(r"\{\{\s*\$\w+")
_LARGEST = 10**12  # of the numbers that are computed here; also bounds what ** and * could build
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Values:
    """Evaluates expressions of one file.

    Args:
        names: what the file's names stand for; kept up to date by the reader.
    """

    def __init__(self, file: Path, names: Mapping[str, Node], problems: list[Problem]) -> None:
        self.file = file
        self.names = names
        self.problems = problems

    def place(self, node: ast.AST) -> Place:
        """The line of a syntax node."""
        return Place(self.file, getattr(node, "lineno", 1))

    def node(self, expression: ast.expr, place: Place | None = None, path: str = "") -> Node:
        """The tree of an expression, said to stand at ``place`` (its own line where none is given)."""
        place = place or self.place(expression)
        referred = self._referred(expression)
        if referred is not None:
            return referred.at(place)
        return Node(self._value(expression, path), place)

    def _value(self, expression: ast.expr, path: str) -> Any:
        match expression:
            case ast.Constant(value=str(text)):
                return self._text(text)
            case ast.Constant(value=value):
                return scalar(value)
            case ast.Dict():
                return self._dict_display(expression, path)
            case ast.Call(func=ast.Name(id="dict")):
                return self._dict_call(expression, path)
            case ast.Call(func=ast.Name(id="tuple" | "list"), args=[argument], keywords=[]):
                value = self.node(argument, path=path).value
                return value if isinstance(value, list) else UNKNOWN
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return self._items(items, path)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.node(operand).value
                return -value if isinstance(value, (int, float)) else UNKNOWN
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.node(operand).value
                return not value if isinstance(value, bool) else UNKNOWN
            case ast.BinOp(left=left, op=sign, right=right):
                return self._computed(self.node(left).value, sign, self.node(right).value)
        return UNKNOWN

    def _referred(self, expression: ast.expr) -> Node | None:
        """What a name, an attribute, an index or an unquoted ``{{_base_.x}}`` refers to; None for other expressions."""
        match expression:
            case ast.Name(id=name):
                return self.names.get(name, Node(UNKNOWN, self.place(expression)))
            case ast.Attribute(value=owner, attr=attribute):
                return self._child(self.node(owner), attribute)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
                return self._child(self.node(owner), key)
            case ast.Subscript(value=owner, slice=ast.Constant(value=int(index))):
                items = self.node(owner).value
                inside = isinstance(items, list) and -len(items) <= index < len(items)
                return items[index] if inside else Node(UNKNOWN, self.place(expression))
            case ast.Set(elts=[ast.Set(elts=[inner])]):  # {{_base_.x}} outside quotes is a set in a set
                return self.node(inner)
        return None

    def _child(self, owner: Node, key: str) -> Node:
        if isinstance(owner.value, dict) and key in owner.value:
            child: Node = owner.value[key]
            return child
        return Node(UNKNOWN, owner.place)

    def _text(self, text: str) -> Any:
        if "{{" not in text:
            return text
        if _ENVIRONMENT.search(text) or _BASE_REFERENCE.search(text):
            return UNKNOWN
        for name, value in (
            ("fileDirname", str(self.file.parent)),
            ("fileBasename", self.file.name),
            ("fileBasenameNoExtension", self.file.stem),
            ("fileExtname", self.file.suffix),
        ):
            text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)
        return text

    def _items(self, expressions: list[ast.expr], path: str) -> Any:
        items: list[Node] = []
        for number, expression in enumerate(expressions):
            if isinstance(expression, ast.Starred):
                value = self.node(expression.value).value
                if not isinstance(value, list):
                    return UNKNOWN
                items += value
            else:
                items.append(self.node(expression, path=f"{path}.{number}"))
        return items

    def _dict_display(self, expression: ast.Dict, path: str) -> Any:
        parts: list[tuple[str | None, ast.expr, Place]] = []
        for key, value in zip(expression.keys, expression.values, strict=True):
            if key is None:
                parts.append((None, value, self.place(value)))
            elif isinstance(key, ast.Constant):
                parts.append((str(key.value), value, self.place(key)))
            else:
                return UNKNOWN
        return self._collected({}, parts, path)

    def _dict_call(self, call: ast.Call, path: str) -> Any:
        start: dict[str, Node] = {}
        for argument in call.args:
            value = self.node(argument, path=path).value
            if not isinstance(value, dict):
                return UNKNOWN
            start |= value
        parts = [(keyword.arg, keyword.value, self.place(keyword)) for keyword in call.keywords]
        return self._collected(start, parts, path)

    def _collected(self, start: dict[str, Node], parts: list[tuple[str | None, ast.expr, Place]], path: str) -> Any:
        items = dict(start)
        written: dict[str, Place] = {}
        for key, expression, place in parts:
            if key is None:
                value = self.node(expression, path=path).value
                if not isinstance(value, dict):
                    return UNKNOWN
                items |= value
                continue
            full = f"{path}.{key}" if path else key
            if key in written:
                detail = f"stands in line {written[key].line} already; only the last one counts"
                self.problems.append(Problem("duplicate-key", place, full, detail))
            written[key] = place
            items[key] = self.node(expression, place, full)
        return items

    def _computed(self, left: Any, sign: ast.operator, right: Any) -> Any:
        if isinstance(sign, ast.Add):
            if isinstance(left, list) and isinstance(right, list):
                return left + right
            if isinstance(left, str) and isinstance(right, str):
                return left + right
        numbers = (int, float)
        if type(sign) not in _OPERATORS or not isinstance(left, numbers) or not isinstance(right, numbers):
            return UNKNOWN
        try:
            if max(abs(left), abs(right)) > _LARGEST:
                return UNKNOWN
            return _OPERATORS[type(sign)](left, right)
        except (ArithmeticError, ValueError):
            return UNKNOWN
