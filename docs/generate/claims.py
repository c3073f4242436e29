"""Sentences that claim something, chosen by the numbers; the template of the results asks for them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.statistics.significance import PairedTest

Verdict = Literal["gains", "loses", "is not shown", "cannot tell"]
GAINS: Verdict = "gains"
LOSES: Verdict = "loses"
NOT_SHOWN: Verdict = "is not shown"
CANNOT_TELL: Verdict = "cannot tell"
"""The column's own controls fail, or it lies at its floor: nothing is concluded from it, whatever its numbers are."""
NOT_MEASURED = "not known: it is not measured yet"
_FEWEST_PAIRS, _SURE = 5, 0.05


def verdict(test: PairedTest, control: PairedTest | None = None, can_tell: bool = True) -> Verdict:
    """What a paired test shows, by its 95 % interval; a test without an interval shows nothing.

    Args:
        control: the test of a row in which there is nothing to find. What it gains or loses all the same has to be
            exceeded by the whole interval.
        can_tell: whether the column can tell anything (:mod:`benchmarks.report.column_standing`).
    """
    if not can_tell:
        return CANNOT_TELL
    if test.low is None or test.high is None:
        return NOT_SHOWN
    by_itself = 0.0 if control is None else control.difference
    if test.low > max(0.0, by_itself):
        return GAINS
    return LOSES if test.high < min(0.0, by_itself) else NOT_SHOWN


def compared(subject: str, baseline: str, verdicts: Mapping[str, Verdict]) -> str:
    """``MLS gains over MoCo-v2 in kNN; in low-shot no difference is shown``, from the verdict in each probe."""
    if not verdicts:
        return f"of {subject} against {baseline} nothing is measured yet"
    blind = with_verdict(verdicts, CANNOT_TELL)
    if blind:
        others = {name: one for name, one in verdicts.items() if one != CANNOT_TELL}
        nothing = f"of {subject} against {baseline} nothing can be said in {listed(blind)}, which cannot tell"
        return f"{compared(subject, baseline, others)}; {nothing}" if others else nothing
    gains, loses, open_ = (with_verdict(verdicts, one) for one in (GAINS, LOSES, NOT_SHOWN))
    if not gains and not loses:
        return f"{subject} is not shown to differ from {baseline} in {listed(open_)}"
    shown = [f"gains over {baseline} in {listed(gains)}"] if gains else []
    shown += [f"loses to {baseline} in {listed(loses)}"] if loses else []
    rest = f"; in {listed(open_)} no difference is shown" if open_ else ""
    return f"{subject} {' and '.join(shown)}{rest}"


def settings_that_gain(settings: Mapping[str, Mapping[str, Verdict]]) -> str:
    """At which settings a gain is shown in any column, and at which a loss: ``at lambda 10 (kNN); not at lambda 2``."""
    measured = {name: verdicts for name, verdicts in settings.items() if verdicts}
    if not measured:
        return NOT_MEASURED
    if all(set(verdicts.values()) == {CANNOT_TELL} for verdicts in measured.values()):
        return "cannot tell: no column of the board can"
    gains = {name: with_verdict(verdicts, GAINS) for name, verdicts in measured.items()}
    loses = {name: with_verdict(verdicts, LOSES) for name, verdicts in measured.items()}
    shown = [f"a gain at {name} (in {listed(columns)})" for name, columns in gains.items() if columns]
    shown += [f"a loss at {name} (in {listed(columns)})" for name, columns in loses.items() if columns]
    without = [name for name in measured if not gains[name]]
    if not shown:
        return f"no difference is shown at {'; '.join(without)}"
    rest = f"; no gain is shown at {'; '.join(without)}" if without and any(gains.values()) else ""
    return f"{'; '.join(shown)}{rest}"


def claim_of_labels(printed: Mapping[str, Verdict], own: Sequence[Verdict], known: Sequence[Verdict]) -> str:
    """What the forks say of MLS, all in all.

    Args:
        printed: the loss as printed with the method's own labels, by column.
        own: all verdicts of the method's own labels at other strengths; ``known``: of labels from the annotations.
    """
    judged = [*printed.values(), *own, *known]
    if not judged:
        return NOT_MEASURED
    if set(judged) == {CANNOT_TELL}:
        return "this board cannot tell: no column's controls pass"
    gains, loses = with_verdict(printed, GAINS), with_verdict(printed, LOSES)
    if gains and loses:
        return f"the loss as printed gains in {listed(gains)} and loses in {listed(loses)}: neither way is borne out"
    if gains:
        return f"the claim is borne out: the loss as printed gains in {listed(gains)}"
    if GAINS in own:
        return "the loss as printed is not shown to gain, but the method's own labels do where their positives count"
    if GAINS in known:
        return (
            "right labels gain and the method's own are not shown to: here the mechanism works, and what it lacks are "
            "right pseudo-labels"
        )
    if known:
        return (
            "not even labels of the annotations are shown to gain: here nothing is left that better labels would give"
        )
    return "the method's own labels are not shown to gain, and those of the annotations are not measured yet"


def claim_of_maps(own: Mapping[str, Verdict], own_over_random: Mapping[str, Verdict], oracle: Sequence[Verdict]) -> str:
    """What the forks say of saliency, all in all.

    Args:
        own: learnt maps in both places against neither, by column; ``own_over_random``: against random maps.
        oracle: the objects' own masks against neither.
    """
    judged = [*own.values(), *own_over_random.values(), *oracle]
    if not judged:
        return NOT_MEASURED
    if set(judged) == {CANNOT_TELL}:
        return "this board cannot tell: no column's controls pass"
    gains = with_verdict(own, GAINS)
    by_saliency = [column for column in gains if own_over_random.get(column) == GAINS]
    if by_saliency:
        return f"the claim is borne out: learnt maps gain, over random ones too, in {listed(by_saliency)}"
    if gains:
        return f"learnt maps gain in {listed(gains)}, but not shown to over random maps: it is not the saliency"
    if GAINS in oracle:
        return "the objects' own masks gain and learnt maps are not shown to: what is lacking are the maps"
    if oracle:
        return "not even the objects' own masks are shown to gain: here no map would help this recipe"
    return "learnt maps are not shown to gain, and the objects' own masks are not measured yet"


def trend(what: str, test: PairedTest | None) -> str:
    """``precision rises by 3.0 points (+2.1 to +3.9)``, of the last measurement less the first."""
    if test is None:
        return f"{what} is not measured yet"
    interval = "" if test.low is None or test.high is None else f" ({test.low:+.1f} to {test.high:+.1f}, n {test.n})"
    found = verdict(test)
    if found == NOT_SHOWN:
        return f"{what} is not shown to change: {test.difference:+.1f} points{interval}".replace("-", "−")
    said = f"{what} {'rises' if found == GAINS else 'falls'} by {abs(test.difference):.1f} points{interval}"
    return said.replace("-", "−")


def correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Spearman's rank correlation and its two-sided p value; None of fewer than five pairs or equal values."""
    if len(first) < _FEWEST_PAIRS or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import spearmanr

    found = spearmanr(first, second)
    return float(found.statistic), float(found.pvalue)


def with_precision(found: tuple[float, float] | None, runs: int) -> str:
    """What the correlation over runs of precision over chance and of the gain in the linear probe says."""
    if found is None:
        return NOT_MEASURED
    rho, p = found
    said = f"Spearman's rho of the two over {runs} runs is {rho:+.2f}, p {p:.2g}".replace("-", "−")
    if p >= _SURE:
        return f"not shown: {said}"
    return f"{'yes' if rho > 0 else 'no, the other way round'}: {said}"


def beside_chance(test: PairedTest | None) -> str:
    """What pseudo-labels are, from the test of their precision against chance, in points."""
    if test is None or verdict(test) != GAINS:
        return "are not shown to be right more often than by chance"
    return f"are right more often than by chance, by {test.difference:.1f} points"


def off_zero(tests: Sequence[PairedTest]) -> str:
    """``2 of 12``: how many intervals do not hold zero."""
    return f"{sum(verdict(test) != NOT_SHOWN for test in tests)} of {len(tests)}"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def with_verdict(verdicts: Mapping[str, Verdict], wanted: Verdict) -> list[str]:
    """The names of those with this verdict."""
    return [name for name, one in verdicts.items() if one == wanted]
