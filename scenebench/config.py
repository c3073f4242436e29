"""Typed configurations: a dataclass holds the one default of each key; YAML files and ``key=value`` pairs override it.

An unknown key is an error that names the nearest right one; a value of the wrong type is an error that names its key.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import re
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scenebench.errors import UserError, did_you_mean

Schema = TypeVar("Schema")


class _UniqueKeyLoader(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "found an unhashable key", key_node.start_mark)
            if key in seen:
                raise UserError(f"{node.start_mark.name}:{key_node.start_mark.line + 1}: key '{key}' is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 reads "1e-4" as text; the field writes learning rates so.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        UserError: the file is missing, is not YAML, is not a mapping, or gives one key twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with open(path, encoding="utf-8") as file:
            content = yaml.load(file, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping of keys, found {type(content).__name__}")
    return content


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``["optimiser.lr=0.1", ...]`` into a nested mapping; values are read as YAML."""
    tree: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UserError(f"'{pair}': expected key=value")
        node = tree
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"'{pair}': '{parent}' was given a value before")
        try:
            node[leaf] = yaml.load(value, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, RecursionError) as error:
            raise UserError(f"'{pair}': the value is not YAML") from error
    return tree


def override(key: str, value: Any) -> str:
    """``key=value`` that :func:`parse_overrides` reads back: a text that looks like something else is put into quotes.

    Args:
        value: a number, a text, None, or a list or mapping of them.
    """
    if not isinstance(value, str):
        return f"{key}={json.dumps(value)}"
    try:
        is_plain = parse_overrides([f"key={value}"]) == {"key": value}
    except UserError:
        is_plain = False
    return f"{key}={value if is_plain else json.dumps(value)}"


def load_config(schema: type[Schema], *layers: Mapping[str, Any], where: str = "configuration") -> Schema:
    """Merge ``layers`` (later wins) over the defaults of the dataclass ``schema`` and return an instance of it.

    Args:
        schema: a dataclass of plain types, enums, lists, dicts and dataclasses (what OmegaConf can type).
        layers: nested mappings, for example of :func:`read_yaml` and :func:`parse_overrides`.
        where: named in errors, usually the file.

    Raises:
        UserError: unknown key, wrong type, missing value, or a check in the schema's ``__post_init__``.
    """
    for layer in layers:
        _check_keys(schema, layer, where, prefix="")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), *layers)
        return typing.cast(Schema, OmegaConf.to_object(merged))
    except OmegaConfBaseException as error:
        message = str(error).splitlines()[0]
        key = f" at '{error.full_key}'" if getattr(error, "full_key", None) else ""
        raise UserError(f"{where}: {message}{key}") from error


def _check_keys(schema: Any, layer: Mapping[str, Any], where: str, prefix: str) -> None:
    hints = typing.get_type_hints(schema)
    for key, value in layer.items():
        if key not in hints:
            raise UserError(f"{where}: unknown key '{prefix}{key}'{did_you_mean(str(key), hints)}")
        _check_value(hints[key], value, where, f"{prefix}{key}")


def _check_value(hint: Any, value: Any, where: str, key: str) -> None:
    """Refuse sections and lists where the schema has none; OmegaConf takes some of them for text."""
    inner, origin = _dataclass_in(hint), typing.get_origin(hint)
    if value is None or hint is Any or origin is dict:
        return
    if inner is not None:
        if not isinstance(value, Mapping):
            raise UserError(f"{where}: '{key}' is a section of keys, found the value {value!r}")
        _check_keys(inner, value, where, f"{key}.")
    elif origin is list:
        (element,) = typing.get_args(hint)
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: '{key}' is a list, found {_short(value)}; put it in [brackets]")
        for number, entry in enumerate(value):
            _check_value(element, entry, where, f"{key}[{number}]")
    elif _is_scalar(hint) and isinstance(value, Mapping | list):
        kind = "a section of keys" if isinstance(value, Mapping) else "a list"
        remedy = "; put text that has a colon in quotes" if isinstance(value, Mapping) else ""
        raise UserError(f"{where}: '{key}' is one value, found {kind}: {_short(value)}{remedy}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _is_scalar(hint: Any) -> bool:
    """Whether ``hint`` (also ``X | None``) is text, a number, yes or no, or an enum."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [kind for kind in (typing.get_args(hint) if union else (hint,)) if kind is not type(None)]
    return all(isinstance(kind, type) and issubclass(kind, str | int | float | bool | enum.Enum) for kind in kinds)


def _dataclass_in(hint: Any) -> Any:
    """The dataclass in ``hint`` (also inside ``X | None``), or None."""
    for candidate in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(candidate) and typing.get_origin(hint) not in (list, dict, tuple):
            return candidate
    return None


def to_plain(config: Any) -> Any:
    """A dataclass instance as nested dicts, lists and scalars (enums as their values), ready for JSON or YAML."""
    return json.loads(json.dumps(dataclasses.asdict(config), default=lambda value: getattr(value, "value", str(value))))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"mls": {"k": 5}}`` as ``{"mls.k": 5}``, as an override names the key."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def config_hash(content: Any) -> str:
    """Sixteen hexadecimal digits that name ``content`` (plain data): SHA-256 of its canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
