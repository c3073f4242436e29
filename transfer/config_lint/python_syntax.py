"""Small questions about the syntax of a Python configuration."""

from __future__ import annotations

import ast

from transfer.config_lint.tree import UNKNOWN, Node


def name_of(expression: ast.expr) -> str:
    """The name, where the expression is one; else empty."""
    return expression.id if isinstance(expression, ast.Name) else ""


def dotted(target: ast.expr) -> list[str]:
    """``model['backbone'].depth`` as its parts; empty for anything else."""
    match target:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=owner, attr=key) | ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
            head = dotted(owner)
            return [*head, key] if head else []
    return []


def root_name(expression: ast.expr) -> str:
    """``model`` of ``model['backbone'][0].depth``; empty where it begins with anything but a name."""
    while isinstance(expression, (ast.Attribute, ast.Subscript)):
        expression = expression.value
    return name_of(expression)


def names_read(tree: ast.AST) -> set[str]:
    """The names whose values a statement or expression uses."""
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def names_changed(tree: ast.AST) -> set[str]:
    """The names that a statement assigns, or whose values it may change in place."""
    changed = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    for part in ast.walk(tree):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            changed.add(root_name(part.func.value))
        elif isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(part.ctx, (ast.Store, ast.Del)):
            changed.add(root_name(part))
    return changed - {""}


def is_dict(expression: ast.expr) -> bool:
    """Whether it is ``{...}`` or ``dict(...)``."""
    return isinstance(expression, ast.Dict) or (isinstance(expression, ast.Call) and name_of(expression.func) == "dict")


def is_read_base(statement: ast.stmt) -> bool:
    """Whether it is ``with read_base():``."""
    return isinstance(statement, ast.With) and any(
        isinstance(item.context_expr, ast.Call) and name_of(item.context_expr.func) == "read_base"
        for item in statement.items
    )


def replaced(owner: Node, path: list[str], node: Node | None) -> Node:
    """The tree with another node at a path (None removes it): rebuilt along the path, as nodes are shared."""
    if not path:
        return owner if node is None else node
    if not isinstance(owner.value, dict):
        return owner
    if node is None and len(path) == 1:
        return Node({key: child for key, child in owner.value.items() if key != path[0]}, owner.place)
    below = owner.value.get(path[0])
    if below is None:
        if node is None:
            return owner
        below = Node({}, node.place)
    elif below.value is UNKNOWN and len(path) > 1:
        return owner
    return Node(owner.value | {path[0]: replaced(below, path[1:], node)}, owner.place)
