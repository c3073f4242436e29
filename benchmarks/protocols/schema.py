"""What the typed sections of a protocol share: keys that came later, and checks of values."""

from __future__ import annotations

import dataclasses
from typing import Any

from scenebench.config import to_plain
from scenebench.errors import UserError

_LATER = {"later": True}


def later(default: Any) -> Any:
    """A key that came after numbers had been measured, with the value that they were measured with.

    While it has that value it is left out of a protocol's resolved form, so that the protocol's hash, and with it the
    meaning of older records, stays. A list or a dictionary is copied for each instance.
    """
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=_LATER)
    return dataclasses.field(default=default, metadata=_LATER)


def resolve(config: Any) -> dict[str, Any]:
    """A dataclass instance as plain data, without the :func:`later` keys that have their default."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata.get("later") and value == _default(field):
            continue
        plain[field.name] = resolve(value) if dataclasses.is_dataclass(value) else value
    return plain


def to_resolved(config: Any) -> dict[str, Any]:
    """:func:`resolve`, with enums as values and tuples as lists, as JSON has them."""
    kept = resolve(config)
    return _keep(to_plain(config), kept)


def require_positive(settings: Any, *names: str) -> None:
    """Raise UserError for the first of these attributes of ``settings`` that is not above 0."""
    for name in names:
        if getattr(settings, name) <= 0:
            raise UserError(f"settings.{name}: {getattr(settings, name)} is not positive")


def _keep(plain: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for key, value in plain.items():
        if key in kept:
            inner = kept[key]
            chosen[key] = _keep(value, inner) if isinstance(inner, dict) and isinstance(value, dict) else value
    return chosen


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
