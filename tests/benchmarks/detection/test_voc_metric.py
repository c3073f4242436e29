"""VOC's average precision against an obvious implementation in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from miniatures import write_voc_xml

from benchmarks.detection.evaluators import voc_line
from benchmarks.detection.voc_metric import THRESHOLDS, voc_average_precision, voc_metrics
from transfer.exporters.silenced_logs import quiet_detectron2

CLASSES = ["cat", "dog", "cow"]
Truth = tuple[str, int, int, int, int, int]


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Of boxes given by their outermost pixels, which both belong to the box."""
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def oracle(
    lines: list[str], truths: dict[str, list[Truth]], label: str, threshold: float, eleven_points: bool
) -> float:
    """Detections by falling score; each may find the object it overlaps most, once; difficult ones do not count."""
    objects = {stem: [truth for truth in found if truth[0] == label] for stem, found in truths.items()}
    positives = sum(not truth[5] for found in objects.values() for truth in found)
    detections = sorted((line.split() for line in lines), key=lambda words: -float(words[1]))
    taken: set[tuple[str, int]] = set()
    hits = misses = 0
    curve: list[tuple[float, float]] = []  # recall, precision
    for stem, _, *corners in detections:
        overlaps = [iou(tuple(map(float, corners)), truth[1:5]) for truth in objects[stem]]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] > threshold:
            if objects[stem][best][5]:
                pass  # neither right nor wrong
            elif (stem, best) in taken:
                misses += 1
            else:
                taken.add((stem, best))
                hits += 1
        else:
            misses += 1
        curve.append((hits / positives, hits / (hits + misses) if hits + misses else 0.0))
    if eleven_points:
        best_from = [max([p for r, p in curve if r >= 0.1 * step], default=0.0) for step in range(11)]
        return sum(best_from) / 11
    area = previous = 0.0
    for recall in sorted({r for r, _ in curve}):
        area += (recall - previous) * max(p for r, p in curve if r >= recall)
        previous = recall
    return area


def random_data(seed: int, folder: Path) -> tuple[dict[str, list[Truth]], dict[int, list[str]], dict[str, Path]]:
    """Twelve images with up to five objects, a third of them difficult, and detections near and far from them."""
    rng = np.random.default_rng(seed)
    truths: dict[str, list[Truth]] = {}
    lines: dict[int, list[str]] = {0: [], 1: [], 2: []}
    files: dict[str, Path] = {}
    scores = iter(rng.permutation(999) / 1000)
    for number in range(12):
        stem = f"{number:06d}"
        truths[stem] = []
        for _ in range(int(rng.integers(0, 6))):
            left, top = (int(value) for value in rng.integers(1, 60, 2))
            right, bottom = left + int(rng.integers(5, 40)), top + int(rng.integers(5, 40))
            label = int(rng.integers(0, 2))  # no cow: undefined
            truths[stem].append((CLASSES[label], left, top, right, bottom, int(rng.random() < 0.33)))
            for _ in range(int(rng.integers(0, 3))):
                box = np.array([left - 1, top - 1, right, bottom]) + rng.normal(0, 3, 4)
                found = label if rng.random() < 0.8 else int(rng.integers(0, 3))
                lines[found].append(voc_line(stem, float(next(scores)), box.tolist()))
        files[stem] = write_voc_xml(folder / f"{stem}.xml", truths[stem], (120, 120))
    return truths, lines, files


@pytest.mark.parametrize("eleven_points", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_it_equals_the_oracle(seed: int, eleven_points: bool, tmp_path: Path) -> None:
    quiet_detectron2()
    truths, lines, files = random_data(seed, tmp_path / "Annotations")
    objects = [sum(t[0] == name and not t[5] for found in truths.values() for t in found) for name in CLASSES]
    measured = voc_average_precision(lines, files, CLASSES, objects, eleven_points)
    assert set(measured) == {"cat", "dog"}
    for name in measured:
        for threshold in THRESHOLDS:
            expected = oracle(lines[CLASSES.index(name)], truths, name, threshold / 100, eleven_points)
            assert measured[name][threshold] == pytest.approx(100 * expected, abs=1e-10)


def test_difficult_objects_are_neither_found_nor_missed(tmp_path: Path) -> None:
    quiet_detectron2()
    truth: list[Truth] = [("cat", 1, 1, 20, 20, 0), ("cat", 40, 40, 60, 60, 1)]
    files = {"a": write_voc_xml(tmp_path / "Annotations" / "a.xml", truth)}
    right, difficult = voc_line("a", 0.5, [0, 0, 20, 20]), voc_line("a", 0.9, [39, 39, 60, 60])
    for lines in ([right], [right, difficult]):
        measured = voc_average_precision({0: lines}, files, ["cat"], [1], True)
        assert measured["cat"] == dict.fromkeys(THRESHOLDS, pytest.approx(100.0))
    wrong = voc_line("a", 0.9, [80, 80, 99, 99])
    assert voc_average_precision({0: [right, wrong]}, files, ["cat"], [1], True)["cat"][50] == pytest.approx(50.0)


def test_means_leave_out_what_is_undefined() -> None:
    flat = {"cat": dict.fromkeys(THRESHOLDS, 40.0), "dog": dict.fromkeys(THRESHOLDS, 0.0) | {50: 60.0, 75: 10.0}}
    metrics, per_class = voc_metrics(flat, CLASSES)
    assert metrics == {"box_AP": pytest.approx((40 + 7) / 2), "box_AP50": 50.0, "box_AP75": 25.0}
    assert per_class["cow"] == {"box_AP": None, "box_AP50": None, "box_AP75": None}
    assert voc_metrics({}, CLASSES)[0] == {"box_AP": None, "box_AP50": None, "box_AP75": None}


def test_a_line_is_rounded_as_the_toolbox_rounds() -> None:
    assert voc_line("000001", 0.12349, [0.04, 1.0, 19.96, 20.0]) == "000001 0.123 1.0 2.0 20.0 20.0"
