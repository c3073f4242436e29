"""What makes two recipes the same run: what departs from the defaults, but for keys that have no effect."""

from __future__ import annotations

from typing import Any

KEYS_WITHOUT_EFFECT = (
    "data.workers",
    "data.cache",
    "probe",
    "diagnostics",
    "run.log_every",
    "run.checkpoint_every_epochs",
    "run.checkpoint_every_steps",
    "run.tensorboard",
    "run.threads",
)
"""Keys that change neither data, nor batches, nor mathematics: two runs that differ in them are one run."""
PLACES = ("data.root", "data.images", "data.annotations", "init_from")
"""Where a run's data, and the weights it starts from, lie. A copy elsewhere is the same: what is there is compared
(weights by ``init_hash``), not its name."""


def departures(plain: dict[str, Any], defaults: dict[str, Any], without: set[str], prefix: str = "") -> dict[str, Any]:
    """What of ``plain`` is not the default, but for the keys ``without``.

    Args:
        without: names of keys (``run.threads``) or of whole sections.
        prefix: of the section that ``plain`` is, with its dot.
    """
    found = {}
    for key, value in plain.items():
        if f"{prefix}{key}" in without or value == defaults.get(key):
            continue
        if isinstance(value, dict) and isinstance(defaults.get(key), dict):
            value = departures(value, defaults[key], without, f"{prefix}{key}.")
            if not value:
                continue
        found[key] = value
    return found
