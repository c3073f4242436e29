"""``scenebench bench pretrain``: how fast pretraining is on this machine, beside its peers; results as plain data."""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.evaluation.environment import describe_environment
from benchmarks.speed import together
from benchmarks.speed.cases import Case, cases, pixel_share
from benchmarks.speed.interleaved import Rates, interleave
from benchmarks.speed.memory import peak_memory
from benchmarks.speed.peers import lightly_is_here, versions
from benchmarks.speed.photographs import find_photographs, write_photographs
from benchmarks.speed.steps import device_of, lightly_step_alone, step_alone
from benchmarks.speed.views import decoders, pipelines

LIGHTLY_MOCO = "lightly moco"
IMAGES = 256


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        rounds: turns of each contender.
        seconds: of a turn, at least.
        photographs: a folder of JPEGs to cut the photographs from; None or without any: scenes.
        cases: sizes of network and input.
    """

    rounds: int = 5
    seconds: float = 4.0
    photographs: Path | None = None
    cases: list[Case] = field(default_factory=cases)


def measure(settings: Settings, say: Callable[[str], object]) -> dict[str, Any]:
    """Run everything; rates in images per second."""
    begun = time.perf_counter()
    sources = [] if settings.photographs is None else find_photographs(settings.photographs)
    with tempfile.TemporaryDirectory() as folder:
        files = write_photographs(Path(folder), IMAGES, sources)
        result: dict[str, Any] = {
            "what": "pretraining speed",
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "environment": describe_environment().model_dump(),
            "cores": len(os.sched_getaffinity(0)),
            "peers": versions(),
            "photographs": {
                "source": "photographs" if sources else "scenes",
                "mean_bytes": round(sum(path.stat().st_size for path in files) / len(files)),
            },
            "rounds": settings.rounds,
            "seconds": settings.seconds,
            "views": _measure_views(settings, files, say),
            "steps": [_measure_steps(case, settings, files, say) for case in settings.cases],
            "together": [_measure_together(case, settings, files, say) for case in settings.cases[:2]],
            "workers": _measure_workers(settings, files, say),
        }
    result["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    return result


def _measure_views(settings: Settings, files: Sequence[Path], say: Callable[[str], object]) -> dict[str, Any]:
    """On one thread and by its own CPU time, so that other processes do not count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sizes = {}
        for crop in (224, 112):
            say(f"views of {crop} px: each pipeline on one core")
            recipe = Case(depth=18, stem_width=64, crop_size=crop, batch_size=16).recipe("moco")
            sizes[str(crop)] = _values(
                interleave(pipelines(recipe, files), settings.rounds, settings.seconds, time.process_time)
            )
        say("decoding alone")
        decoding = _values(interleave(decoders(files), settings.rounds, settings.seconds / 4, time.process_time))
    finally:
        torch.set_num_threads(threads)
    return {"two_views": sizes, "decoding": decoding}


def _measure_steps(
    case: Case, settings: Settings, files: Sequence[Path], say: Callable[[str], object]
) -> dict[str, Any]:
    say(f"the step alone: {case.name}")
    recipe = case.recipe("moco")
    builders = {method: partial(step_alone, case.recipe(method), files) for method in case.methods}
    if lightly_is_here():
        builders[LIGHTLY_MOCO] = partial(lightly_step_alone, case, recipe)
    peaks = {name: peak_memory(build, device_of(recipe)) for name, build in builders.items()}
    contenders = {name: build() for name, build in builders.items()}
    rates = interleave(contenders, settings.rounds, settings.seconds)
    return {
        "case": case.name,
        "precision": recipe.run.precision,
        "images_per_second": _values(rates),
        "peak_bytes": peaks,
        "saliency_pixel_share": round(pixel_share(case.recipe("saliency")), 3),
    }


def _measure_together(
    case: Case, settings: Settings, files: Sequence[Path], say: Callable[[str], object]
) -> dict[str, Any]:
    workers = len(os.sched_getaffinity(0))
    say(f"loader and step together: {case.name}, {workers} workers")
    recipe = case.recipe("moco", workers=workers)
    turns: dict[str, Callable[[], together.Together]] = {
        "moco": lambda: together.ours_together(recipe, files, 3 * settings.seconds)
    }
    if lightly_is_here():
        turns[LIGHTLY_MOCO] = lambda: together.lightly_together(case, recipe, files, 3 * settings.seconds)
    found: dict[str, list[together.Together]] = {name: [] for name in turns}
    for number in range(settings.rounds):
        for name in sorted(turns, reverse=bool(number % 2)):
            found[name].append(turns[name]())
            gc.collect()
    return {
        "case": case.name,
        "workers": workers,
        "images_per_second": {name: [turn.images_per_second for turn in all_] for name, all_ in found.items()},
        "data_wait_share": {name: [turn.data_wait_share for turn in all_] for name, all_ in found.items()},
    }


def _measure_workers(
    settings: Settings, files: Sequence[Path], say: Callable[[str], object]
) -> dict[str, dict[str, list[float]]]:
    cores = len(os.sched_getaffinity(0))
    numbers = sorted({0, 1, *(number for number in (2, 4, 8, 16, 32) if number <= cores)})
    say(f"the loader alone, 224 px, with {', '.join(map(str, numbers))} workers")
    case = Case(depth=18, stem_width=64, crop_size=224, batch_size=32)
    rates: dict[str, list[float]] = {str(number): [] for number in numbers}
    for _ in range(settings.rounds):
        for number in numbers:
            turn = together.loader_alone(case.recipe("moco", workers=number), files, settings.seconds)
            rates[str(number)].append(turn.images_per_second)
    return {"224": rates}


def _values(rates: dict[str, Rates]) -> dict[str, list[float]]:
    return {name: list(rate.values) for name, rate in rates.items()}
