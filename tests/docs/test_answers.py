"""The page answers the questions of the claims by its records, whichever way they fall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from control_records import controlled
from made_up_records import fill

from benchmarks.suites.suite import load_suite
from docs.generate.boards import BOARDS
from docs.generate.page import Page
from docs.generate.results import build_results, page_text

NOISE = (-0.4, 0.1, 0.3, -0.2, 0.2)
CONTROLS = {"negative": "random", "positive": "supervised", "spreads": 8.0, "points": 0.0, "range": {}}
BASE = {"random": 20.0, "supervised": 45.0, "moco start": 28.0, "moco on": 30.0}
FORKS = {
    "mls as printed": 30.0,
    "top-k, balanced, lambda 2": 30.0,
    "top-k, balanced, lambda 10": 30.0,
    "oracle, mean, lambda 0.5": 30.0,
    "oracle, balanced, lambda 2": 30.0,
    "oracle, balanced, lambda 10": 30.0,
    "random labels, balanced, lambda 10": 30.0,
}
MAPS = {
    "random crops, beta 0": 30.0,
    "saliency crops, beta 0": 30.0,
    "random crops, beta 1": 30.0,
    "saliency crops, beta 1": 30.0,
    "random maps": 30.0,
    "shuffled maps": 30.0,
    "uniform maps": 30.0,
    "mask maps": 30.0,
}


def page_of(folder: Path, suite: str, means: dict[str, float]) -> str:
    """The page from made-up records of one suite in two columns, each row its mean and noise of its own."""
    records = []
    for protocol, metric in (("multilabel_linear", "mAP"), ("region_linear", "object_acc")):
        records += controlled(means, protocol, (metric,), seeds=5, controls=CONTROLS, noise=NOISE, suite=suite)
    fill(folder / "records" / suite, records)
    return " ".join(page_text(Page(folder)).split())


def question(page: str, asked: str) -> str:
    """What follows a question, up to the next."""
    return page.partition(asked)[2].partition(" *")[0]


@pytest.mark.parametrize(
    ("moved", "all_in_all", "known", "own"),
    [
        (
            {},
            "not even labels of the annotations are shown to gain",
            "no difference is shown",
            "no difference is shown",
        ),
        (
            {"mls as printed": 33.0},
            "the claim is borne out: the loss as printed gains in the linear probe and objects by the linear probe.",
            "no difference is shown",
            "a gain at mls as printed (in the linear probe and objects by the linear probe); no gain is shown at",
        ),
        (
            {"mls as printed": 27.0},
            "not even labels of the annotations are shown to gain",
            "no difference is shown",
            "a loss at mls as printed (in the linear probe and objects by the linear probe)",
        ),
        (
            {"oracle, balanced, lambda 10": 33.0},
            "right labels gain and the method's own are not shown to",
            "a gain at oracle (balanced, lambda 10) (in the linear probe and objects by the linear probe); no gain is "
            "shown at oracle (mean, lambda 0.5); oracle (balanced, lambda 2)",
            "no difference is shown",
        ),
        (
            {"oracle, balanced, lambda 10": 33.0, "top-k, balanced, lambda 10": 32.0},
            "the method's own labels do where their positives count",
            "a gain at oracle (balanced, lambda 10)",
            "a gain at top-k (balanced, lambda 10)",
        ),
        (
            {"supervised": 21.0, "mls as printed": 40.0},
            "this board cannot tell: no column's controls pass",
            "cannot tell: no column of the board can",
            "cannot tell: no column of the board can",
        ),
    ],
    ids=["ties", "wins", "loses", "oracle gains", "its own labels gain", "cannot tell"],
)
def test_mls_wins_loses_ties_or_cannot_be_told(
    moved: dict[str, float], all_in_all: str, known: str, own: str, tmp_path: Path
) -> None:
    page = page_of(tmp_path, "mls_claim", {**BASE, **FORKS, **moved})
    assert f"All in all on scenes: {all_in_all}" in page or all_in_all in question(page, "All in all on scenes: ")
    assert question(page, "*At which lambda and reduction does it?* ").startswith(known)
    assert question(page, "*Do top-k labels, the method's own, gain?* ").startswith(own)
    first = question(page, "as printed?* ")
    assert ("which cannot tell" in first) == ("supervised" in moved)
    if "supervised" not in moved:
        assert first.startswith(
            "oracle (mean, lambda 0.5) is not shown to differ from MoCo-v2 trained on in the linear probe"
        )
    assert "`mls_claim` is not yet run" not in page
    assert "`saliency_claim` is not yet run" in page


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ({}, "not even the objects' own masks are shown to gain"),
        ({"mask maps": 33.0}, "the objects' own masks gain and learnt maps are not shown to"),
        ({"saliency crops, beta 1": 33.0}, "the claim is borne out: learnt maps gain, over random ones too"),
        ({"saliency crops, beta 1": 33.0, "random maps": 33.0}, "it is not the saliency"),
        ({"supervised": 21.0}, "this board cannot tell"),
    ],
)
def test_saliency_wins_or_not(moved: dict[str, float], said: str, tmp_path: Path) -> None:
    page = page_of(tmp_path, "saliency_claim", {**BASE, **MAPS, **moved})
    assert said in page.partition("## Does saliency help?")[2].partition(" 1. ")[0]


def test_precision_over_training_and_the_gain_with_it(tmp_path: Path) -> None:
    means = {**BASE, **FORKS, "top-k, balanced, lambda 10": 33.0}
    for weight in (2.0, 10.0):
        for seed in range(5):
            run = tmp_path / f"diagnostics/mls_claim/w{weight:g}-s{seed}"
            run.mkdir(parents=True)
            settings = {"labels": "topk", "reduction": "balanced", "loss_weight": weight, "k": 5}
            about = {"method": "mls", "seed": seed, "epochs": 9, "settings": settings}
            (run / "about.json").write_text(json.dumps(about))
            rise = (0.1 + seed / 100) if weight == 10 else 0.0
            lines = [
                f"{epoch},{epoch},{k},{0.4 + rise * (epoch - 3) / 6 + (seed - 2) / 1000 * epoch},0.4,0.1,0.1"
                for epoch in (3, 9)
                for k in (1, 5)
            ]
            head = "epoch,step,k,precision,chance_precision,recall,chance_recall"
            (run / "pseudo_labels.csv").write_text("\n".join([head, *lines]) + "\n")
    page = page_of(tmp_path, "mls_claim", means)
    said = question(page, "*Does the precision of its labels rise over training?* ")
    assert "at top-k (balanced, lambda 10) the picks are right more often than by chance, by 12.0 points" in said
    assert "over training precision rises by 12.0 points" in said
    assert "at top-k (balanced, lambda 2) the picks are not shown to be right more often than by chance" in said
    assert question(page, "*And with precision the gain?* ").startswith("yes: Spearman's rho of the two over 10 runs")


def test_a_board_of_methods_says_what_is_shown_and_what_is_not(tmp_path: Path) -> None:
    means = {"random": 20.0, "supervised": 45.0, "moco": 30.0, "mls": 30.0, "byol": 27.0, "densecl": 33.0}
    page = page_of(tmp_path, "mini", means)
    assert "* **DenseCL** gains in the linear probe [+3.0 (" in page
    assert "* **BYOL** loses in the linear probe [−3.0 (" in page
    assert "* **MLS** no difference is shown in the linear probe [+0.0 (" in page
    assert "would be found four times in five" in page
    assert "in the linear probe: met, +10.0, " in page
    assert "in objects by the linear probe: met, +10.0, " in page
    assert "n 4)" in page, "rank agreement of the four methods"
    assert "| multilabel_linear: mAP | 20.0 | 45.0 | +25.0 |" in page
    build_results(tmp_path)
    drawn = {name: (tmp_path / "tables" / name).read_bytes() for name in ("ranges.svg", "gains.svg")}
    build_results(tmp_path)
    for name, content in drawn.items():
        assert f"](tables/{name})" in page
        assert (tmp_path / "tables" / name).read_bytes() == content, "equal records give equal pictures"


def test_every_board_of_the_page_is_a_suite_with_that_baseline() -> None:
    for board in BOARDS:
        labels = [row.label for row in load_suite(board.name).backbones]
        assert board.baseline in labels
        assert {"random", "supervised"} <= set(labels)
