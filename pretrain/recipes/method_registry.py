"""The pretraining methods by name: a decorator registers a method, and its name finds the file.

Method ``mls`` is ``pretrain/methods/mls.py`` (or the package ``mls``, in it ``method.py``). Files of one's own, in the
folders that :data:`FOLDERS` names, are searched after those.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from scenebench.errors import UserError, require_choice

FOLDERS = "SCENEBENCH_METHODS"
"""The environment variable that names folders with methods of one's own, as ``PATH`` does. Their files are run."""
_PACKAGE = "pretrain.methods"


_METHODS: dict[str, type[Any]] = {}
Registered = TypeVar("Registered", bound=type[Any])


def register(name: str) -> Callable[[Registered], Registered]:
    """Register the decorated class as method ``name``.

    Raises:
        UserError: another class has the name.
    """

    def enter(method: Registered) -> Registered:
        other = _METHODS.setdefault(name, method)
        if (other.__module__, other.__qualname__) != (method.__module__, method.__qualname__):
            raise UserError(f"method '{name}' is registered twice, by {other.__module__} and {method.__module__}")
        _METHODS[name] = method
        return method

    return enter


def method_class(name: str) -> type[Any]:
    """The class that is registered as ``name``, a subclass of ``Method``.

    Raises:
        UserError: there is none, with the nearest name.
    """
    if name not in _METHODS and name.isidentifier():
        module = f"{_PACKAGE}.{name}"
        if importlib.util.find_spec(module) is not None:
            _load(module)
    if name not in _METHODS:
        require_choice("method", name, method_names())
    return _METHODS[name]


def method_names() -> list[str]:
    """The names of all methods, sorted; imports every one."""
    for module in pkgutil.iter_modules(importlib.import_module(_PACKAGE).__path__):
        _load(f"{_PACKAGE}.{module.name}")
    for folder in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
        _load_folder(Path(folder))
    return sorted(_METHODS)


def _load(module: str) -> None:
    if hasattr(importlib.import_module(module), "__path__"):
        importlib.import_module(f"{module}.method")


def _load_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{FOLDERS}: {folder} is no folder")
    for file in sorted(folder.resolve().glob("*.py")):
        name = f"scenebench_method_{file.stem}"
        if getattr(sys.modules.get(name), "__file__", None) == str(file):
            continue
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
