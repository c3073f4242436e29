"""A sentence of the results that claims something says what the records say, whichever way they fall."""

from __future__ import annotations

from pathlib import Path

import pytest
from control_records import controlled
from made_up_records import fill, make_record

from benchmarks.statistics.significance import PairedTest, paired_test
from docs.generate import results as results_page
from docs.generate.claims import (
    CANNOT_TELL,
    GAINS,
    LOSES,
    NOT_MEASURED,
    NOT_SHOWN,
    Verdict,
    beside_chance,
    claim_of_labels,
    claim_of_maps,
    compared,
    correlation,
    off_zero,
    settings_that_gain,
    trend,
    verdict,
    with_precision,
)

WINS = PairedTest(2.0, 1.0, 3.0, 0.01, 5)
TIES = PairedTest(0.5, -1.0, 2.0, 0.4, 5)
FALLS = PairedTest(-2.0, -3.0, -1.0, 0.01, 5)


def test_the_interval_decides() -> None:
    assert [verdict(test) for test in (WINS, FALLS, TIES)] == [GAINS, LOSES, NOT_SHOWN]
    assert verdict(PairedTest(0.0, 0.0, 1.0, 0.05, 5)) == NOT_SHOWN, "zero is in the interval"
    assert verdict(PairedTest(5.0, None, None, None, 1)) == NOT_SHOWN, "one seed shows nothing"
    equal = paired_test({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0})
    assert equal is not None
    assert verdict(equal) == NOT_SHOWN, "differences that do not vary have no interval"


def test_a_gain_has_to_exceed_that_of_the_control() -> None:
    assert verdict(WINS, PairedTest(0.9, 0.1, 1.7, 0.03, 3)) == GAINS
    assert verdict(WINS, PairedTest(1.1, 0.1, 2.1, 0.03, 3)) == NOT_SHOWN
    assert verdict(FALLS, PairedTest(1.1, 0.1, 2.1, 0.03, 3)) == LOSES
    assert verdict(FALLS, PairedTest(-1.1, -2.1, -0.1, 0.03, 3)) == NOT_SHOWN


def test_sentences() -> None:
    probes = {"kNN": GAINS, "low-shot": NOT_SHOWN, "boxes": LOSES}
    assert (
        compared("MLS", "MoCo-v2", probes)
        == "MLS gains over MoCo-v2 in kNN and loses to MoCo-v2 in boxes; in low-shot no difference is shown"
    )
    assert compared("MLS", "MoCo-v2", {"kNN": GAINS}) == "MLS gains over MoCo-v2 in kNN"
    assert compared("MLS", "MoCo-v2", {}) == "of MLS against MoCo-v2 nothing is measured yet"
    assert beside_chance(TIES) == beside_chance(None) == "are not shown to be right more often than by chance"
    assert beside_chance(WINS) == "are right more often than by chance, by 2.0 points"
    assert trend("precision", WINS) == "precision rises by 2.0 points (+1.0 to +3.0, n 5)"
    assert trend("precision", FALLS) == "precision falls by 2.0 points (−3.0 to −1.0, n 5)"
    assert trend("precision", TIES) == "precision is not shown to change: +0.5 points (−1.0 to +2.0, n 5)"
    assert with_precision(correlation([1, 2, 3, 4, 5], [2, 4, 6, 8, 9]), 5).startswith("yes: Spearman's rho")
    assert with_precision(correlation([1, 2, 3, 4, 5], [9, 8, 6, 4, 2]), 5).startswith("no, the other way round: ")
    assert with_precision(correlation([1, 2, 3, 4, 5], [1, 9, 2, 8, 3]), 5).startswith("not shown: ")
    assert with_precision(correlation([1, 2, 3, 4], [1, 2, 3, 4]), 4) == NOT_MEASURED
    assert off_zero([WINS, TIES, FALLS]) == "2 of 3"


def test_a_column_that_cannot_tell_comes_before_any_gain_or_loss() -> None:
    assert [verdict(test, can_tell=False) for test in (WINS, FALLS, TIES)] == [CANNOT_TELL] * 3
    assert verdict(WINS, WINS, can_tell=False) == CANNOT_TELL
    blind = "of MLS against MoCo-v2 nothing can be said in kNN, which cannot tell"
    assert compared("MLS", "MoCo-v2", {"kNN": CANNOT_TELL}) == blind
    assert compared("MLS", "MoCo-v2", {"kNN": CANNOT_TELL, "boxes": GAINS}) == (
        f"MLS gains over MoCo-v2 in boxes; {blind}"
    )


COLUMNS = ("kNN", "the linear probe")


def both(verdict: Verdict) -> dict[str, Verdict]:
    return dict.fromkeys(COLUMNS, verdict)


@pytest.mark.parametrize(
    ("printed", "own", "known", "said"),
    [
        (both(GAINS), [], [], "the claim is borne out: the loss as printed gains in kNN and the linear probe"),
        ({"kNN": GAINS, "x": LOSES}, [], [GAINS], "gains in kNN and loses in x: neither way is borne out"),
        (both(NOT_SHOWN), [GAINS], [GAINS], "but the method's own labels do where their positives count"),
        (both(NOT_SHOWN), [LOSES], [GAINS, NOT_SHOWN], "what it lacks are right pseudo-labels"),
        (both(LOSES), [NOT_SHOWN], [NOT_SHOWN], "not even labels of the annotations are shown to gain"),
        (both(NOT_SHOWN), [], [], "those of the annotations are not measured yet"),
        (both(CANNOT_TELL), [CANNOT_TELL], [CANNOT_TELL], "this board cannot tell"),
        ({}, [], [], NOT_MEASURED),
    ],
)
def test_what_is_said_of_mls_all_in_all(
    printed: dict[str, Verdict], own: list[Verdict], known: list[Verdict], said: str
) -> None:
    assert said in claim_of_labels(printed, own, known)


@pytest.mark.parametrize(
    ("own", "over_random", "oracle", "said"),
    [
        (both(GAINS), both(GAINS), [NOT_SHOWN], "the claim is borne out: learnt maps gain, over random ones too"),
        (both(GAINS), both(NOT_SHOWN), [GAINS], "it is not the saliency"),
        (both(NOT_SHOWN), both(GAINS), [GAINS], "what is lacking are the maps"),
        (both(LOSES), both(NOT_SHOWN), [NOT_SHOWN], "here no map would help this recipe"),
        (both(NOT_SHOWN), {}, [], "the objects' own masks are not measured yet"),
        (both(CANNOT_TELL), both(CANNOT_TELL), [CANNOT_TELL], "this board cannot tell"),
        ({}, {}, [], NOT_MEASURED),
    ],
)
def test_what_is_said_of_saliency_all_in_all(
    own: dict[str, Verdict], over_random: dict[str, Verdict], oracle: list[Verdict], said: str
) -> None:
    assert said in claim_of_maps(own, over_random, oracle)


def test_at_which_settings_there_is_a_gain() -> None:
    assert settings_that_gain({}) == settings_that_gain({"lambda 2": {}}) == NOT_MEASURED
    assert settings_that_gain({"lambda 2": both(CANNOT_TELL)}) == "cannot tell: no column of the board can"
    assert settings_that_gain({"lambda 2": both(NOT_SHOWN)}) == "no difference is shown at lambda 2"
    found = {"lambda 2": both(NOT_SHOWN), "lambda 10": {"kNN": GAINS, "x": LOSES}}
    assert settings_that_gain(found) == (
        "a gain at lambda 10 (in kNN); a loss at lambda 10 (in x); no gain is shown at lambda 2"
    )


def test_the_page_draws_no_claim_from_a_column_whose_control_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLS is ten points above MoCo-v2 in both; only in one of them does supervised stand above random."""
    means = {"random": 10.0, "supervised": 10.5, "moco": 20.0, "mls": 30.0}
    records = [*controlled(means), *controlled({**means, "supervised": 40.0}, "multilabel_knn")]
    fill(tmp_path / "records/own", records)
    template = tmp_path / "template.md"
    names = '{"kNN": page.verdict("own", "multilabel_knn", "mls", "moco"), '
    names += '"the linear probe": page.verdict("own", "multilabel_linear", "mls", "moco")}'
    words = '{{ compared("MLS", "MoCo-v2", ' + names + ') }}.\n{{ page.warning("own", "multilabel_linear") }}\n'
    template.write_text(words + '{{ page.ranges("own") }}', encoding="utf-8")
    monkeypatch.setattr(results_page, "TEMPLATE", template)
    results_page.build_results(tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert page.startswith(
        "MLS gains over MoCo-v2 in kNN; of MLS against MoCo-v2 nothing can be said in the linear probe, which cannot "
        "tell.\nthis column cannot tell: supervised − random = +0.5, 0.5 spreads, needed 8\n"
    )
    assert "| multilabel_knn: mAP | 10.0 | 40.0 | +30.0 | 30.0 | 3 | yes | " in page
    assert "| multilabel_linear: mAP | 10.0 | 10.5 | +0.5 | 0.5 | 8 | this column cannot tell | " in page


@pytest.mark.parametrize(
    ("gain", "sentence"),
    [
        (3.0, "MLS gains over MoCo-v2 in kNN"),
        (-3.0, "MLS loses to MoCo-v2 in kNN"),
        (0.0, "MLS is not shown to differ from MoCo-v2 in kNN"),
    ],
)
def test_made_up_records_in_which_mls_wins_loses_and_ties(
    gain: float, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = (0.2, -0.3, 0.1)
    values = {"moco": [20.0] * 3, "mls": [20.0 + gain + one for one in noise]}
    records = [
        make_record(label, seed=s, metrics={"mAP": one}) for label, mine in values.items() for s, one in enumerate(mine)
    ]
    fill(tmp_path / "records/own", records)
    template = tmp_path / "template.md"
    words = '{{ compared("MLS", "MoCo-v2", {"kNN": page.verdict("own", "multilabel_knn", "mls", "moco")}) }}.'
    template.write_text(words, encoding="utf-8")
    monkeypatch.setattr(results_page, "TEMPLATE", template)
    results_page.build_results(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == f"{sentence}.\n"
