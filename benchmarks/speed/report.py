"""The benchmark's results as Markdown; every number comes from the JSON beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.speed.interleaved import Rates, Ratio, ratio, times_as_long
from benchmarks.speed.pretraining import LIGHTLY_MOCO
from benchmarks.speed.views import OURS, OURS_WHOLE, TORCHVISION

# What the suite aims at, as "at least" or "at most" a ratio; a GPU's are images per second.
LOADER_TARGET = 2.4
TOGETHER_TARGET = 1.5
MLS_TARGET = 1.05
SALIENCY_SURPLUS = 1.10


def render(result: Mapping[str, Any]) -> str:
    """The whole page."""
    return "\n".join(
        [
            "# Speed of pretraining",
            "",
            *_machine(result),
            "",
            *_views(result),
            "",
            *_steps(result),
            "",
            *_together(result),
            "",
            *_workers(result),
            "",
            *_targets(result),
            "",
        ]
    )


def _machine(result: Mapping[str, Any]) -> list[str]:
    environment, photographs = result["environment"], result["photographs"]
    gpu = environment["accelerator"] or "no GPU"
    peers = ", ".join(f"{name} {version}" for name, version in result["peers"].items())
    source = "scenes of this suite" if photographs["source"] == "scenes" else "photographs"
    return [
        f"Measured on {result['date']}: {environment['processor']}, {result['cores']} cores, {gpu}; "
        f"torch {environment['packages']['torch']}, {peers}.",
        f"Images: JPEG files of {photographs['mean_bytes'] / 1000:.0f} kB in the mean, most of 640 x 480, "
        f"cut from {source}. Contenders take turns: {result['rounds']} rounds, each of at least "
        f"{result['seconds']:g} s a contender. Every number is the median over the rounds (lowest to highest); a ratio "
        "is the median of the rounds' own ratios.",
        "Absolute numbers are this machine's, and vary with what else it does; the ratios are the result.",
    ]


def _views(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "## (a) Two views of a photograph, on one core",
        "",
        "Images per second of CPU time of one thread.",
        "",
        "| pipeline | 224 px | 112 px | 224 px, times torchvision's | 112 px, times torchvision's |",
        "|---|---|---|---|---|",
    ]
    sizes = {size: _rates(values) for size, values in result["views"]["two_views"].items()}
    for name in next(iter(sizes.values())):
        cells = [_rate(sizes[size][name]) for size in ("224", "112")]
        cells += [_times(ratio(sizes[size][name], sizes[size][TORCHVISION])) for size in ("224", "112")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    decoding = _rates(result["views"]["decoding"])
    lines += ["", "Decoding alone:", "", "| decoder | images/s |", "|---|---|"]
    lines += [f"| {name} | {_rate(rates)} |" for name, rates in decoding.items()]
    return lines


def _steps(result: Mapping[str, Any]) -> list[str]:
    lines = [
        "## (b) The training step alone",
        "",
        "Forward of both encoders, backward, update, momentum copy, dictionaries; for ours, photometric augmentation "
        "too (lightly's views come augmented from its loader). Views are in memory.",
    ]
    for part in result["steps"]:
        rates = _rates(part["images_per_second"])
        lines += [
            "",
            f"**{part['case']}, {part['precision']}**",
            "",
            "| method | images/s | time, times moco's | peak memory, MB |",
            "|---|---|---|---|",
        ]
        for name, values in rates.items():
            longer = _times(times_as_long(values, rates["moco"]))
            lines.append(f"| {name} | {_rate(values)} | {longer} | {part['peak_bytes'][name] / 1e6:.0f} |")
        lines.append("")
        lines.append(f"Saliency encodes {part['saliency_pixel_share']:.2f} times the pixels of moco.")
    return lines


def _together(result: Mapping[str, Any]) -> list[str]:
    lines = ["## (c) Loader and step together"]
    for part in result["together"]:
        rates = _rates(part["images_per_second"])
        lines += [
            "",
            f"**{part['case']}, {part['workers']} workers**",
            "",
            "| | images/s | times lightly's | waiting for data |",
            "|---|---|---|---|",
        ]
        for name, values in rates.items():
            times = _times(ratio(values, rates[LIGHTLY_MOCO])) if LIGHTLY_MOCO in rates else "-"
            waiting = Rates(tuple(part["data_wait_share"][name])).median
            lines.append(f"| {name} | {_rate(values)} | {times} | {waiting:.0%} |")
    return lines


def _workers(result: Mapping[str, Any]) -> list[str]:
    rates = _rates(result["workers"]["224"])
    lines = ["## The loader alone, over its workers", "", "224 px, batch 32; 0 workers: in the training process.", ""]
    lines += ["| workers | images/s | times one worker's |", "|---|---|---|"]
    lines += [f"| {name} | {_rate(values)} | {_times(ratio(values, rates['1']))} |" for name, values in rates.items()]
    return lines


def _targets(result: Mapping[str, Any]) -> list[str]:
    lines = ["## Against the aims", "", "| aim | measured | reached |", "|---|---|---|"]
    for aim, value, reached in targets(result):
        lines.append(f"| {aim} | {value:.2f} | {'yes' if reached else 'no'} |")
    return lines


def targets(result: Mapping[str, Any]) -> Iterable[tuple[str, float, bool]]:
    """Each aim, what was measured, and whether that reaches it."""
    for size, values in result["views"]["two_views"].items():
        rates = _rates(values)
        for name in (OURS, OURS_WHOLE):
            found = ratio(rates[name], rates[TORCHVISION]).median
            yield f"(a) {size} px, {name}: at least {LOADER_TARGET} times torchvision's", found, found >= LOADER_TARGET
    for part in result["steps"]:
        rates = _rates(part["images_per_second"])
        if "mls" in rates:
            found = times_as_long(rates["mls"], rates["moco"]).median
            yield f"(b) {part['case']}: MLS at most {MLS_TARGET} times moco's step", found, found <= MLS_TARGET
        if "saliency" in rates:
            found = times_as_long(rates["saliency"], rates["moco"]).median
            most = SALIENCY_SURPLUS * part["saliency_pixel_share"]
            yield f"(b) {part['case']}: saliency at most {most:.2f} times moco's step", found, found <= most
    for part in result["together"]:
        rates = _rates(part["images_per_second"])
        if LIGHTLY_MOCO in rates:
            found = ratio(rates["moco"], rates[LIGHTLY_MOCO]).median
            yield f"(c) {part['case']}: at least {TOGETHER_TARGET} times lightly's", found, found >= TOGETHER_TARGET


def _rates(values: Mapping[str, Sequence[float]]) -> dict[str, Rates]:
    return {name: Rates(tuple(rounds)) for name, rounds in values.items()}


def _rate(rates: Rates) -> str:
    low, high = rates.spread
    return f"{_figures(rates.median)} ({_figures(low)} to {_figures(high)})"


def _figures(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _times(found: Ratio) -> str:
    return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f})"
