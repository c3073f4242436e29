"""MMSegmentation's and MMDetection's Python configurations, parsed and never run; bases merged as mmengine merges them.

Both styles are read: ``_base_ = [...]``, whose dicts a file changes by dicts of the same name, and the newer ``with
read_base(): from ... import *``, whose dicts it changes by assignments and ``update``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from transfer.config_lint.assignments import Assignments
from transfer.config_lint.config_kinds import openmmlab_toolbox
from transfer.config_lint.mm_bases import locate_base, locate_module
from transfer.config_lint.paths import is_file, resolved
from transfer.config_lint.python_syntax import (
    dotted,
    is_read_base,
    name_of,
    names_changed,
    replaced,
    root_name,
)
from transfer.config_lint.python_values import BASE_NAME, Values
from transfer.config_lint.tree import UNKNOWN, Config, Node, Place, Problem

_DELETE = "_delete_"
_SCHEDULE_NAMES = (
    "train_cfg", "val_cfg", "test_cfg", "param_scheduler", "optim_wrapper", "optimizer", "lr_config", "runner",
    "max_epochs", "total_epochs", "max_iters", "schedule", "optimizer_config", "auto_scale_lr",
)  # fmt: skip

ReadFiles = dict[Path, "_Read"]
"""Files that were read already: bases are shared by many configurations of a folder."""


def read_python_config(file: Path, known: ReadFiles | None = None) -> Config:
    """A configuration of mmseg or mmdet with its bases. Every problem is in the result; nothing is raised."""
    read = _FileReader(file, {} if known is None else known, []).read()
    root = Node(read.names, Place(file, 1))
    return Config(file, openmmlab_toolbox(root), root, read.complete, read.problems, read.bases)


@dataclass
class _Read:
    """One file with its bases.

    Attributes:
        names: what it hands on to those that build on it.
        cyclic: whether a base led back to a file above, so that this holds for the way it was reached alone.
    """

    names: dict[str, Node]
    complete: bool
    problems: list[Problem]
    bases: dict[Path, list[Path]]
    cyclic: bool = False


class _FileReader:
    """One file of a chain. ``names`` is what its names stand for."""

    def __init__(self, file: Path, known: ReadFiles, descendants: list[Path]) -> None:
        self.file = file
        self.known = known
        self.problems: list[Problem] = []
        self.chain = [*descendants, resolved(file)]
        self.names: dict[str, Node] = {}
        self.bases: dict[Path, list[Path]] = {file: []}
        self.assignments = Assignments()
        self.complete = True
        self.cyclic = False
        self.lazy = False
        self.values = Values(file, self.names, self.problems)

    def read(self) -> _Read:
        """The file's names merged with its bases'."""
        merged: dict[str, Node] = {}
        try:
            module = ast.parse(self.file.read_text(encoding="utf-8"))
            self._read_statements(module.body)
            merged = self._with_bases()
        except SyntaxError as error:
            self._tell("unreadable", Place(self.file, error.lineno or 1), "", f"not Python: {error.msg}")
            self.complete = False
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self._tell("unreadable", Place(self.file, 1), "", f"not Python: {' '.join(str(error).split())}")
            self.complete = False
        return _Read(merged, self.complete, self.problems, self.bases, self.cyclic)

    def _with_bases(self) -> dict[str, Node]:
        own = {name: node for name, node in self.names.items() if name != BASE_NAME}
        if self.lazy:
            return own
        start = Place(self.file, 1)
        bases = self.names.get(BASE_NAME, Node({}, start))  # as the file itself has changed them
        base = bases if isinstance(bases.value, dict) else Node({}, start)
        merged = self._merged(base, Node(own, start), "").value
        return {name: node for name, node in merged.items() if not name.startswith("__")}

    def _read_statements(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.Assign) and [name_of(t) for t in statement.targets] == [BASE_NAME]:
                self._read_bases(statement.value)
        for statement in statements:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)):
                if statement.value is not None:
                    self.assignments.read(statement.value)
                for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                    self.assignments.read(target)
            else:
                self.assignments.read(statement)
            self._read_statement(statement)

    def _read_statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=sign, value=value):
                self.assignments.forget(name)
                self._set(name, self.values.node(ast.copy_location(ast.BinOp(target, sign, value), statement)))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=method)) as call):
                self._call(owner, method, call)
            case ast.With(body=body) if is_read_base(statement):
                self.lazy = True
                for imported in body:
                    if isinstance(imported, ast.ImportFrom):
                        self._import_base(imported)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:  # a class by its name, as the registry of types has it
                    self.names[alias.asname or alias.name] = Node(alias.name, self.values.place(statement))
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(dotted(target))
            case ast.FunctionDef() | ast.ClassDef():
                self.names.pop(statement.name, None)
            case ast.If() | ast.For() | ast.While() | ast.Try() | ast.With():
                self._forget_what_is_set_in(statement)

    def _call(self, owner: ast.expr, method: str, call: ast.Call) -> None:
        """``model.update(...)`` and other methods that change what they are called on."""
        path = dotted(owner)
        match method, call.args:
            case "update" | "merge", _:
                self._update(owner, call)
            case "pop", [ast.Constant(value=str(key)), *_]:
                self._delete([*path, key] if path else [])
            case "append" | "extend", [argument]:
                items = argument if method == "extend" else ast.copy_location(ast.List([argument], ast.Load()), call)
                together = ast.copy_location(ast.BinOp(owner, ast.Add(), items), call)
                self._set_path(path, self.values.node(together))
            case _:
                self._set_path(path, Node(UNKNOWN, self.values.place(call)))

    def _set_path(self, path: list[str], node: Node) -> None:
        if path and path[0] in self.names:
            self.names[path[0]] = replaced(self.names[path[0]], path[1:], node)

    def _delete(self, path: list[str]) -> None:
        if not path:
            return
        self.assignments.forget(path[0])
        if len(path) == 1:
            self.names.pop(path[0], None)
        elif path[0] in self.names:
            self.names[path[0]] = replaced(self.names[path[0]], path[1:], None)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        place = Place(self.file, target.lineno)
        name = name_of(target)
        if name == BASE_NAME:
            return
        if name:
            node = self.values.node(value, place, name)
            lost = self.assignments.assign(name, value, node)
            if lost is not None:
                rule = "schedule-assigned-twice" if name in _SCHEDULE_NAMES else "assigned-twice"
                self._tell(rule, place, name, f"assigned in line {lost.line} already; that value is lost")
            self._set(name, node)
        elif isinstance(target, (ast.Tuple, ast.List)):
            node = self.values.node(value, place)
            same = isinstance(node.value, list) and len(node.value) == len(target.elts)
            for number, part in enumerate(target.elts):
                self._set(name_of(part), node.value[number] if same else Node(UNKNOWN, place))
        else:
            path = dotted(target)
            if path:
                self._set_path(path, self.values.node(value, place, ".".join(path)))
            elif root_name(target):
                self._set_path([root_name(target)], Node(UNKNOWN, place))

    def _set(self, name: str, node: Node) -> None:
        if name:
            self.names[name] = node

    def _update(self, owner: ast.expr, call: ast.Call) -> None:
        path = dotted(owner)
        if not path:
            return
        wanted = ".".join(path[1:])
        present = self.names.get(path[0])
        target = present.get(wanted) if present is not None and wanted else present
        place = Place(self.file, call.lineno)
        as_dict = ast.copy_location(ast.Call(ast.Name("dict", ast.Load()), call.args, call.keywords), call)
        change = self.values.node(as_dict, place, ".".join(path))
        if target is None:
            return
        if not (isinstance(change.value, dict) and isinstance(target.value, dict)):
            changed = Node(UNKNOWN, place)
        elif self.lazy:  # mmengine's own dicts merge deeply; Python's dicts of the older style do not
            changed = self._merged(target, change, ".".join(path)).at(target.place)
        else:
            changed = Node(target.value | change.value, target.place)
        self.names[path[0]] = changed if len(path) == 1 else replaced(self.names[path[0]], path[1:], changed)

    def _read_bases(self, expression: ast.expr) -> None:
        node = self.values.node(expression)
        entries = node.value if isinstance(node.value, list) else [node]
        bases: dict[str, Node] = {}
        for entry in entries:
            if not isinstance(entry.value, str):
                self._tell("unresolved-base", entry.place, BASE_NAME, "the name of a base is computed")
                self.complete = False
                continue
            path, reason = locate_base(entry.value, self.file)
            for key, value in self._read_base(path, reason, entry.value, entry.place).items():
                if key in bases:
                    detail = f"'{key}' is set by two bases, here and at {bases[key].place}"
                    self._tell("key-in-two-bases", value.place, key, detail)
                bases[key] = value
        self.names[BASE_NAME] = Node(bases, node.place)

    def _import_base(self, statement: ast.ImportFrom) -> None:
        place = self.values.place(statement)
        if statement.module is None:
            return
        path, reason = locate_module(statement.module, statement.level, self.file)
        read = self._read_base(path, reason, "." * statement.level + statement.module, place)
        for alias in statement.names:
            if alias.name == "*":
                self.names.update(read)
            elif alias.name in read:
                self.names[alias.asname or alias.name] = read[alias.name]

    def _read_base(self, path: Path | None, reason: str, name: str, place: Place) -> dict[str, Node]:
        rule = ""
        if path is None:
            rule, detail = "unresolved-base", reason
        elif not is_file(path):
            rule, detail = "missing-base", f"{name} is not there ({path})"
        elif resolved(path) in self.chain:
            rule, detail = "base-cycle", f"{name} leads back to itself"
            self.cyclic = True
        if rule or path is None:
            self.complete = False
            self._tell(rule, place, BASE_NAME, detail)
            return {}
        read = self.known.get(path) or _FileReader(path, self.known, self.chain).read()
        if not read.cyclic:
            self.known[path] = read
        self.complete = self.complete and read.complete
        self.cyclic = self.cyclic or read.cyclic
        self.problems += read.problems
        self.bases = read.bases | self.bases
        self.bases[self.file].append(path)
        return read.names

    def _merged(self, base: Node, own: Node, path: str) -> Node:
        """mmengine's rule: dicts merge, ``_delete_=True`` replaces, everything else is overwritten."""
        assert isinstance(own.value, dict)
        items = {key: child for key, child in own.value.items() if key != _DELETE}
        if base.value is UNKNOWN or (_DELETE in own.value and own.value[_DELETE].value):
            return Node(items, own.place)
        if not isinstance(base.value, dict):
            detail = f"a dict here, but none in the base ({base.place})"
            self._tell("cannot-inherit", own.place, path, detail)
            return Node(items, own.place)
        merged = dict(base.value)
        for key, child in items.items():
            full = f"{path}.{key}" if path else key
            if isinstance(child.value, dict) and key in merged:
                child = self._merged(merged[key], child, full)
            elif isinstance(child.value, dict) and _DELETE in child.value and base.value and self.complete:
                self._tell("deletes-nothing", child.value[_DELETE].place, f"{full}.{_DELETE}", "no base has this dict")
            merged[key] = child
        return Node(merged, own.place)

    def _forget_what_is_set_in(self, statement: ast.stmt) -> None:
        """What a branch or a loop assigns is known only to who runs it."""
        for name in names_changed(statement):
            self.assignments.forget(name)
            if name != BASE_NAME:
                self.names[name] = Node(UNKNOWN, Place(self.file, statement.lineno))

    def _tell(self, rule: str, place: Place, key: str, detail: str) -> None:
        self.problems.append(Problem(rule, place, key, detail))
