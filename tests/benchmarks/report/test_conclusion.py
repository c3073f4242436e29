"""The line that a suite ends with says what its numbers say: won, lost, tied, cannot tell; of one seed and of five."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from control_records import CONTROLS, controlled, seal
from made_up_records import make_record

from benchmarks.records.collect import Results
from benchmarks.records.record import Record
from benchmarks.report.conclusion import conclusions, told_apart
from benchmarks.report.pictures_needed import Resolution, resolution
from benchmarks.report.run_report import build_report
from benchmarks.report.suite_table import make_tables

BOARD = {"random": 16.9, "supervised": 35.2}
SMALL = (-0.4, 0.2, 0.2, -0.2, 0.2)
MEASURES = "is 18.3 points above random in Multi-label linear probe: mAP ("


def line(records: list[Record], baseline: str = "random") -> str:
    results = Results("T", baseline, [], [], records, [])
    first, *_ = conclusions(results, make_tables(results))
    assert "\n" not in first
    return first


def five(**means: float) -> list[Record]:
    return controlled({**BOARD, **means}, seeds=5, noise=SMALL)


def test_five_seeds_in_which_methods_win_lose_and_tie() -> None:
    said = line(five(moco=25.0, mls=28.0, byol=12.0, densecl=16.95))
    assert said.startswith("On scenes, size demo, n = 5: supervised " + MEASURES)
    assert ", needed 8): the board measures; " in said
    assert "above random: mls (+11.1), moco (+8.1); " in said
    assert "below random: byol (−4.9); " in said
    assert "not shown to differ from random: densecl (+0.1" in said
    assert said.endswith("mls − moco = +3.0 is a difference (n = 5).")


def test_five_seeds_in_which_the_two_best_tie() -> None:
    said = line(five(moco=25.0, mls=25.1))
    assert "mls − moco = +0.1 is not shown (n = 5 detects " in said
    assert ", it needs " in said


def test_one_seed_beside_three_of_random() -> None:
    """As in the demo."""
    one = controlled({"supervised": 36.2, "moco": 25.9, "mls": 25.3}, seeds=1)
    said = line(controlled({"random": 16.9}) + one)
    assert said.startswith("On scenes, size demo, n = 1 to 3: supervised is 18.3 points above random")
    assert "the board measures" in said
    assert "mls − moco = +0.4 is within what one seed cannot tell (5 seeds detect 2.0, it needs 100 seeds)." in said
    far = controlled({"supervised": 36.2, "moco": 25.9, "mls": 45.3}, seeds=1)
    said = line(controlled({"random": 16.9}) + far)
    assert "mls − moco = +20.4 is more than seeds vary by, on one seed each." in said


def test_one_seed_of_everything() -> None:
    said = line(controlled({**BOARD, "moco": 26.0, "mls": 25.5}, seeds=1))
    assert "n = 1: supervised is " in said
    assert "but no row has two seeds, so whether the board measures is not known" in said
    assert "one seed, of whose spread nothing is known, against random: mls (+" in said
    assert "on one seed each, of whose spread nothing is known." in said


@pytest.mark.parametrize("seeds", [1, 3])
def test_nothing_is_concluded_where_no_column_can_tell(seeds: int) -> None:
    asked = {**CONTROLS, "range": {"multilabel_linear.mAP": {"spreads": 8.0, "points": 5.0}}}
    said = line(controlled({"random": 16.9, "supervised": 17.8, "mls": 40.0}, seeds=seeds, controls=asked))
    assert "the column cannot tell (Multi-label linear probe: mAP: supervised − random = " in said
    assert said.endswith("nothing may be concluded of any method.")
    assert "mls" not in said


def test_the_column_that_can_tell_speaks_and_the_other_is_named() -> None:
    blind = controlled({"random": 16.9, "supervised": 17.0, "mls": 30.0}, "multilabel_knn")
    said = line([*blind, *controlled({**BOARD, "mls": 28.0})])
    assert "in Multi-label linear probe: mAP" in said
    assert said.endswith("cannot tell: Multi-label kNN: mAP.")


def test_a_suite_without_controls_says_that_it_is_not_known() -> None:
    said = line(controlled({"random": 10.0, "mls": 20.0, "moco": 20.2}, suite_resolved={}, suite_hash=""))
    assert "whose suite states no controls, so that whether the board measures is not known; above random: " in said
    missing = line(controlled({"random": 10.0, "mls": 20.0}))
    assert "no value of the control supervised, so that whether the board measures is not known" in missing


def test_rows_are_paired_where_they_share_seeds() -> None:
    """What all rows share from seed to seed hides no difference."""
    shared = {0: 0.0, 1: 20.0, 2: -15.0}
    rows = {"a": shared, "b": {0: 1.0, 1: 21.1, 2: -14.1}}
    assert told_apart(rows, "b", "a") == "above"
    assert told_apart({"a": shared, "b": {5: 1.0, 6: 21.1, 7: -14.1}}, "b", "a") == "not shown"


def on_photos(seeds: int, images: int = 60, categories: int = 8, noise: float = 4.0) -> list[Record]:
    """Rows whose categories differ by a zigzag of known variance."""
    records = []
    for number, (label, mean) in enumerate({"random": 10.0, "supervised": 12.0}.items()):
        for seed in range(seeds):
            zigzag = [(-1) ** (place + number) * noise / 2 for place in range(categories)]
            per_class = {f"c{place}": {"AP": mean + one} for place, one in enumerate(zigzag)}
            record = make_record(label, seed=seed, metrics={"mAP": mean}, per_class=per_class)
            data = record.dataset.model_copy(update={"name": "photos", "test_images": images})
            judged = record.judged.model_copy(update={"images": images})
            records.append(seal(record.model_copy(update={"dataset": data, "judged": judged})))
    return records


def test_the_error_is_that_of_the_differences_over_categories() -> None:
    found = resolution(on_photos(2), "mAP")
    assert found is not None
    differences = [2.0 + 4.0, 2.0 - 4.0] * 4
    variance = sum((one - 2.0) ** 2 for one in differences) / 7
    assert found.points == pytest.approx(1.96 * (variance / 8) ** 0.5)
    assert (found.images, found.categories) == (60, 8)


def test_of_few_categories_it_is_binomial() -> None:
    found = resolution(on_photos(1, images=50, categories=3), "mAP")
    assert found is not None
    assert found.points == pytest.approx(196 * (2 * 0.11 * 0.89 / 50) ** 0.5)
    assert found.categories == 0


def test_the_number_of_images_falls_with_the_square() -> None:
    assert Resolution(60, 8.0, 5).images_for(2.0) == 960
    assert Resolution(60, 8.1, 5).images_for(2.0) == 990
    assert "needed" not in Resolution(5000, 1.2, 80).sentence


def test_on_ones_own_pictures_a_second_line_says_how_many_are_needed() -> None:
    results = Results("T", "random", [], [], on_photos(3), [])
    _, second = conclusions(results, make_tables(results))
    assert second.startswith("Multi-label kNN: mAP: With 60 test images a difference below ")
    assert second.endswith("test images are needed for 2 points.")
    scenes = Results("T", "random", [], [], five(), [])
    assert len(conclusions(scenes, make_tables(scenes))) == 1


def test_the_report_keeps_the_line(tmp_path: Path) -> None:
    from made_up_records import fill

    fill(tmp_path, five(mls=28.0))
    report = build_report(tmp_path)
    assert len(report.conclusions) == 1
    text = (tmp_path / "tables/tables.md").read_text(encoding="utf-8")
    assert "### What may be concluded\n\n- On scenes, size demo, n = 5: supervised is 18.3 points" in text
    assert dataclasses.is_dataclass(report)
