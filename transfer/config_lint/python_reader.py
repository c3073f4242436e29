"""MMSegmentation's and MMDetection's Python configurations, parsed and never run; bases merged as mmengine merges them.

Both styles are read: ``_base_ = [...]``, whose dicts a file changes by dicts of the same name, and the newer ``with
read_base(): from ... import *``, whose dicts it changes by assignments and ``update``.
"""

from __future__ import annotations

import ast
from pathlib import Path

from transfer.config_lint.mm_bases import locate_base, locate_module
from transfer.config_lint.python_values import BASE_NAME, Values
from transfer.config_lint.tree import UNKNOWN, Config, Node, Place, Problem

_DELETE = "_delete_"
_SCHEDULE_NAMES = (
    "train_cfg", "val_cfg", "test_cfg", "param_scheduler", "optim_wrapper", "optimizer", "lr_config", "runner",
    "max_epochs", "total_epochs", "max_iters", "schedule", "optimizer_config", "auto_scale_lr",
)  # fmt: skip
_SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder", "MultimodalEncoderDecoder")


def read_python_config(file: Path) -> Config:
    """A configuration of mmseg or mmdet with its bases. Every problem is in the result; nothing is raised."""
    problems: list[Problem] = []
    names, complete = _FileReader(file, problems, []).read()
    root = Node(names, Place(file, 1))
    return Config(file, _engine(root), root, complete, problems)


def looks_like_openmmlab(file: Path) -> bool:
    """Whether a Python file assigns ``_base_`` or ``model``, or reads bases, at its top level."""
    try:
        module = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    assignments = [statement for statement in module.body if isinstance(statement, ast.Assign)]
    for assignment in assignments:
        names = [_name(target) for target in assignment.targets]
        if BASE_NAME in names or ("model" in names and _is_dict(assignment.value)):
            return True
    return any(_is_read_base(statement) for statement in module.body)


def _engine(root: Node) -> str:
    scope, kind = root.get("default_scope"), root.get("model.type")
    if scope is not None and scope.value in ("mmseg", "mmdet"):
        return str(scope.value)
    return "mmseg" if kind is not None and kind.value in _SEGMENTORS else "mmdet"


class _FileReader:
    """One file of a chain. ``names`` is what its names stand for, ``own`` those that it assigns itself."""

    def __init__(self, file: Path, problems: list[Problem], descendants: list[Path]) -> None:
        self.file = file
        self.problems = problems
        self.chain = [*descendants, file.resolve()]
        self.names: dict[str, Node] = {}
        self.bases: dict[str, Node] = {}
        self.assigned: dict[str, Place] = {}
        self.complete = True
        self.lazy = False
        self.values = Values(file, self.names, problems)

    def read(self) -> tuple[dict[str, Node], bool]:
        """The file's names merged with its bases', and whether all bases could be read."""
        try:
            module = ast.parse(self.file.read_text(encoding="utf-8"))
            self._read_statements(module.body)
        except SyntaxError as error:
            self._tell("unreadable", Place(self.file, error.lineno or 1), "", f"not Python: {error.msg}")
            return {}, False
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            self._tell("unreadable", Place(self.file, 1), "", f"not Python: {' '.join(str(error).split())}")
            return {}, False
        own = {name: node for name, node in self.names.items() if name != BASE_NAME}
        if self.lazy:
            return own, self.complete
        start = Place(self.file, 1)
        merged = self._merged(Node(self.bases, start), Node(own, start), "").value
        return {name: node for name, node in merged.items() if not name.startswith("__")}, self.complete

    def _read_statements(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if isinstance(statement, ast.Assign) and [_name(t) for t in statement.targets] == [BASE_NAME]:
                self._read_bases(statement.value)
        for statement in statements:
            self._read_statement(statement)

    def _read_statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[target], value=value):
                self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=sign, value=value):
                self._set(name, self.values.node(ast.copy_location(ast.BinOp(target, sign, value), statement)))
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr="update" | "merge")) as call):
                self._update(owner, call)
            case ast.With(body=body) if _is_read_base(statement):
                self.lazy = True
                for imported in body:
                    if isinstance(imported, ast.ImportFrom):
                        self._import_base(imported)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:  # a class by its name, as the registry of types has it
                    self.names[alias.asname or alias.name] = Node(alias.name, self.values.place(statement))
            case ast.Delete(targets=targets):
                for target in targets:
                    self.names.pop(_name(target), None)
            case ast.FunctionDef() | ast.ClassDef():
                self.names.pop(statement.name, None)
            case ast.If() | ast.For() | ast.While() | ast.Try() | ast.With():
                self._forget_what_is_set_in(statement)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        place = Place(self.file, target.lineno)
        name = _name(target)
        if name == BASE_NAME:
            return
        if name:
            uses_itself = any(_name(part) == name for part in ast.walk(value) if isinstance(part, ast.expr))
            if name in self.assigned and not uses_itself:
                rule = "schedule-assigned-twice" if name in _SCHEDULE_NAMES else "assigned-twice"
                lost = f"assigned in line {self.assigned[name].line} already; that value is lost"
                self._tell(rule, place, name, lost)
            self.assigned[name] = place
            self._set(name, self.values.node(value, place, name))
        elif isinstance(target, (ast.Tuple, ast.List)):
            node = self.values.node(value, place)
            same = isinstance(node.value, list) and len(node.value) == len(target.elts)
            for number, part in enumerate(target.elts):
                self._set(_name(part), node.value[number] if same else Node(UNKNOWN, place))
        else:
            path = _dotted(target)
            if path:
                self._set_at(path, self.values.node(value, place, ".".join(path)))

    def _set(self, name: str, node: Node) -> None:
        if name:
            self.names[name] = node

    def _set_at(self, path: list[str], node: Node) -> None:
        """``model.backbone.depth = 18``: rebuilt along the path, as nodes are shared."""
        owner = self.names.get(path[0])
        if owner is not None:
            self.names[path[0]] = _replaced(owner, path[1:], node)

    def _update(self, owner: ast.expr, call: ast.Call) -> None:
        path = _dotted(owner)
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
        self.names[path[0]] = changed if len(path) == 1 else _replaced(self.names[path[0]], path[1:], changed)

    def _read_bases(self, expression: ast.expr) -> None:
        node = self.values.node(expression)
        entries = node.value if isinstance(node.value, list) else [node]
        for entry in entries:
            if not isinstance(entry.value, str):
                self._tell("unresolved-base", entry.place, BASE_NAME, "the name of a base is computed")
                self.complete = False
                continue
            path, reason = locate_base(entry.value, self.file)
            for key, value in self._read_base(path, reason, entry.value, entry.place).items():
                if key in self.bases:
                    detail = f"'{key}' is set by two bases, here and at {self.bases[key].place}"
                    self._tell("key-in-two-bases", value.place, key, detail)
                self.bases[key] = value
        self.names[BASE_NAME] = Node(self.bases, node.place)

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
        elif not path.is_file():
            rule, detail = "missing-base", f"{name} is not there ({path})"
        elif path.resolve() in self.chain:
            rule, detail = "base-cycle", f"{name} leads back to itself"
        if rule or path is None:
            self.complete = False
            self._tell(rule, place, BASE_NAME, detail)
            return {}
        names, complete = _FileReader(path, self.problems, self.chain).read()
        self.complete = self.complete and complete
        return names

    def _merged(self, base: Node, own: Node, path: str) -> Node:
        """mmengine's rule: dicts merge, ``_delete_=True`` replaces, everything else is overwritten."""
        assert isinstance(own.value, dict)
        items = {key: child for key, child in own.value.items() if key != _DELETE}
        replaces = _DELETE in own.value and own.value[_DELETE].value is True
        if replaces or base.value is UNKNOWN:
            return Node(items, own.place)
        if not isinstance(base.value, dict):
            detail = f"a dict here, but none in the base ({base.place})"
            self._tell("cannot-inherit", own.place, path, detail)
            return Node(items, own.place)
        merged = dict(base.value)
        for key, child in items.items():
            full = f"{path}.{key}" if path else key
            inherits = key in merged and isinstance(child.value, dict)
            merged[key] = self._merged(merged[key], child, full) if inherits else child
        return Node(merged, own.place)

    def _forget_what_is_set_in(self, statement: ast.stmt) -> None:
        """What a branch or a loop assigns is known only to who runs it."""
        for part in ast.walk(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self.names[part.id] = Node(UNKNOWN, Place(self.file, part.lineno))

    def _tell(self, rule: str, place: Place, key: str, detail: str) -> None:
        self.problems.append(Problem(rule, place, key, detail))


def _replaced(owner: Node, path: list[str], node: Node) -> Node:
    if not path:
        return node
    if not isinstance(owner.value, dict):
        return owner
    below = owner.value.get(path[0], Node({}, node.place))
    return Node(owner.value | {path[0]: _replaced(below, path[1:], node)}, owner.place)


def _dotted(target: ast.expr) -> list[str]:
    """``model['backbone'].depth`` as its parts; empty for anything else."""
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=owner, attr=key) | ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
            head = _dotted(owner)
            return [*head, key] if head else []
    return []


def _name(expression: ast.expr) -> str:
    return expression.id if isinstance(expression, ast.Name) else ""


def _is_dict(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Dict) or (isinstance(expression, ast.Call) and _name(expression.func) == "dict")


def _is_read_base(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.With) and any(
        isinstance(item.context_expr, ast.Call) and _name(item.context_expr.func) == "read_base"
        for item in statement.items
    )
