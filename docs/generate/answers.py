"""The questions that the forks were run for, in their order, each answered by numbers alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.statistics.significance import PairedTest, paired_test
from docs.generate.boards import row_in_words
from docs.generate.claims import (
    NOT_MEASURED,
    Verdict,
    beside_chance,
    claim_of_labels,
    claim_of_maps,
    compared,
    correlation,
    settings_that_gain,
    trend,
    with_precision,
)
from pretrain.diagnostics.files import PSEUDO_LABELS, SALIENCY

if TYPE_CHECKING:
    from docs.generate.page import Page

PRINTED = "mls as printed"
OWN = ("top-k, balanced, lambda 2", "top-k, balanced, lambda 10")
KNOWN = ("oracle, mean, lambda 0.5", "oracle, balanced, lambda 2", "oracle, balanced, lambda 10")
RANDOM_LABELS = "random labels, balanced, lambda 10"
MAPS = ("random maps", "shuffled maps", "uniform maps")
MASKS = "mask maps"
LEARNT = {"saliency_claim": "saliency crops, beta 1", "photos_claims": "saliency maps"}
NEITHER = {"saliency_claim": "random crops, beta 0", "photos_claims": "moco on"}
_FEW_LABELS = ("multilabel_finetune_1pct", "multilabel_finetune_10pct")
_MAIN = ("multilabel_linear", "mAP")
"""The column that a gain is held beside precision in."""
_PICKS: dict[str, dict[str, object]] = {
    PRINTED: {"labels": "topk", "reduction": "mean", "loss_weight": 0.5},
    OWN[0]: {"labels": "topk", "reduction": "balanced", "loss_weight": 2.0},
    OWN[1]: {"labels": "topk", "reduction": "balanced", "loss_weight": 10.0},
}


class Answers:
    """What the template asks of a suite of forks; a row or column that has no record is said to be missing."""

    def __init__(self, page: Page, suite: str) -> None:
        self.page, self.name = page, suite

    def against(self, label: str, baseline: str, protocols: Sequence[str] = ()) -> str:
        """Two rows in words, with their differences; ``protocols``: of these columns alone."""
        verdicts = self._verdicts(label, baseline, protocols)
        if not verdicts:
            return NOT_MEASURED
        words = compared(row_in_words(label), row_in_words(baseline), verdicts)
        gains = self.page.gains(self.name, label, baseline, protocols)
        return f"{words} ({gains})" if gains else words

    def known_labels_as_printed(self) -> str:
        """Question 1 of MLS."""
        return self.against(KNOWN[0], "moco on")

    def where_known_labels_gain(self) -> str:
        """Question 2: settings, and the best of them against random labels of the same strength."""
        by_setting = {row_in_words(label): self._verdicts(label, "moco on") for label in KNOWN if self._has(label)}
        words = settings_that_gain(by_setting)
        if self._has(KNOWN[-1]) and self._has(RANDOM_LABELS):
            words += f". Held against random labels of the same strength: {self.against(KNOWN[-1], RANDOM_LABELS)}"
        return words

    def own_labels(self) -> str:
        """Question 3."""
        by_setting = {
            row_in_words(label): self._verdicts(label, "moco on") for label in (PRINTED, *OWN) if self._has(label)
        }
        words = settings_that_gain(by_setting)
        if self._has(OWN[-1]) and self._has(RANDOM_LABELS):
            words += f". Held against random labels of the same strength: {self.against(OWN[-1], RANDOM_LABELS)}"
        return words

    def precision(self) -> str:
        """Question 4: the precision of the method's own picks at the end, and what became of it over training."""
        said = []
        for label, settings in _PICKS.items():
            runs = self.page.diagnosed_lines(self.name, "mls", PSEUDO_LABELS, settings)
            own = {seed: [line for line in lines if line.get("k") == k] for seed, (k, lines) in runs.items()}
            if not any(own.values()):
                continue
            last = _beside(own, "precision", "chance_precision")
            rises = [trend("precision", _change(own, "precision"))]
            if all("weighed_precision" in line for lines in own.values() for line in lines):
                rises.append(trend("precision weighed by rarity", _change(own, "weighed_precision")))
            said.append(
                f"at {row_in_words(label)} the picks {beside_chance(last)}, and over training {' and '.join(rises)}"
            )
        return "; ".join(said) or NOT_MEASURED

    def gain_with_precision(self) -> str:
        """Question 4, second half: over runs, the gain of each over MoCo-v2 beside the precision of its picks."""
        over_chance: list[float] = []
        gain: list[float] = []
        for label, settings in _PICKS.items():
            tests = self.page.differences(self.name, label, "moco on", _MAIN)
            for seed, (k, lines) in self.page.diagnosed_lines(self.name, "mls", PSEUDO_LABELS, settings).items():
                own = [line for line in lines if line.get("k") == k]
                if own and seed in tests:
                    over_chance.append(own[-1]["precision"] - own[-1]["chance_precision"])
                    gain.append(tests[seed])
        return with_precision(correlation(over_chance, gain), len(gain))

    def claim_of_labels(self) -> str:
        """All in all."""
        printed = self._verdicts(PRINTED, "moco on")
        own, known = (
            [one for label in labels for one in self._verdicts(label, "moco on").values()] for labels in (OWN, KNOWN)
        )
        return claim_of_labels(printed, own, known)

    def parts(self) -> str:
        """Saliency: each part alone, and both, against neither."""
        labels = ("saliency crops, beta 0", "random crops, beta 1", "saliency crops, beta 1")
        return _joined(self.against(label, NEITHER[self.name]) for label in labels)

    def maps(self) -> str:
        """Learnt maps against those in which there is nothing to find."""
        return _joined(self.against(LEARNT[self.name], label) for label in MAPS if self._has(label))

    def learnt(self) -> str:
        """Learnt maps against neither, and against those in which there is nothing to find."""
        return _joined([self.against(LEARNT[self.name], NEITHER[self.name]), self.maps()])

    def masks(self) -> str:
        """The oracle against neither, and against random maps."""
        return _joined(self.against(MASKS, other) for other in (NEITHER[self.name], MAPS[0]))

    def few_labels(self) -> str:
        """Fine-tuning with few labels."""
        rows = (LEARNT[self.name], MASKS)
        return _joined(self.against(label, NEITHER[self.name], _FEW_LABELS) for label in rows)

    def drift(self) -> str:
        """Whether the learnt maps stay on the objects, and know their own image."""
        settings = {"source": "activation", "crops": "saliency", "beta": 1.0}
        runs = self.page.diagnosed_lines(self.name, "saliency", SALIENCY, settings)
        own = {seed: lines for seed, (_, lines) in runs.items()}
        if not any(own.values()):
            return NOT_MEASURED
        beside = _beside(own, "iou", "other_iou")
        words = trend("their IoU with the objects' masks", _change(own, "iou"))
        return f"{words}; at the end {_beside_another(beside)}"

    def claim_of_maps(self) -> str:
        """All in all."""
        own, neither = LEARNT[self.name], NEITHER[self.name]
        oracle = list(self._verdicts(MASKS, neither).values())
        return claim_of_maps(self._verdicts(own, neither), self._verdicts(own, "random maps"), oracle)

    def _has(self, label: str) -> bool:
        return self.page.has(self.name) and label in self.page.suite(self.name).trained

    def _verdicts(self, label: str, baseline: str, protocols: Sequence[str] = ()) -> Mapping[str, Verdict]:
        return self.page.verdicts(self.name, label, baseline, protocols)


Lines = Mapping[int, Sequence[Mapping[str, float]]]
"""Lines of a file of diagnostics, by seed."""


def _joined(said: Iterable[str]) -> str:
    """What is known; where nothing is, that, once."""
    known = [one for one in said if one != NOT_MEASURED]
    return "; ".join(known) or NOT_MEASURED


def _change(runs: Lines, measure: str) -> PairedTest | None:
    """A measure (a share) at the last measurement less the first, in points, paired by seed."""
    first, last = ({seed: 100 * lines[at][measure] for seed, lines in runs.items() if lines} for at in (0, -1))
    return paired_test(last, first)


def _beside(runs: Lines, measure: str, other: str) -> PairedTest | None:
    """Two measures (shares) at the last measurement, in points, paired by seed."""
    own, beside = ({seed: 100 * lines[-1][name] for seed, lines in runs.items() if lines} for name in (measure, other))
    return paired_test(own, beside)


def _beside_another(test: PairedTest | None) -> str:
    if test is None:
        return "nothing is known of other images' maps"
    if test.low is not None and test.low > 0:
        better = f"{test.difference:.1f} points"
        return f"a map covers its own image's objects better than another image's map does, by {better}"
    return "a map is not shown to cover its own image's objects better than another image's map does"
