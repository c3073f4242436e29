"""The results of ``scenebench bench evaluation`` as Markdown; every number comes from the JSON beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.protocols.detection import FASTER, PYCOCOTOOLS
from benchmarks.speed.training_loops import AGAIN, OURS, STOCK

PROBES_TARGET, BOXES_TARGET, MASKS_TARGET, START_TARGET = 60.0, 10.0, 20.0, 12.0  # seconds
LOOP_TARGET = 1.05  # times the stock loop's iteration
Measured = Mapping[str, Any]


class Aim(NamedTuple):
    """One aim: what was measured, in seconds or as a ratio, and what took longest where it was missed."""

    what: str
    most: float
    wall: float
    busy: float
    longest: str

    @property
    def reached(self) -> bool:
        """By the wall's clock."""
        return self.wall <= self.most

    @property
    def verdict(self) -> str:
        """``yes``, ``by processor time`` where other work on the machine may have made the difference, or ``no``."""
        return "yes" if self.reached else "by processor time" if self.busy <= self.most else "no"


def render(result: Measured) -> str:
    """The whole page."""
    lines = [
        "# Speed of evaluation",
        "",
        "Seconds by the wall's clock, and of processor time (all threads). Wall seconds are this machine's and vary "
        "with what else it does; processor seconds vary less, and ratios are taken side by side in one run.",
    ]
    for name, write in _WRITERS.items():
        if name in result["parts"]:
            part = result["parts"][name]
            lines += ["", *write(part["measured"]), "", _place(part)]
    return "\n".join([*lines, "", *_aims(result), ""])


def aims(result: Measured) -> Iterator[Aim]:
    """Those of the parts that were measured."""
    parts = {name: part["measured"] for name, part in result["parts"].items()}
    if "probes" in parts:
        both = {
            clock: sum(parts["probes"][probe][clock] for probe in ("knn", "linear")) for clock in ("seconds", "busy")
        }
        longest = max(("knn", "linear"), key=lambda probe: float(parts["probes"][probe]["seconds"]))
        yield Aim("kNN and linear probe", PROBES_TARGET, both["seconds"], both["busy"], longest)
    for name, most in (("boxes", BOXES_TARGET), ("masks", MASKS_TARGET)):
        if name in parts:
            fast = parts[name][FASTER]
            stage = max(fast["stages"], key=lambda stage: float(fast["stages"][stage]["seconds"]))
            yield Aim(f"COCO's evaluation of {name}", most, fast["seconds"], fast["busy"], stage)
    for name, starts in parts.get("startup", {}).items():
        yield Aim(f"start of {name}", START_TARGET, _median(starts, "seconds"), _median(starts, "busy"), "imports")
    for name, loops in parts.get("loops", {}).items():
        ratios = (loops["seconds_ratio"][OURS], loops["busy_ratio"][OURS])
        yield Aim(f"iteration of {name}, times the stock loop's", LOOP_TARGET, *ratios, "see the noise beside it")


def _aims(result: Measured) -> list[str]:
    lines = [
        "## Against the aims",
        "",
        "| aim | at most | measured | processor time | reached |",
        "|---|---|---|---|---|",
    ]
    missed = []
    for aim in aims(result):
        lines.append(f"| {aim.what} | {aim.most:g} | {aim.wall:.2f} | {aim.busy:.2f} | {aim.verdict} |")
        if not aim.reached:
            missed.append(f"- Missed: {aim.what}. What took longest: {aim.longest}.")
    return [*lines, *([""] if missed else []), *missed]


def _probes(measured: Measured) -> list[str]:
    rates = measured["learning_rates"]
    lines = [
        "## Probes of stored features",
        "",
        f"{measured['images']:,} training images and as many tests, {measured['width']:,} numbers each, "
        f"{measured['classes']} classes, {measured['threads']} threads.",
        "",
        "| probe | seconds | processor time |",
        "|---|---|---|",
    ]
    for probe, title in (("knn", "kNN"), ("linear", f"linear, {rates} learning rates in one pass")):
        lines.append(f"| {title} | {measured[probe]['seconds']:.1f} | {measured[probe]['busy']:.1f} |")
    return lines


def _coco(title: str, measured: Measured) -> list[str]:
    lines = [
        f"## COCO's evaluation, {title}",
        "",
        f"{measured['images']:,} images, {measured['objects']:,} objects, {measured['detections']:,} detections, made "
        f"up with about COCO's statistics; AP {measured['AP']:.2f}. The twelve numbers of both differ by at most "
        f"{measured['apart']:.1g}.",
        "",
        "| evaluator | seconds | processor time | " + " | ".join(measured[FASTER]["stages"]) + " |",
        "|---" * (3 + len(measured[FASTER]["stages"])) + "|",
    ]
    for name in (FASTER, PYCOCOTOOLS):
        stages = " | ".join(f"{took['seconds']:.1f}" for took in measured[name]["stages"].values())
        lines.append(f"| {name} | {measured[name]['seconds']:.1f} | {measured[name]['busy']:.1f} | {stages} |")
    times = measured[PYCOCOTOOLS]["busy"] / max(measured[FASTER]["busy"], 1e-9)
    return [*lines, "", f"The fast one takes one {times:.1f}th of the processor time."]


def _startup(measured: Measured) -> list[str]:
    lines = [
        "## Start of a toolbox",
        "",
        "A fresh process: imports, and the model of the demo protocol with a ResNet-50. Median (lowest to highest).",
        "",
        "| toolbox | seconds | processor time |",
        "|---|---|---|",
    ]
    for name, starts in measured.items():
        lines.append(f"| {name} | {_spread(starts, 'seconds')} | {_spread(starts, 'busy')} |")
    return lines


def _loops(measured: Measured) -> list[str]:
    lines = [
        "## A training iteration beside the stock tool's own loop",
        "",
        "The demo protocols' models, images and narrow ResNet-18, SGD without clipping in both, one thread, step by "
        "step in turns. On a larger network a step costs more, and what a loop adds weighs less. Medians; the stock "
        "loop stands twice, and how far the two lie apart is noise.",
        "",
        "| model | loop | s a step | processor time | times the stock loop's | by processor time |",
        "|---|---|---|---|---|---|",
    ]
    for name, loops in measured.items():
        for loop in (OURS, STOCK, AGAIN):
            medians = [statistics.median(loops[loop][clock]) for clock in ("seconds", "busy")]
            ratios = [1.0 if loop == STOCK else loops[f"{clock}_ratio"][loop] for clock in ("seconds", "busy")]
            cells = [f"{value:.3f}" for value in (*medians, *ratios)]
            lines.append(f"| {name} | {loop} ({len(loops[loop]['busy'])} steps) | {' | '.join(cells)} |")
    return lines


def _place(part: Measured) -> str:
    return (
        f"Measured on {part['date']}: {part['processor']}, {part['cores']} cores, load {part['load']:g} at the end; "
        f"torch {part['packages'].get('torch', '?')}."
    )


def _median(starts: list[Measured], clock: str) -> float:
    return float(statistics.median(start[clock] for start in starts))


def _spread(starts: list[Measured], clock: str) -> str:
    values = [start[clock] for start in starts]
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


_WRITERS = {
    "probes": _probes,
    "boxes": lambda measured: _coco("boxes", measured),
    "masks": lambda measured: _coco("masks", measured),
    "startup": _startup,
    "loops": _loops,
}
