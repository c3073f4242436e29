"""Detectron2's YAML with positions: duplicate keys seen, ``_BASE_`` followed, tags that would run code left alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

from transfer.config_lint.tree import UNKNOWN, Config, Node, Place, Problem, tidied

BASE_KEY = "_BASE_"
_MERGE_KEY = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp"))
_SEQUENCES = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:python/tuple")
_HEAD_KEYS = ("MODEL", "SOLVER", "INPUT", "DATASETS", "DATALOADER", "TEST")


def read_yaml_config(file: Path) -> Config:
    """A Detectron2 configuration with its bases. Every problem is in the result; nothing is raised."""
    problems: list[Problem] = []
    root, complete = _read_with_bases(file, problems, [])
    return Config(file, "detectron2", root, complete, problems)


def looks_like_detectron2(file: Path) -> bool:
    """Whether a YAML file has keys of a Detectron2 configuration at its top."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    heads = (BASE_KEY, *_HEAD_KEYS)
    return any(line.startswith(tuple(f"{head}:" for head in heads)) for line in text.splitlines())


def _read_with_bases(file: Path, problems: list[Problem], descendants: list[Path]) -> tuple[Node, bool]:
    tree = _compose(file, problems)
    empty = Node({}, Place(file, 1))
    if tree is None:
        if not any(problem.place.file == file for problem in problems):
            problems.append(Problem("unreadable", Place(file, 1), "", "the file is empty"))
        return empty, False
    root = _Converter(file, problems).convert(tree, Place(file, 1), "")
    if not isinstance(root.value, dict):
        problems.append(Problem("unreadable", Place(file, 1), "", "the file holds no keys"))
        return empty, False
    chain = [*descendants, file.resolve()]
    merged, complete = empty, True
    for name in _base_names(root):
        base, whole = _read_base(file, name, problems, chain)
        complete = complete and whole
        merged = _merge(merged, base, problems, "")
    own = Node({key: child for key, child in root.value.items() if key != BASE_KEY}, root.place)
    return _merge(merged, own, problems, ""), complete


def _base_names(root: Node) -> list[Node]:
    node = root.get(BASE_KEY)
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]


def _read_base(file: Path, name: Node, problems: list[Problem], chain: list[Path]) -> tuple[Node, bool]:
    empty = Node({}, name.place)
    if not isinstance(name.value, str):
        problems.append(Problem("missing-base", name.place, BASE_KEY, f"{name.value!r} is no file name"))
        return empty, False
    if name.value.startswith(("http://", "https://")):
        problems.append(Problem("unresolved-base", name.place, BASE_KEY, f"{name.value} is not fetched"))
        return empty, False
    path = tidied(file.parent / Path(name.value).expanduser())
    if not path.is_file():
        problems.append(Problem("missing-base", name.place, BASE_KEY, f"{name.value} is not there ({path})"))
        return empty, False
    if path.resolve() in chain:
        problems.append(Problem("base-cycle", name.place, BASE_KEY, f"{name.value} leads back to itself"))
        return empty, False
    return _read_with_bases(path, problems, chain)


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
        return _decoded(value, place) if isinstance(value, str) else value

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.file, node.start_mark.line + 1)


def _decoded(text: str, place: Place) -> Any:
    """yacs reads strings that are Python literals as such: ``("a", "b")`` is a tuple, ``1e-4`` a number."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(value, (list, tuple)):
        return [Node(item, place) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else text


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
