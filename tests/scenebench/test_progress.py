"""Rates and times left on a made-up clock, and when a line is due."""

from __future__ import annotations

import pytest

from scenebench.progress import Pace, Progress, duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_durations_read_well() -> None:
    assert [duration(seconds) for seconds in (7, 90, 12_000, 367_000)] == ["0:07", "1:30", "3 h 20 min", "4 d 5 h"]


def test_a_resumed_runs_earlier_steps_are_not_in_its_pace() -> None:
    clock = Clock()
    pace = Pace(100, done=40, clock=clock)
    clock.now = 5.0
    pace.advance(10)
    assert (pace.rate, pace.seconds_left) == (2.0, 25.0)
    clock.now = 25.0
    pace.advance(50)
    assert (pace.rate, pace.seconds_left) == (2.4, 0.0)


def test_the_first_step_pays_for_warming_up_once_there_are_more() -> None:
    for warms_up, expected in ((True, 1.0), (False, 3 / 11)):
        clock = Clock()
        pace = Pace(10, warms_up=warms_up, clock=clock)
        clock.now = 9.0
        pace.advance(1)
        assert pace.rate == pytest.approx(1 / 9)
        clock.now = 11.0
        pace.advance(2)
        assert pace.rate == pytest.approx(expected)


def test_nothing_done_and_no_time_passed_divide_by_nothing() -> None:
    clock = Clock()
    pace = Pace(10, warms_up=True, clock=clock)
    clock.now = 2.0
    assert pace.seconds_left == 20.0
    pace.advance(10)
    pace.advance(5)  # more than announced, at the same moment
    assert pace.seconds_left == 0.0


def test_progress_lines_say_rate_and_time_left() -> None:
    clock, lines = Clock(), []
    progress = Progress(100, "training step", every=10, clock=clock, write=lines.append)
    for _ in range(60):
        clock.now += 0.5
        progress.advance(note="loss 1.0")
    assert len(lines) == 3
    assert lines[1] == "training step: 40/100, 2.00/s, ETA 0:30, loss 1.0"
    clock.now += 1.0
    progress.advance(40)
    assert lines[3:] == ["training step: 100/100, 3.25/s, ETA 0:00"]  # the end of what was shown


def test_progress_is_silent_when_quick_and_leaves_the_first_step_out_of_the_rate() -> None:
    clock, lines = Clock(), []
    progress = Progress(10, "x", every=10, clock=clock, write=lines.append)
    clock.now = 9.0  # warming up
    progress.advance()
    assert lines == []
    clock.now = 11.0
    progress.advance(2)
    assert lines == ["x: 3/10, 1.00/s, ETA 0:07"]
    progress.advance(50)  # more than announced
    assert len(lines) == 1
    quick = Progress(10, "x", every=10, clock=clock, write=lines.append)
    quick.advance(10)
    assert len(lines) == 1
