"""The page "Moving weights" is what its generator writes, and its cosines are what is measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.generate import mistake_effects, moving_weights
from docs.generate.mistakes import CHECKS, MISTAKES
from transfer.importers import FAMILIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "moving-weights.md"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    assert moving_weights.main([str(tmp_path / "page.md")]) == 0
    assert PAGE.read_text(encoding="utf-8") == (tmp_path / "page.md").read_text(encoding="utf-8"), (
        "run: python -m docs.generate.moving_weights docs/moving-weights.md"
    )


def test_the_cosines_are_the_measured_ones() -> None:
    committed, measured = json.loads(mistake_effects.COSINES.read_text()), mistake_effects.measure()
    assert committed.keys() == measured.keys()
    for effect, cosine in measured.items():
        assert committed[effect] == pytest.approx(cosine, abs=mistake_effects.TOLERANCE), effect


def test_every_mistake_but_rounding_changes_the_features() -> None:
    """And what rounding does is below what a cosine shows, so that only the check of bits can find it."""
    cosines = json.loads(mistake_effects.COSINES.read_text())
    tiny = {"rounded statistics", "half precision", "one ulp"}
    assert all(cosine > 0.98 if effect in tiny else cosine < 0.9 for effect, cosine in cosines.items())


def test_the_table_of_mistakes_is_sound() -> None:
    assert len({(mistake.target, mistake.name) for mistake in MISTAKES}) == len(MISTAKES)
    assert {mistake.caught for mistake in MISTAKES} == set(CHECKS)
    assert {mistake.effect for mistake in MISTAKES} - {""} == set(mistake_effects.EFFECTS)


def test_the_page_lists_every_family_mistake_and_count() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}`" in text for name in FAMILIES)
    assert all(f"| {mistake.name} |" in text for mistake in MISTAKES)
    assert re.search(r"\| ResNet-50 \|.*\| 318 \| 265 \|", text)
