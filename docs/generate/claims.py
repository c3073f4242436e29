"""Sentences that claim something, chosen by the numbers; the template of the results asks for them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.statistics.significance import PairedTest
from scenebench.errors import UserError

Verdict = Literal["gains", "loses", "is not shown", "cannot tell"]
GAINS: Verdict = "gains"
LOSES: Verdict = "loses"
NOT_SHOWN: Verdict = "is not shown"
CANNOT_TELL: Verdict = "cannot tell"
"""The column's own controls fail, or it lies at its floor: nothing is concluded from it, whatever its numbers are."""


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
    blind = _with(verdicts, CANNOT_TELL)
    if blind:
        others = {name: one for name, one in verdicts.items() if one != CANNOT_TELL}
        nothing = f"of {subject} against {baseline} nothing can be said in {listed(blind)}, which cannot tell"
        return f"{compared(subject, baseline, others)}; {nothing}" if others else nothing
    gains, loses, open_ = (_with(verdicts, one) for one in (GAINS, LOSES, NOT_SHOWN))
    if not gains and not loses:
        return f"{subject} is not shown to differ from {baseline} in {listed(open_)}"
    shown = [f"gains over {baseline} in {listed(gains)}"] if gains else []
    shown += [f"loses to {baseline} in {listed(loses)}"] if loses else []
    rest = f"; in {listed(open_)} no difference is shown" if open_ else ""
    return f"{subject} {' and '.join(shown)}{rest}"


def methods(verdicts: Mapping[str, Verdict], baseline: str) -> str:
    """``MLS and BYOL gain over random crops, DenseCL falls below``, from the verdict of each method."""
    blind = _with(verdicts, CANNOT_TELL)
    if blind:
        others = {name: one for name, one in verdicts.items() if one != CANNOT_TELL}
        nothing = f"of {listed(blind)} against {baseline} nothing can be said, for this column cannot tell"
        return f"{methods(others, baseline)}; {nothing}" if others else nothing
    gains, loses, open_ = (_with(verdicts, one) for one in (GAINS, LOSES, NOT_SHOWN))
    if not gains and not loses:
        return f"{listed(open_)} {'is' if len(open_) == 1 else 'are'} not shown to differ from {baseline}"
    shown = [f"{listed(gains)} gain{_s(gains)} over {baseline}"] if gains else []
    if loses:
        shown.append(f"{listed(loses)} end{_s(loses)} below {'it' if gains else baseline}")
    rest = f"; of {listed(open_)} no difference is shown" if open_ else ""
    return f"{', '.join(shown)}{rest}"


def reaching(labels: Sequence[str], what: str) -> str:
    """``no method reaches the oracle``, or which do; ``labels`` are those whose mean is not below it."""
    return f"{listed(labels)} reach{'es' if len(labels) == 1 else ''} {what}" if labels else f"no method reaches {what}"


def over_chance(tests: Mapping[str, PairedTest], of: str = "values of k") -> str:
    """What pseudo-labels are, from the test of precision against chance (points) under each setting."""
    sure = [test.difference for test in tests.values() if verdict(test) == GAINS]
    if not sure:
        return "are not shown to be right more often than by chance"
    return f"are right more often than by chance at {len(sure)} of {len(tests)} {of}, by {max(sure):.1f} points at most"


def off_zero(tests: Sequence[PairedTest]) -> str:
    """``2 of 12``: how many intervals do not hold zero."""
    return f"{sum(verdict(test) != NOT_SHOWN for test in tests)} of {len(tests)}"


def shown(tests: Mapping[str, PairedTest]) -> list[str]:
    """The names of those that gain."""
    return [name for name, test in tests.items() if verdict(test) == GAINS]


def beside_control(test: PairedTest, control: PairedTest) -> str:
    """What a control, in which there is nothing to find, makes of a gain."""
    if verdict(test) != GAINS:
        return "There is no gain that a control could explain."
    if verdict(test, control) == GAINS:
        return "A control of the ablation below, which is MoCo-v2 once more, gains less than any of the interval."
    return (
        "A control of the ablation below, which is MoCo-v2 once more, gains so much over MoCo-v2 that this gain is no "
        "evidence."
    )


def require(holds: bool, sentence: str) -> None:
    """Guard a sentence that is written by hand: the page is not made once the numbers do not bear it out.

    Raises:
        UserError: it does not hold.
    """
    if not holds:
        raise UserError(f"results.md: the records no longer say '{sentence}'; write that sentence anew")


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _with(verdicts: Mapping[str, Verdict], wanted: Verdict) -> list[str]:
    return [name for name, one in verdicts.items() if one == wanted]


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""
