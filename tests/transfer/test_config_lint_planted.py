"""Lists of planted mistakes: none of the sound configurations has a finding, and nearly every mistake has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_lint_examples import lint_text
from config_lint_planted import (
    DETECTOR,
    DETECTOR_MISTAKES,
    DETECTRON2,
    DETECTRON2_MISTAKES,
    SEGMENTOR,
    SEGMENTOR_MISTAKES,
)

LISTS = [(DETECTRON2, DETECTRON2_MISTAKES), (SEGMENTOR, SEGMENTOR_MISTAKES), (DETECTOR, DETECTOR_MISTAKES)]
PLANTED = [pytest.param(good, old, new, id=what) for good, mistakes in LISTS for what, old, new in mistakes]


@pytest.mark.parametrize("good", [good for good, _ in LISTS], ids=["detectron2", "segmentor", "detector"])
def test_the_sound_ones_have_no_finding(good: str, tmp_path: Path) -> None:
    assert [one.text() for one in lint_text(tmp_path, good)] == []


@pytest.mark.parametrize(("good", "old", "new"), PLANTED)
def test_a_planted_mistake_is_found(good: str, old: str, new: str, tmp_path: Path) -> None:
    assert good.count(old) == 1
    assert lint_text(tmp_path, good.replace(old, new)) != []
