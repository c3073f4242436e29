"""Detectron2's YAML with positions: duplicate keys seen, ``_BASE_`` followed, tags that would run code left alone."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from transfer.config_lint.paths import is_file, resolved, sibling, tidied
from transfer.config_lint.tree import UNKNOWN, Config, Node, Place, Problem, scalar

BASE_KEY = "_BASE_"
_MERGE_KEY = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp"))
_SEQUENCES = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:python/tuple")

ReadFiles = dict[Path, "_Read"]
"""Files that were read already: bases are shared by many configurations of a folder."""


@dataclass
class _Read:
    """One file with its bases; ``cyclic`` where a base led back to a file above, so that it is not to be kept."""

    file: Path
    root: Node
    complete: bool = True
    problems: list[Problem] = field(default_factory=list)
    bases: dict[Path, list[Path]] = field(default_factory=dict)
    cyclic: bool = False


def read_yaml_config(file: Path, known: ReadFiles | None = None) -> Config:
    """A Detectron2 configuration with its bases. Every problem is in the result; nothing is raised."""
    read = _read_with_bases(file, {} if known is None else known, [])
    return Config(file, "detectron2", read.root, read.complete, read.problems, read.bases)


def _read_with_bases(file: Path, known: ReadFiles, descendants: list[Path]) -> _Read:
    problems: list[Problem] = []
    tree = _compose(file, problems)
    empty = Node({}, Place(file, 1))
    if tree is None:
        if not problems:
            problems.append(Problem("unreadable", Place(file, 1), "", "the file is empty"))
        return _Read(file, empty, False, problems)
    root = _Converter(file, problems).convert(tree, Place(file, 1), "")
    if not isinstance(root.value, dict):
        problems.append(Problem("unreadable", Place(file, 1), "", "the file holds no keys"))
        return _Read(file, empty, False, problems)
    chain = [*descendants, resolved(file)]
    merged = empty
    whole = _Read(file, empty, True, problems, {file: []})
    for name in _base_names(root):
        base = _read_base(file, name, known, chain)
        whole.complete = whole.complete and base.complete
        whole.cyclic = whole.cyclic or base.cyclic
        whole.bases = base.bases | whole.bases
        whole.bases[file].append(base.file)
        problems += base.problems
        merged = _merge(merged, base.root, problems, "")
    own = Node({key: child for key, child in root.value.items() if key != BASE_KEY}, root.place)
    whole.root = _merge(merged, own, problems, "")
    return whole


def _base_names(root: Node) -> list[Node]:
    node = root.get(BASE_KEY)
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]


def _read_base(file: Path, name: Node, known: ReadFiles, chain: list[Path]) -> _Read:
    rule = ""
    if not isinstance(name.value, str):
        rule, detail = "missing-base", f"{name.value!r} is no file name"
    elif name.value.startswith(("http://", "https://")):
        rule, detail = "unresolved-base", f"{name.value} is not fetched"
    else:
        path = tidied(sibling(file, name.value))
        if not is_file(path):
            rule, detail = "missing-base", f"{name.value} is not there ({path})"
        elif resolved(path) in chain:
            rule, detail = "base-cycle", f"{name.value} leads back to itself"
    if rule:
        problem = Problem(rule, name.place, BASE_KEY, detail)
        return _Read(file, Node({}, name.place), False, [problem], cyclic=rule == "base-cycle")
    read = known.get(path) or _read_with_bases(path, known, chain)
    if not read.cyclic:
        known[path] = read
    return read


def _compose(file: Path, problems: list[Problem]) -> yaml.Node | None:
    try:
        return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        problems.append(Problem("unreadable", Place(file, line), "", f"not YAML: {error.problem}"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problems.append(Problem("unreadable", Place(file, 1), "", f"not YAML: {' '.join(str(error).split())}"))
    return None


class _Converter:
    """yaml's nodes into ours. An aliased node is converted once, so that nested aliases cannot grow exponentially."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.done: dict[int, Node] = {}
        self.open: set[int] = set()
        self.scalars = yaml.SafeLoader("")

    def convert(self, node: yaml.Node, place: Place, path: str) -> Node:
        if id(node) in self.done:
            return self.done[id(node)].at(place)
        if id(node) in self.open:  # an alias inside what it names
            return Node(UNKNOWN, place)
        self.open.add(id(node))
        value: Any = UNKNOWN
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            value = self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode) and node.tag in _SEQUENCES:
            value = [self.convert(item, self._place(item), f"{path}.{i}") for i, item in enumerate(node.value)]
        elif isinstance(node, yaml.ScalarNode) and node.tag in _PLAIN_TAGS:
            value = self._scalar(node, place)
        self.open.discard(id(node))
        self.done[id(node)] = converted = Node(value, place)
        return converted

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Node]:
        items: dict[str, Node] = {}
        inherited: dict[str, Node] = {}
        for key, value in node.value:
            place = self._place(key)
            if key.tag == _MERGE_KEY:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = self.convert(source, place, path).value
                    inherited |= merged if isinstance(merged, dict) else {}
                continue
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            full = f"{path}.{name}" if path else name
            if name in items:
                detail = f"stands in line {items[name].place.line} already; only the last one counts"
                self.problems.append(Problem("duplicate-key", place, full, detail))
            items[name] = self.convert(value, place, full)
        return inherited | items

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        try:
            value = self.scalars.construct_object(node)
        except (ValueError, yaml.YAMLError):
            return UNKNOWN
        return _decoded(value, place) if isinstance(value, str) else scalar(value)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)


def _decoded(text: str, place: Place) -> Any:
    """yacs reads strings that are Python literals as such: ``("a", "b")`` is a tuple, ``1e-4`` a number."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(value, (list, tuple)):
        return [Node(scalar(item), place) for item in value]
    return scalar(value) if isinstance(value, (str, int, float, type(None))) else text


def _merge(base: Node, own: Node, problems: list[Problem], path: str) -> Node:
    if not isinstance(own.value, dict):
        return own
    if not isinstance(base.value, dict):
        if base.value is not UNKNOWN:
            detail = f"a section here, but none in the base ({base.place})"
            problems.append(Problem("cannot-inherit", own.place, path, detail))
        return own
    merged = dict(base.value)
    for key, child in own.value.items():
        full = f"{path}.{key}" if path else key
        merged[key] = _merge(base.value[key], child, problems, full) if key in base.value else child
    return Node(merged, own.place)
