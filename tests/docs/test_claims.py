"""A sentence of the results that claims something says what the records say, whichever way they fall."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from control_records import controlled
from made_up_records import fill, make_record

from benchmarks.records.record import Record
from benchmarks.statistics.significance import PairedTest, paired_test
from docs.generate import results as results_page
from docs.generate.claims import (
    CANNOT_TELL,
    GAINS,
    LOSES,
    NOT_SHOWN,
    beside_control,
    compared,
    methods,
    off_zero,
    over_chance,
    reaching,
    require,
    verdict,
)
from docs.generate.results import Page
from scenebench.errors import UserError

RESULTS = Path(__file__).resolve().parents[2] / "results"
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
    assert "gains less" in beside_control(WINS, PairedTest(0.9, 0.1, 1.7, 0.03, 3))
    assert beside_control(WINS, WINS).endswith("gains so much over MoCo-v2 that this gain is no evidence.")
    assert beside_control(TIES, WINS) == "There is no gain that a control could explain."


def test_sentences() -> None:
    probes = {"kNN": GAINS, "low-shot": NOT_SHOWN, "boxes": LOSES}
    assert (
        compared("MLS", "MoCo-v2", probes)
        == "MLS gains over MoCo-v2 in kNN and loses to MoCo-v2 in boxes; in low-shot no difference is shown"
    )
    assert compared("MLS", "MoCo-v2", {"kNN": GAINS}) == "MLS gains over MoCo-v2 in kNN"
    assert methods({"MLS": GAINS}, "it") == "MLS gains over it"
    assert (
        methods({"MLS": GAINS, "BYOL": GAINS, "moco": LOSES}, "it") == "MLS and BYOL gain over it, moco ends below it"
    )
    assert methods({"MLS": LOSES, "BYOL": NOT_SHOWN}, "it") == "MLS ends below it; of BYOL no difference is shown"
    assert methods({"MLS": NOT_SHOWN, "BYOL": NOT_SHOWN}, "it") == "MLS and BYOL are not shown to differ from it"
    assert reaching([], "it") == "no method reaches it"
    assert [reaching(["a"], "it"), reaching(["a", "b", "c"], "it")] == ["a reaches it", "a, b and c reach it"]
    assert over_chance({"1": TIES, "5": FALLS}) == "are not shown to be right more often than by chance"
    assert over_chance({"1": WINS, "5": TIES}).endswith("by chance at 1 of 2 values of k, by 2.0 points at most")
    assert off_zero([WINS, TIES, FALLS]) == "2 of 3"


def test_a_column_that_cannot_tell_comes_before_any_gain_or_loss() -> None:
    assert [verdict(test, can_tell=False) for test in (WINS, FALLS, TIES)] == [CANNOT_TELL] * 3
    assert verdict(WINS, WINS, can_tell=False) == CANNOT_TELL
    blind = "of MLS against MoCo-v2 nothing can be said in kNN, which cannot tell"
    assert compared("MLS", "MoCo-v2", {"kNN": CANNOT_TELL}) == blind
    assert compared("MLS", "MoCo-v2", {"kNN": CANNOT_TELL, "boxes": GAINS}) == (
        f"MLS gains over MoCo-v2 in boxes; {blind}"
    )
    assert methods({"MLS": CANNOT_TELL, "BYOL": CANNOT_TELL}, "it") == (
        "of MLS and BYOL against it nothing can be said, for this column cannot tell"
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
    assert "| multilabel_knn: mAP | +30.0 | 30.0 | 3 | yes | " in page
    assert "| multilabel_linear: mAP | +0.5 | 0.5 | 8 | this column cannot tell | " in page


def test_a_sentence_written_by_hand_is_guarded() -> None:
    require(True, "it rises")
    with pytest.raises(UserError, match=r"results\.md: the records no longer say 'it rises'; write that sentence anew"):
        require(False, "it rises")


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


def page_with_mls(shift: float, protocols: tuple[str, ...] = ("multilabel_knn",)) -> str:
    """The page of results from the committed records, had MLS been ``shift`` points better in mini."""
    page = Page(RESULTS)
    page.suites = {name: page.suites[name] for name in ("mini", "mini_mls_ablation", "mini_saliency_2x2")}
    mini = page.suite("mini")

    def moved(record: Record) -> Record:
        if record.backbone.label != "mls" or record.protocol.id not in protocols:
            return record
        return record.model_copy(update={"metrics": record.metrics | {"mAP": record.metrics["mAP"] + shift}})

    mini.__dict__["results"] = dataclasses.replace(mini.results, records=[moved(one) for one in mini.results.records])
    text = results_page.TEMPLATE.read_text(encoding="utf-8")
    return " ".join(results_page.template_environment().from_string(text).render(page=page).split())


@pytest.mark.parametrize(
    ("shift", "in_short", "in_full", "control"),
    [
        (
            1.5,
            "MLS gains over MoCo-v2 in kNN; in the linear probe no difference is shown: kNN [+2.1",
            "MLS gains over MoCo-v2 in kNN; in the linear probe and the low-shot probe no difference is shown (kNN [",
            "which is MoCo-v2 once more, gains less than any of the interval.",
        ),
        (
            -3.0,
            "MLS loses to MoCo-v2 in kNN; in the linear probe no difference is shown: kNN [−2.4",
            "MLS loses to MoCo-v2 in kNN; in the linear probe and the low-shot probe no difference is shown (kNN [",
            "There is no gain that a control could explain.",
        ),
        (
            -0.6,
            "MLS is not shown to differ from MoCo-v2 in kNN and the linear probe: kNN [+0.0",
            "MLS is not shown to differ from MoCo-v2 in kNN, the linear probe and the low-shot probe (kNN [+0.0",
            "There is no gain that a control could explain.",
        ),
        (
            0.0,
            "MLS is not shown to differ from MoCo-v2 in kNN and the linear probe: kNN [+0.6",
            "MLS gains over MoCo-v2 in kNN; in the linear probe and the low-shot probe no difference is shown (kNN [",
            "gains so much over MoCo-v2 that this gain is no evidence.",
        ),
    ],
    ids=["wins", "loses", "ties", "as the control"],
)
def test_the_page_follows_its_records(shift: float, in_short: str, in_full: str, control: str) -> None:
    page = page_with_mls(shift)
    for sentence in (in_short, in_full, control):
        assert page.count(sentence) == 1, sentence


def test_the_page_is_not_made_where_the_records_contradict_it() -> None:
    with pytest.raises(UserError, match="no longer say 'To know the kind of scene is worth more than all"):
        page_with_mls(4.0, ("multilabel_linear",))
