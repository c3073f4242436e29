"""What a run folder holds beside its record, for the record's page: the tail of its log, and the losses it wrote.

Only plain files of known names, at known places below the folder of results, are read, and no more than a bounded part
of each. A run without them has a page without them.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report.escaping import visible

LOG_FILE = "log.txt"
PRETRAIN_LOG = "log.jsonl"
TAIL_LINES = 40
MAX_LINE = 400
_TAIL_BYTES = 16_000
_CURVE_BYTES = 4_000_000
_MOST_POINTS = 300
_TOOLBOX_LOGS = ("metrics.json", "*/vis_data/scalars.json")
_STEPS = ("step", "iteration", "iter")
_LOSSES = ("loss", "total_loss")


@dataclass(frozen=True)
class Curve:
    """Losses of one training: ``points`` are (step, loss), by rising step, finite."""

    title: str
    points: tuple[tuple[float, float], ...]


def log_tail(record_file: Path, root: str) -> str:
    """Last lines of the log beside a record, invisible signs spelt; "" where there is none.

    Args:
        root: real path of the folder of results, :func:`os.path.realpath`.
    """
    path = record_file.with_name(LOG_FILE)
    # The record was found inside, so what lies beside it is inside too, unless it is a link.
    if not (_is_inside(path, root) if path.is_symlink() else path.is_file()):
        return ""
    with open(path, "rb") as file:
        start = max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES)
        file.seek(start)
        text = file.read(_TAIL_BYTES).decode("utf-8", errors="replace")
    lines = text.splitlines()[1 if start else 0 :][-TAIL_LINES:]
    return visible("\n".join(line[:MAX_LINE] for line in lines), keep="\n\t")


def curves(record_file: Path, root: str, pretraining: Path | None) -> list[Curve]:
    """Losses of the backbone's pretraining and of this evaluation's training, where the folder holds their logs.

    Args:
        root: as of :func:`log_tail`.
        pretraining: the backbone that was evaluated (:func:`backbone_of_records`); its log lies beside it.
    """
    paths = [] if pretraining is None else [("Pretraining", pretraining.with_name(PRETRAIN_LOG))]
    toolbox = record_file.with_name("toolbox")
    if toolbox.is_dir():
        paths += [("Transfer", path) for name in _TOOLBOX_LOGS for path in sorted(toolbox.glob(name))[:1]]
    found = [(title, _points(path)) for title, path in paths if _is_inside(path, root)]
    return [Curve(title, points) for title, points in found if len(points) > 1]


def backbone_of_records(folder: Path) -> dict[Path, Path]:
    """After ``scenebench run``: record file -> backbone file that the cell evaluated."""
    plan = folder / "plan.json"
    if not plan.is_file():
        return {}
    try:
        jobs = json.loads(plan.read_text(encoding="utf-8"))["jobs"]
        return {
            folder / output: folder / each
            for job in jobs
            for output in job["outputs"]
            for each in job["inputs"]
            if each.endswith("backbone.safetensors")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # a plan of another version: the pages go without curves


def _is_inside(path: Path, root: str) -> bool:
    """Whether ``path`` is a file, and links lead to nowhere outside (os.path is several times faster than pathlib)."""
    return path.is_file() and os.path.realpath(path).startswith(root + os.sep)


def _points(path: Path) -> tuple[tuple[float, float], ...]:
    with open(path, "rb") as file:
        lines = file.read(_CURVE_BYTES).decode("utf-8", errors="replace").splitlines()
    found = dict(_step_and_loss(lines))
    points = sorted(found.items())
    stride = -(-len(points) // _MOST_POINTS) or 1
    return tuple(points[::stride])


def _step_and_loss(lines: Iterable[str]) -> Iterable[tuple[float, float]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was killed
        if isinstance(entry, dict):
            step, loss = (_first_number(entry, names) for names in (_STEPS, _LOSSES))
            if step is not None and loss is not None:
                yield step, loss


def _first_number(entry: dict[str, Any], names: Iterable[str]) -> float | None:
    for name in names:
        value = entry.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12:
            return float(value) if math.isfinite(value) else None
    return None
