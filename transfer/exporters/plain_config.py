"""Configurations in Python that may be run: they assign plain data, and nothing else.

mmengine runs a configuration file as a program. An exported one only assigns dicts, lists and values, and so do the
edits that people make to it; a file that does more (imports, calls functions) is refused here before it is run.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenebench.errors import UserError

_BASES = "_base_"
_SCOPES = ("mmengine", "mmcv", "mmseg", "mmdet", "mmpretrain")  # packages whose own files may be bases
_FUNCTIONS = {"dict", "list", "tuple", "range", "len", "int", "float", "str", "min", "max"}
_METHODS = {
    "append", "copy", "extend", "get", "insert", "items", "keys", "merge", "pop", "setdefault", "update", "values",
}  # fmt: skip
_STATEMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Expr, ast.Pass, ast.If, ast.For)
_EXPRESSIONS = (
    ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Subscript, ast.Slice, ast.Starred, ast.BinOp, ast.UnaryOp,
    ast.BoolOp, ast.Compare, ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.ListComp, ast.DictComp,
)  # fmt: skip
_PARTS = (
    ast.Module, ast.keyword, ast.comprehension, ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
)  # fmt: skip
_HARMLESS = (*_STATEMENTS, *_EXPRESSIONS, *_PARTS)


def require_plain(file: Path, seen: tuple[Path, ...] = ()) -> None:
    """Read a configuration and its bases without running them.

    Raises:
        UserError: one of them is missing, is not Python, or does more than assign plain values; names the line.
    """
    if file.resolve() in seen:
        raise UserError(f"{file}: its {_BASES} leads back to itself")
    module = _parsed(file)
    for node in ast.walk(module):
        if not _is_harmless(node):
            line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr) else ""
            raise UserError(
                f"{file}{line}: not plain values, so it was not run: write '{_shown(node)}' out as dicts, lists, "
                "numbers and text"
            )
    for base in _bases(module, file):
        scope, double_colon, _ = base.partition("::")
        if double_colon and scope in _SCOPES:
            continue  # a file of an installed toolbox
        if double_colon or not base.endswith(".py"):
            raise UserError(f"{file}: its {_BASES} '{base}' is no configuration in Python beside it, so it was not run")
        require_plain(file.absolute().parent / Path(base).expanduser(), (*seen, file.resolve()))


def require_known_types(model: Any, file: Path) -> None:
    """No ``type`` of a model's dicts may be a path into a module: mmengine would import it and call what it finds.

    Raises:
        UserError: naming the first that is.
    """
    for kind in _types(model):
        scope, dot, name = str(kind).rpartition(".")
        if (dot and (scope not in _SCOPES or not name.isidentifier())) or (not dot and _is_module(str(kind))):
            raise UserError(
                f"{file}: type '{kind}' is no name of a registry, so it was not built; write its short name"
            )


def substituted(text: str, file: Path) -> str:
    """A configuration's text as mmengine runs it: templates of the file's own path are replaced, letter by letter."""
    path = file.absolute()
    for key, value in {
        "fileDirname": str(path.parent),
        "fileBasename": path.name,
        "fileBasenameNoExtension": path.stem,
        "fileExtname": path.suffix,
    }.items():
        text = re.sub(r"\{\{\s*" + key + r"\s*\}\}", value.replace("\\", "/"), text)
    return text


def _parsed(file: Path) -> ast.Module:
    try:
        text = substituted(file.read_text(encoding="utf-8"), file)
        if re.search(r"\{\{\s*\$", text):
            raise UserError(f"{file}: takes values from the environment, so it was not run; write them out")
        return ast.parse(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno or 1}: not Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{file}: not Python: {' '.join(str(error).split())}") from error


def _is_harmless(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name, ctx=context):
            known = name in _FUNCTIONS or not hasattr(builtins, name) or not isinstance(context, ast.Load)
            return known and not name.startswith("__")
        case ast.Attribute(attr=name):
            return not name.startswith("_")
        case ast.Call(func=ast.Name(id=name)):
            return name in _FUNCTIONS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _METHODS
    return isinstance(node, _HARMLESS)


def _bases(module: ast.Module, file: Path) -> list[str]:
    found: list[str] = []
    for statement in ast.walk(module):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if not any(isinstance(target, ast.Name) and target.id == _BASES for target in targets):
            continue
        assert isinstance(statement, ast.Assign)
        try:
            value = ast.literal_eval(statement.value)
        except ValueError as error:
            raise UserError(f"{file}:{statement.lineno}: {_BASES} is not written as plain text") from error
        found += [str(base) for base in (value if isinstance(value, list | tuple) else [value])]
    return found


def _types(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        if "type" in tree:
            yield tree["type"]
        for value in tree.values():
            yield from _types(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _types(value)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split()) if isinstance(node, ast.stmt | ast.expr) else type(node).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."
