"""What differs between two configurations, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.records.collect import row_recipe
from benchmarks.records.record import Record
from scenebench.untrusted_text import clip

ABSENT = "-"
_LONGEST = 100
# What a record says of a backbone beside its recipe; the label is the row's name.
_FACTS = ("method", "origin", "architecture", "dataset", "dataset_fingerprint", "epochs", "images_seen")


@dataclass(frozen=True)
class KeyDifference:
    """A key and its two values as text; ``-`` where a side lacks it."""

    key: str
    a: str
    b: str


def differing_keys(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[KeyDifference]:
    """The keys of two nested configurations whose values differ, by name; lists are gone into, too."""
    flat_a, flat_b = _flat(a, prefix), _flat(b, prefix)
    return [
        KeyDifference(key, _text(flat_a, key), _text(flat_b, key))
        for key in sorted({*flat_a, *flat_b})
        if key not in flat_a or key not in flat_b or flat_a[key] != flat_b[key]
    ]


def differing_setup(a: Sequence[Record], b: Sequence[Record]) -> list[KeyDifference]:
    """What differs between two rows: the backbones' facts and recipes, the suites, the packages they ran with.

    Seeds, paths and machines' names are no part of it.
    """
    first, second = a[0], b[0]
    facts = [{f"backbone.{name}": getattr(record.backbone, name) for name in _FACTS} for record in (first, second)]
    found = differing_keys(facts[0], facts[1])
    found += differing_keys(row_recipe(first), row_recipe(second), "recipe.")
    if first.suite_resolved and second.suite_resolved:
        found += differing_keys(first.suite_resolved, second.suite_resolved, "suite.")
    return found + differing_keys(_packages(a), _packages(b), "packages.")


def _packages(records: Sequence[Record]) -> dict[str, str]:
    """Versions by package, all that took part."""
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.environment.packages.items():
            versions.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(found)) for name, found in versions.items()}


def _flat(tree: Any, prefix: str) -> dict[str, Any]:
    if isinstance(tree, Mapping) and tree:
        parts = [(f"{prefix}{key}", value) for key, value in tree.items()]
    elif isinstance(tree, list) and any(isinstance(item, Mapping) for item in tree):
        parts = [(f"{prefix.rstrip('.')}[{number}]", item) for number, item in enumerate(tree)]
    else:
        return {prefix.rstrip("."): tree}
    flat: dict[str, Any] = {}
    for name, value in parts:
        flat |= _flat(value, f"{name}.")
    return flat


def _text(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return ABSENT
    value = flat[key]
    return clip(value if isinstance(value, str) else json.dumps(value), _LONGEST)
