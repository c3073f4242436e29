"""Diagnostics of many pretraining runs (:mod:`pretrain.diagnostics`): one table and one figure over their seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.report.figures import house_style, save_figure
from benchmarks.report.kept_diagnostics import KeptRun, read_kept
from benchmarks.report.markdown import markdown_lines
from benchmarks.report.table import Table, summary_text, text_table
from benchmarks.statistics.summary import summarise
from pretrain.diagnostics.files import (
    ABOUT,
    BY_CATEGORY,
    CAUSES,
    PSEUDO_LABELS,
    SALIENCY,
)
from pretrain.diagnostics.mls_causes import CONDITIONS as CAUSE_NAMES
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
_CAUSES = {f"{condition}_precision": said for condition, said in CAUSE_NAMES.items()}
CONTROLS = {"oracle": "labels known"}
"""Rows of control: what a column's name begins with that holds a measure's value for it, and how the row is called."""
_SHARES = ("precision", "chance_precision")
_MOST_KEYS = 3
_MOST_PANELS = 4  # settings that a figure has room for
_TITLES = {
    "mls": "Pseudo-labels of MLS after the last epoch, by k (shares; a pick with a category in common is right)",
    "saliency": "Saliency maps after the last epoch against the objects' masks (shares)",
}


@dataclass(frozen=True)
class DiagnosedRow:
    """The runs of one setting: its name, and of each seed the lines of its file.

    ``causes`` are the lines of :mod:`pretrain.diagnostics.mls_causes`, joined to those that they explain; none where
    they were not asked for. ``by_category`` are those of MLS's picks after the last epoch.
    """

    method: str
    name: str
    runs: dict[int, list[dict[str, float]]]
    k: int = 0
    causes: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    by_category: dict[int, list[dict[str, float]]] = field(default_factory=dict)


def read_diagnostics(folder: Path) -> list[DiagnosedRow]:
    """The runs below a folder, by method, then by what tells their settings apart.

    Of many keys a name holds those that differ from what most settings have.

    Raises:
        UserError: no diagnostics there, or a damaged file.
    """
    found: dict[str, list[KeptRun]] = {}
    for name, run in read_kept(folder).items():
        if not {"method", "seed", "epochs", "settings"} <= run.about.keys():
            raise UserError(f"{folder / ABOUT}: is damaged ({name} does not say its method); publish its run again")
        found.setdefault(str(run.about["method"]), []).append(run)
    if not found:
        raise UserError(f"{folder}: holds no diagnostics; run a suite with diagnostics.every_epochs=1 and publish it")
    rows = []
    for method, runs in sorted(found.items()):
        abouts = [run.about for run in runs]
        settings = {config_hash(_setting(about)): _setting(about) for about in abouts}
        varying = [
            key for key in next(iter(settings.values())) if len({str(one.get(key)) for one in settings.values()}) > 1
        ]
        usual = {key: Counter(str(one.get(key)) for one in settings.values()).most_common(1)[0][0] for key in varying}
        for digest, setting in settings.items():
            own = {int(run.about["seed"]): run for run in runs if config_hash(_setting(run.about)) == digest}
            named = [key for key in varying if len(varying) <= _MOST_KEYS or str(setting.get(key)) != usual[key]]
            name = ", ".join([method, *(f"{key} {setting.get(key)}" for key in named)])
            file = PSEUDO_LABELS if method == "mls" else SALIENCY
            lines = {seed: run.rows(file) for seed, run in own.items()}
            causes = {seed: run.rows(CAUSES) for seed, run in own.items()}
            joined = {seed: _joined(mine, lines[seed]) for seed, mine in causes.items() if mine}
            categories = {seed: run.rows(BY_CATEGORY) for seed, run in own.items()}
            last = {seed: _of_last_epoch(mine) for seed, mine in categories.items() if mine}
            rows.append(DiagnosedRow(method, name, lines, int(setting.get("k", 0)), joined, last))
    return sorted(rows, key=lambda row: (row.method, row.name))


def _setting(about: Mapping[str, Any]) -> dict[str, Any]:
    """What runs of one setting have in common; older ones do not say how their views were made."""
    return {**about["settings"], "epochs": about["epochs"], **about.get("views", {})}


def diagnostics_table(rows: Sequence[DiagnosedRow], method: str) -> str:
    """Markdown: a line for each setting (of MLS: and k; of many settings their own k), mean ± std over seeds.

    Under it a line for each control (:data:`CONTROLS`) that was measured beside it.
    """
    measures = MEASURES[method]
    many = sum(row.method == method for row in rows) > _MOST_PANELS
    head = ["setting", *(["k"] if method == "mls" else []), *(measure.replace("_", " ") for measure in measures)]
    lines = []
    for row in rows:
        if row.method == method:
            for k in sorted({line.get("k", 0.0) for run in row.runs.values() for line in run}):
                if many and k not in (0.0, row.k):
                    continue
                last = [line for run in row.runs.values() if (line := _last(run, k)) is not None]
                of_k = [f"{k:g}"] if method == "mls" else []
                lines.append([row.name, *of_k, *(_shown([line[measure] for line in last]) for measure in measures)])
                for prefix, name in CONTROLS.items():
                    values = [_of_control(last, f"{prefix}_{measure}") for measure in measures]
                    if any(values):
                        lines.append(
                            [f"{row.name}: {name} (control)", *of_k, *(_shown(v) if v else "–" for v in values)]
                        )
    return _markdown(text_table(head, lines, _TITLES[method]))


def _of_control(lines: Sequence[Mapping[str, float]], column: str) -> list[float]:
    """The values of a column that older runs do not have, or have as NaN."""
    return [line[column] for line in lines if not math.isnan(line.get(column, math.nan))]


def causes_table(rows: Sequence[DiagnosedRow]) -> str:
    """Markdown: for each setting and epoch the precision of the k picks of training, and without what may spoil them.

    Raises:
        UserError: of no setting it was measured.
    """
    head = ["setting", "k", "epoch", "in training", *_CAUSES.values(), "by chance"]
    lines = []
    for row in rows:
        for epoch, cells in causes_by_epoch(row).items():
            shown = [_shown(cells[name]) for name in ("precision", *_CAUSES, "chance_precision")]
            lines.append([row.name, str(row.k), f"{epoch:g}", *shown])
    if not lines:
        raise UserError("no causes of the pseudo-labels were measured; run with diagnostics.causes=true")
    title = "Precision of the pseudo-labels (shares), as picked in training, and without what may spoil them"
    return _markdown(text_table(head, lines, title))


def _markdown(table: Table) -> str:
    return "\n".join([f"**{table.title}**", "", *markdown_lines(table, is_padded=False)]) + "\n"


def draw_causes(rows: Sequence[DiagnosedRow], folder: Path) -> list[Path]:
    """``causes``: the same over training, a panel a setting; nothing where it was not measured."""
    measured = [row for row in rows if row.causes]
    if not measured:
        return []
    with house_style():
        figure = Figure(figsize=(3.6 * len(measured), 3.0), layout="constrained")
        panels = figure.subplots(1, len(measured), squeeze=False, sharey=True)[0]
        for axis, row in zip(panels, measured, strict=True):
            cells = causes_by_epoch(row)
            for name, said in {"precision": "in training", **_CAUSES, "chance_precision": "by chance"}.items():
                found = [(epoch, summarise(each[name])) for epoch, each in cells.items()]
                points = [(epoch, mean.mean, mean.std or 0.0) for epoch, mean in found if mean is not None]
                epochs, means, spreads = zip(*points, strict=True)
                if name == "chance_precision":
                    axis.plot(epochs, means, color="#888888", linestyle="--", label=said)
                else:
                    axis.errorbar(epochs, means, yerr=spreads, marker=".", capsize=2, elinewidth=0.8, label=said)
            axis.set_title(f"{row.name}, k {row.k}", loc="left", fontsize=8)
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylabel("precision of the picks")
        panels[-1].legend(frameon=False, fontsize=6)
        return save_figure(figure, folder, "causes")


def draw_by_category(rows: Sequence[DiagnosedRow], folder: Path) -> list[Path]:
    """``by_category``: of the picks of images that hold a category, how many hold it too, against its images.

    A panel a setting; nothing without any, or of more settings than a figure can show.
    """
    measured = [row for row in rows if row.by_category]
    if not 0 < len(measured) <= _MOST_PANELS:
        return []
    with house_style():
        figure = Figure(figsize=(3.6 * len(measured), 3.0), layout="constrained")
        panels = figure.subplots(1, len(measured), squeeze=False, sharey=True)[0]
        for axis, row in zip(panels, measured, strict=True):
            runs = [sorted(run, key=lambda line: line["category"]) for run in row.by_category.values()]
            points = [
                (lines[0]["images"], *(_spread(lines, name) for name in _SHARES)) for lines in zip(*runs, strict=True)
            ]
            points.sort(key=lambda point: point[0])
            images, own, chance = zip(*points, strict=True)
            means, spreads = zip(*own, strict=True)
            axis.errorbar(images, means, yerr=spreads, fmt="o", markersize=3.5, elinewidth=0.8, label=f"top {row.k}")
            axis.plot(images, [mean for mean, _ in chance], color="#888888", linestyle="--", label="by chance")
            axis.set_title(row.name, loc="left", fontsize=8)
            axis.set_xlabel("images of the category")
        panels[0].set_ylabel("share of the picks that hold it")
        panels[-1].legend(frameon=False, fontsize=6)
        return save_figure(figure, folder, "by_category")


def _spread(lines: Sequence[dict[str, float]], name: str) -> tuple[float, float]:
    """Mean and standard deviation of the seeds that have a value."""
    summary = summarise([line[name] for line in lines if not math.isnan(line[name])])
    return (math.nan, 0.0) if summary is None else (summary.mean, summary.std or 0.0)


def _of_last_epoch(lines: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    last = max(line["epoch"] for line in lines)
    return [line for line in lines if line["epoch"] == last]


def causes_by_epoch(row: DiagnosedRow) -> dict[float, dict[str, list[float]]]:
    """Epoch -> column -> values over seeds, of the setting's own k."""
    lines = [line for run in row.causes.values() for line in run if line["k"] == row.k]
    epochs = sorted({line["epoch"] for line in lines})
    names = ("precision", *_CAUSES, "chance_precision")
    return {
        epoch: {name: [line[name] for line in lines if line["epoch"] == epoch] for name in names} for epoch in epochs
    }


def _joined(causes: Sequence[dict[str, float]], picks: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """Each line of the causes with the precision that training had at that step; chance is that of training."""
    own = {(line["step"], line["k"]): line for line in picks}
    return [{**line, **own[line["step"], line["k"]]} for line in causes if (line["step"], line["k"]) in own]


def draw_diagnostics(rows: Sequence[DiagnosedRow], folder: Path) -> list[Path]:
    """The first measure of each method over training, beside chance; a line a setting, mean and std over seeds."""
    methods = sorted({row.method for row in rows})
    with house_style():
        many = len(rows) > _MOST_PANELS  # their names would cover the lines
        figure = Figure(figsize=((7.0 if many else 4.2) * len(methods), 3.0), layout="constrained")
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
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set_ylabel("precision of the pseudo-labels (least k)" if method == "mls" else "IoU with the objects")
            beyond = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if many else {}
            axis.legend(frameon=False, fontsize=6, **beyond)
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
    return "missing" if summary is None else summary_text(summary, digits=3)
