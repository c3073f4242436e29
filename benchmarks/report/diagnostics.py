"""Diagnostics of many pretraining runs (``pretrain.diagnostics``): one table and one figure over their seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.report.figure import house_style, save_figure
from benchmarks.report.statistics import summarise
from pretrain.diagnostics import ABOUT, PSEUDO_LABELS, SALIENCY, read_rows
from scenebench.config import config_hash
from scenebench.errors import UserError

MEASURES = {
    "mls": ("precision", "chance_precision", "recall", "chance_recall"),
    "saliency": ("iou", "other_iou", "chance_iou", "pointing", "other_pointing", "chance_pointing"),
}
_DRAWN: dict[str, Any] = {
    "mls": ("precision", ("chance_precision", "by chance")),
    "saliency": ("iou", ("other_iou", "another image's map"), ("chance_iou", "by chance")),
}
"""What a figure shows, and what it shows it beside, in words."""
_TITLES = {
    "mls": "Pseudo-labels of MLS after the last epoch, by k (shares; a pick with a category in common is right)",
    "saliency": "Saliency maps after the last epoch against the objects' masks (shares)",
}


@dataclass(frozen=True)
class DiagnosedRow:
    """The runs of one setting: its name, and of each seed the lines of its file."""

    method: str
    name: str
    runs: dict[int, list[dict[str, float]]]


def read_diagnostics(folder: Path) -> list[DiagnosedRow]:
    """The runs below a folder, by method, then by what tells their settings apart.

    Raises:
        UserError: no diagnostics there, or a damaged file.
    """
    found: dict[str, list[tuple[dict[str, Any], Path]]] = {}
    for path in sorted(folder.rglob(ABOUT)):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            found.setdefault(str(about["method"]), []).append((about, path.parent))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: is damaged ({error}); publish its run again") from error
    if not found:
        raise UserError(f"{folder}: holds no diagnostics; run a suite with diagnostics.every_epochs=1 and publish it")
    rows = []
    for method, runs in sorted(found.items()):
        settings = {config_hash([about["settings"], about["epochs"]]): about["settings"] for about, _ in runs}
        varying = [
            key for key in next(iter(settings.values())) if len({str(one.get(key)) for one in settings.values()}) > 1
        ]
        for digest, setting in settings.items():
            own = [(about, run) for about, run in runs if config_hash([about["settings"], about["epochs"]]) == digest]
            name = ", ".join([method, *(f"{key} {setting.get(key)}" for key in varying)])
            file = PSEUDO_LABELS if method == "mls" else SALIENCY
            rows.append(DiagnosedRow(method, name, {int(about["seed"]): read_rows(run / file) for about, run in own}))
    return sorted(rows, key=lambda row: (row.method, row.name))


def diagnostics_table(rows: Sequence[DiagnosedRow], method: str) -> str:
    """Markdown: a line for each setting (of MLS: and k), mean ± standard deviation over seeds."""
    measures = MEASURES[method]
    head = ["setting", *(["k"] if method == "mls" else []), *(measure.replace("_", " ") for measure in measures)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        if row.method == method:
            for k in sorted({line.get("k", 0.0) for run in row.runs.values() for line in run}):
                last = [_last(run, k) for run in row.runs.values()]
                values = [_shown([line[measure] for line in last if line is not None]) for measure in measures]
                lines.append(f"| {' | '.join([row.name, *([f'{k:g}'] if method == 'mls' else []), *values])} |")
    return f"**{_TITLES[method]}**\n\n" + "\n".join(lines) + "\n"


def draw_diagnostics(rows: Sequence[DiagnosedRow], folder: Path) -> list[Path]:
    """The first measure of each method over training, beside chance; a line a setting, mean and std over seeds."""
    methods = sorted({row.method for row in rows})
    with house_style():
        figure = Figure(figsize=(4.2 * len(methods), 3.0), layout="constrained")
        for axis, method in zip(figure.subplots(1, len(methods), squeeze=False)[0], methods, strict=True):
            own = [row for row in rows if row.method == method]
            measure, *beside = _DRAWN[method]
            for row in own:
                epochs, means, spreads = zip(*_curve(row, measure), strict=True)
                axis.errorbar(epochs, means, yerr=spreads, marker=".", capsize=2, elinewidth=0.8, label=row.name)
            for (name, said), style in zip(beside, ("--", ":"), strict=False):
                epochs, means, _ = zip(*_curve(own[0], name), strict=True)
                axis.plot(epochs, means, color="#888888", linestyle=style, label=said)
            axis.set_xlabel("epoch")
            axis.set_ylabel("precision of the pseudo-labels (least k)" if method == "mls" else "IoU with the objects")
            axis.legend(frameon=False, fontsize=6)
        return save_figure(figure, folder, "diagnostics")


def _curve(row: DiagnosedRow, measure: str) -> list[tuple[float, float, float]]:
    """Epoch, mean and standard deviation over seeds (0 of one seed); of several k the smallest."""
    least = min(line.get("k", 0.0) for run in row.runs.values() for line in run)
    lines = [line for run in row.runs.values() for line in run if line.get("k", 0.0) == least]
    epochs = sorted({line["epoch"] for line in lines})
    means = [summarise([line[measure] for line in lines if line["epoch"] == epoch]) for epoch in epochs]
    return [(epoch, mean.mean, mean.std or 0.0) for epoch, mean in zip(epochs, means, strict=True) if mean is not None]


def _last(run: Sequence[dict[str, float]], k: float) -> dict[str, float] | None:
    lines = [line for line in run if line.get("k", 0.0) == k]
    return max(lines, key=lambda line: line["epoch"]) if lines else None


def _shown(values: Sequence[float]) -> str:
    summary = summarise(values)
    if summary is None:
        return "missing"
    return f"{summary.mean:.3f}" + ("" if summary.std is None else f" ± {summary.std:.3f}") + f" ({summary.n})"
