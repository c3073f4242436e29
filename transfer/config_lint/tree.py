"""A configuration as a tree in which every value knows the file and line where it is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class _Unknown:
    """The value of what only running the configuration would tell."""

    def __repr__(self) -> str:
        return "<computed>"


UNKNOWN = _Unknown()


_LARGEST_INTEGER = 10**30


def scalar(value: Any) -> Any:
    """A plain scalar as the tree holds it: integers beyond any use, which cannot even be shown, are unknown."""
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return UNKNOWN
    return value if isinstance(value, (str, int, float, type(None))) else UNKNOWN


@dataclass(frozen=True)
class Place:
    """A line, counted from 1, of a file."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A value and its place.

    Attributes:
        value: a plain scalar, :data:`UNKNOWN`, ``dict[str, Node]``, or ``list[Node]`` (tuples too). Not to be changed
            in place: nodes are shared.
        place: the line of the key where the value has one.
    """

    value: Any
    place: Place

    def get(self, path: str) -> Node | None:
        """The node at a dotted path of keys; None where there is none. What is below a computed value is computed."""
        node = self
        for key in path.split("."):
            if node.value is UNKNOWN:
                return node
            if not isinstance(node.value, dict) or key not in node.value:
                return None
            node = node.value[key]
        return node

    def nearest(self, path: str, file: Path) -> Place:
        """The place in ``file`` of the deepest existing part of a dotted path; its first line where there is none."""
        node, place = self, Place(file, 1)
        for key in path.split("."):
            if not isinstance(node.value, dict) or key not in node.value:
                break
            node = node.value[key]
            place = node.place if node.place.file == file else place
        return place

    def plain(self, known: dict[int, Any] | None = None) -> Any:
        """The value without places; :data:`UNKNOWN` where any part of it is.

        Args:
            known: what shared parts came to, so that nesting them cannot take exponential time.
        """
        known = {} if known is None else known
        if not isinstance(self.value, (dict, list)):
            return self.value
        if id(self.value) not in known:
            keys = list(self.value) if isinstance(self.value, dict) else None
            children = self.value.values() if isinstance(self.value, dict) else self.value
            values = [child.plain(known) for child in children]
            computed = any(value is UNKNOWN for value in values)
            whole = values if keys is None else dict(zip(keys, values, strict=True))
            known[id(self.value)] = UNKNOWN if computed else whole
        return known[id(self.value)]

    def at(self, place: Place) -> Node:
        """The same value, said to stand elsewhere (under the key that refers to it)."""
        return dataclasses.replace(self, place=place)

    def walk(self, path: str = "") -> Iterator[tuple[str, Node]]:
        """Every node below and this one, with its dotted path; what several keys share, once."""
        seen: set[int] = set()
        waiting = [(path, self)]
        while waiting:
            where, node = waiting.pop()
            if isinstance(node.value, (dict, list)):
                if id(node.value) in seen:
                    continue
                seen.add(id(node.value))
            yield where, node
            children: list[tuple[str, Node]] = []
            if isinstance(node.value, dict):
                children = list(node.value.items())
            elif isinstance(node.value, list):
                children = [(str(number), child) for number, child in enumerate(node.value)]
            waiting += [(f"{where}.{key}" if where else key, child) for key, child in reversed(children)]


@dataclass(frozen=True)
class Problem:
    """What the readers see before any rule looks at the values.

    Attributes:
        rule: the id of the rule it is reported under.
        detail: what is there.
    """

    rule: str
    place: Place
    key: str
    detail: str


@dataclass
class Config:
    """A configuration with everything that it inherits.

    Attributes:
        file: the file that was asked for.
        engine: ``detectron2``, ``mmseg`` or ``mmdet``.
        root: its keys, merged with its bases'.
        complete: False where a base could not be read, so that an absent key need not be at the toolbox's default.
        bases: of each file of the chain, the files that it names as its bases.
    """

    file: Path
    engine: str
    root: Node
    complete: bool = True
    problems: list[Problem] = field(default_factory=list)
    bases: dict[Path, list[Path]] = field(default_factory=dict)

    def inherits(self, file: Path, base: Path) -> bool:
        """Whether ``file`` has ``base`` among its bases, or theirs."""
        waiting, seen = list(self.bases.get(file, [])), {file}
        while waiting:
            one = waiting.pop()
            if one == base:
                return True
            if one not in seen:
                seen.add(one)
                waiting += self.bases.get(one, [])
        return False
