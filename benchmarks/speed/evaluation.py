"""``scenebench bench evaluation``: how fast evaluation is on this machine, part by part; results as plain data."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.evaluation.environment import describe_environment
from scenebench.errors import UserError

PARTS = ("probes", "boxes", "masks", "startup", "loops")
"""kNN and linear probe; COCO's evaluation of boxes and of masks; toolboxes' start; iterations beside stock loops."""
Say = Callable[[str], object]


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        features: training images of the probes, and as many tests.
        coco_images: of COCO's evaluation.
        starts: fresh processes a toolbox.
        steps: of each training loop.
        small: ``key=value`` pairs for the protocols of the loops.
    """

    features: int = 10_000
    coco_images: int = 5_000
    starts: int = 3
    steps: int = 30
    small: tuple[str, ...] = ()


def measure_evaluation(parts: Sequence[str], sizes: Sizes, say: Say) -> dict[str, Any]:
    """The chosen parts, each with where and when it was measured."""
    found: dict[str, Any] = {}
    for part in parts:
        say(f"{part} ...")
        begun = time.perf_counter()
        measured = _measure(part, sizes, say)
        found[part] = _where() | {"minutes": round((time.perf_counter() - begun) / 60, 1), "measured": measured}
    return {"what": "evaluation speed", "parts": found}


def merged(earlier: Path, result: Mapping[str, Any]) -> dict[str, Any]:
    """``result`` with the parts that it lacks from an earlier run's file, where there is one; in the order of PARTS.

    Raises:
        UserError: the file is not one of these.
    """
    parts: dict[str, Any] = {}
    if earlier.is_file():
        try:
            parts = dict(json.loads(earlier.read_text(encoding="utf-8"))["parts"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{earlier}: not results of this benchmark; move it away") from error
    parts |= result["parts"]
    return {**result, "parts": {name: parts[name] for name in PARTS if name in parts}}


def _measure(part: str, sizes: Sizes, say: Say) -> Any:
    """Each part imports what it measures."""
    if part == "probes":
        from benchmarks.speed.probes import measure_probes

        return measure_probes(sizes.features)
    if part in ("boxes", "masks"):
        from benchmarks.speed.coco_sized import measure_coco

        return measure_coco(sizes.coco_images, "bbox" if part == "boxes" else "segm", say)
    if part == "startup":
        from benchmarks.speed.startup import measure_startup, toolboxes

        return measure_startup(sizes.starts, toolboxes())
    from benchmarks.speed.training_loops import measure_loops

    with tempfile.TemporaryDirectory() as folder:
        return measure_loops(sizes.steps, Path(folder), sizes.small)


def _where() -> dict[str, Any]:
    environment = describe_environment()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": environment.processor,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "packages": environment.packages,
        "git_commit": environment.git_commit,
    }
