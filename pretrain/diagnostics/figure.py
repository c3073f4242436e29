"""What the diagnostics measured over training: pseudo-labels against categories, saliency maps against objects."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pretrain.diagnostics.mls_causes import CONDITIONS
from pretrain.figures import thumbnails

Rows = list[dict[str, float]]
CHANCE, OTHER, PICKED, KNOWN = "#888888", "#7fb3e6", "#e6194b", "#3cb44b"


def draw_pseudo_labels(rows: Rows, by_category: Rows, causes: Rows, k: int, picked: str, path: Path) -> Path:
    """Precision over training, plain and weighed by rarity, precision and recall against k, and by category.

    Args:
        rows, by_category, causes: the lines of the files of :mod:`pretrain.diagnostics`; the last may be none.
        k: the recipe's.
        picked: what training picks, in words.
    """
    figure = Figure(figsize=(13.6, 2.9), layout="constrained")
    over_time, by_rarity, against_k, against_images = figure.subplots(1, 4)
    own = [row for row in rows if row["k"] == k]
    for axis, measure in ((over_time, "precision"), (by_rarity, "weighed_precision")):
        _line(axis, own, "epoch", measure, picked, PICKED)
        if not picked.startswith("top"):
            _line(axis, own, "epoch", f"nearest_{measure}", "the nearest", OTHER)
        _line(axis, own, "epoch", f"oracle_{measure}", "labels known", KNOWN)
        _line(axis, own, "epoch", f"chance_{measure}", "chance", CHANCE)
    for (condition, said), colour in zip(CONDITIONS.items(), ("#f5a623", "#3cb44b", "#1f3b73"), strict=True):
        if causes:
            mine = [row for row in causes if row["k"] == k]
            _line(over_time, mine, "epoch", f"{condition}_precision", said, colour, dashed=True)
    _finish(over_time, "epoch", "share of the picks with a category in common", "precision over training")
    _finish(by_rarity, "epoch", "share of the query's categories in a pick", "weighed by rarity")
    last = [row for row in rows if row["epoch"] == max(row["epoch"] for row in rows)] if rows else []
    _line(against_k, last, "k", "precision", "precision", PICKED)
    _line(against_k, last, "k", "chance_precision", "chance", CHANCE)
    _line(against_k, last, "k", "recall", "recall", "#1f3b73")
    _line(against_k, last, "k", "chance_recall", "chance", CHANCE, dashed=True)
    if last:
        against_k.set_xscale("log")
    _finish(against_k, "k", "share", "after the last epoch")
    latest = max((row["epoch"] for row in by_category), default=0.0)
    now = sorted((row for row in by_category if row["epoch"] == latest), key=lambda row: row["images"])
    against_images.plot(
        [row["images"] for row in now], [row["precision"] for row in now], "o", color=PICKED, label=picked
    )
    _line(against_images, now, "images", "chance_precision", "chance", CHANCE)
    _finish(against_images, "images of the category", "share of the picks that hold it", "by category")
    return thumbnails.save(figure, path)


def draw_saliency_quality(rows: Rows, path: Path) -> Path:
    """IoU and pointing accuracy over training, beside chance and another image's map."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    for axis, measure, title in zip(
        figure.subplots(1, 2), ("iou", "pointing"), ("IoU", "pointing accuracy"), strict=True
    ):
        _line(axis, rows, "epoch", measure, "the image's own map", "#e6194b")
        _line(axis, rows, "epoch", f"other_{measure}", "another image's", OTHER)
        _line(axis, rows, "epoch", f"chance_{measure}", "chance", CHANCE)
        _finish(axis, "epoch", title, f"{title} with the objects")
    return thumbnails.save(figure, path)


def draw_against_people(rows: Rows, path: Path) -> Path:
    """Maximal F, AUC and MAE over training against people, beside another image's map and the controls."""
    figure = Figure(figsize=(10.5, 2.9), layout="constrained")
    for axis, measure, title in zip(
        figure.subplots(1, 3), ("max_f", "auc", "mae"), ("maximal F", "AUC", "MAE (lower is better)"), strict=True
    ):
        _line(axis, rows, "epoch", measure, "the network's map", "#e6194b")
        _line(axis, rows, "epoch", f"other_{measure}", "another image's", OTHER)
        _line(axis, rows, "epoch", f"centre_{measure}", "centre prior", "#f5a623", dashed=True)
        _line(axis, rows, "epoch", f"known_{measure}", "masks in as few cells", "#3cb44b", dashed=True)
        _line(axis, rows, "epoch", f"uniform_{measure}", "uniform", CHANCE)
        _finish(axis, "epoch", title, f"{title} against people")
    return thumbnails.save(figure, path)


def _line(axis: Axes, rows: Rows, x: str, y: str, label: str, colour: str, dashed: bool = False) -> None:
    style = "--" if dashed else "-"
    # A run that an earlier version began has lines without some of the measures.
    axis.plot(
        [row[x] for row in rows], [row.get(y, math.nan) for row in rows], style, marker=".", color=colour, label=label
    )


def _finish(axis: Axes, x: str, y: str, title: str) -> None:
    axis.set_xlabel(x, fontsize=8)
    axis.set_ylabel(y, fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=7)
