"""The evaluation benchmark and the spread of equal runs, at the smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pycocotools import mask

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.evaluation.spread import measure_spread
from benchmarks.evaluation.spread import render as render_spread
from benchmarks.protocols.detection import EVALUATORS
from benchmarks.protocols.protocol import load_protocol
from benchmarks.speed import coco_sized, evaluation, training_loops
from benchmarks.speed.evaluation import PARTS, Sizes, measure_evaluation, merged
from benchmarks.speed.evaluation_report import aims, render
from benchmarks.speed.probes import measure_probes
from benchmarks.speed.stopwatch import timed
from scenebench.cli import main
from scenebench.errors import UserError


def quiet(text: str) -> None:
    """Say nothing."""


def test_made_up_detections_have_cocos_statistics() -> None:
    truth, found = coco_sized.made_up(300, with_masks=False)
    assert len(found) == 300 * 100
    assert 6.3 < len(truth["annotations"]) / 300 < 8.3
    areas = [entry["area"] for entry in truth["annotations"]]
    assert 0.35 < sum(area < 32**2 for area in areas) / len(areas) < 0.55
    assert 0.15 < sum(area > 96**2 for area in areas) / len(areas) < 0.30
    sizes = {image["id"]: (image["width"], image["height"]) for image in truth["images"]}
    for entry in found[::97]:
        x, y, width, height = entry["bbox"]
        assert min(x, y) >= 0
        assert x + width <= sizes[entry["image_id"]][0] + 1e-6
        assert y + height <= sizes[entry["image_id"]][1] + 1e-6
    assert coco_sized.made_up(3, True) == coco_sized.made_up(3, True)


@pytest.mark.parametrize("task", ["bbox", "segm"])
def test_both_evaluators_judge_the_same_things(task: str) -> None:
    result = coco_sized.measure_coco(20, task, quiet)
    assert result["apart"] < 1e-10
    assert 5 < result["AP"] < 60  # neither trivial nor hopeless
    for name in EVALUATORS:
        stages = result[name]["stages"]
        assert sum(took["seconds"] for took in stages.values()) == pytest.approx(result[name]["seconds"], abs=0.01)
    _, found = coco_sized.made_up(2, with_masks=True)
    assert sum(mask.area(entry["segmentation"]) > 0 for entry in found) > 190


def test_both_probes_learn() -> None:
    result = measure_probes(60, width=16, classes=3)
    assert result["knn"]["top1"] > 34
    assert result["linear"]["top1"] > 34
    assert result["linear"]["seconds"] > 0


def test_time_is_taken_by_both_clocks() -> None:
    result, took = timed(lambda: sum(range(300_000)))
    assert result == 300_000 * 299_999 // 2
    assert took.seconds > 0
    assert took.busy > 0
    assert (took + took).busy == 2 * took.busy


def test_a_step_of_ours_beside_the_stock_loops(tiny_scenes: DatasetFolder, tiny_backbone: Path, tmp_path: Path) -> None:
    """All three train: each has its own model, and every one of them moves by its own steps alone."""
    small = ("settings.crop_size=32", "settings.short_side=32", "settings.max_side=48", "settings.batch_size=2")
    with training_loops.pspnet(tiny_scenes, tiny_backbone, tmp_path / "a", small) as steps:
        assert list(steps) == ["ours", "stock", "stock again"]
        found = training_loops._turns(steps, rounds=2)
        loops = [step.__self__ for step in steps.values()]  # type: ignore[attr-defined]
        assert [loop.iter for loop in loops] == [4, 4, 4]  # two of them to warm up
        kinds = [{type(hook).__name__ for hook in loop.runner.hooks} for loop in loops]
        assert "CellHook" in kinds[0]
        assert "CellHook" not in kinds[1] | kinds[2]
    assert len(found["ours"]["busy"]) == 2
    assert set(found["busy_ratio"]) == {"ours", "stock again"}


def test_a_step_of_ours_beside_detectron2s(tiny_scenes: DatasetFolder, tiny_backbone: Path, tmp_path: Path) -> None:
    small = ("settings.short_side=64", "settings.max_side=96", "settings.batch_size=2")
    with training_loops.mask_rcnn(tiny_scenes, tiny_backbone, tmp_path / "b", small) as steps:
        found = training_loops._turns(steps, rounds=1)
    assert all(value > 0 for value in found["seconds_ratio"].values())


def test_a_fresh_process_builds_the_model() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.startup", "mmseg"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "did you mean 'mmsegmentation'" in done.stderr


def test_the_page_and_its_aims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All parts but the slow ones are measured; what is missing comes from an earlier file."""
    result = measure_evaluation(["probes", "boxes", "masks"], Sizes(features=60, coco_images=3), quiet)
    took = {"seconds": 9.0, "busy": 13.0}
    steps = {"seconds": [1.0, 1.2], "busy": [1.0, 1.1]}
    loops = {"ours": steps, "stock": steps, "stock again": steps}
    ratios = {"ours": 1.2, "stock again": 1.01}
    later = {
        "startup": result["parts"]["probes"] | {"measured": {"detectron2": [took, took]}},
        "loops": result["parts"]["probes"]
        | {"measured": {"PSPNet": loops | {"seconds_ratio": ratios, "busy_ratio": {**ratios, "ours": 1.01}}}},
    }
    path = tmp_path / "evaluation_cpu.json"
    path.write_text(json.dumps({"parts": later | {"probes": "older"}}))
    whole = merged(path, result)
    assert tuple(whole["parts"]) == PARTS
    assert whole["parts"]["probes"] == result["parts"]["probes"]
    assert json.loads(json.dumps(whole)) == whole
    verdicts = {aim.what: aim.verdict for aim in aims(whole)}
    assert verdicts["start of detectron2"] == "yes"
    assert verdicts["iteration of PSPNet, times the stock loop's"] == "by processor time"
    page = render(whole)
    assert "Missed: iteration of PSPNet" in page
    for part in ("Probes of stored features", "evaluation, boxes", "evaluation, masks", "Start of", "stock again"):
        assert part in page
    path.write_text("[]")
    with pytest.raises(UserError, match=r"evaluation_cpu\.json: not results"):
        merged(path, result)


def test_one_part_is_measured_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation, "_measure", lambda part, sizes, say: measure_probes(60, 8, 3))
    assert main(["bench", "evaluation", "--parts", "probes", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation_cpu.json", "evaluation_cpu.md"]
    assert "kNN" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["bench", "evaluatoin"], "did you mean 'evaluation'"),
        (["bench", "evaluation", "--parts", "boxs"], "did you mean 'boxes'"),
        (["bench", "pretraining", "--parts", "boxes"], "unrecognised: --parts boxes"),
        (["spread", "b", "--protocol", "fcn_dmo", "--data", "d", "--out", "o"], "did you mean 'fcn_demo'"),
        (
            ["spread", "b", "--protocol", "fcn_demo", "--data", "d", "--out", "o", "--runs", "1"],
            "one run has no spread",
        ),
    ],
)
def test_bad_calls_get_one_line(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_equal_runs_on_a_cpu_have_no_spread(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["spread", str(tiny_backbone), "--protocol", "fcn_demo", "--data", str(tiny_scenes.root), "--runs", "2"]
    small = ["settings.iterations=3", "settings.crop_size=64", "settings.short_side=64", "data.max_test_images=4"]
    assert main([*words, "--out", str(tmp_path / "spread"), *small]) == 0
    result = json.loads((tmp_path / "spread/spread.json").read_text())
    assert set(result["metrics"]) == {"mIoU", "mAcc", "aAcc"}
    for found in result["metrics"].values():
        assert len(found["values"]) == 2
        assert found["std"] == found["range"] == 0.0
    assert "the CPU" in (tmp_path / "spread/spread.md").read_text()
    other = evaluate(tiny_backbone, load_protocol("fcn_demo", small), tiny_scenes.root, 1, tmp_path / "other")
    assert other.metrics["aAcc"] != result["metrics"]["aAcc"]["values"][0]  # another seed does


def test_what_spreads_is_told(
    monkeypatch: pytest.MonkeyPatch, tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    protocol = load_protocol("multilabel_knn", ["settings.image_size=32"])
    real = evaluate(tiny_backbone, protocol, tiny_scenes.root, 0, tmp_path / "real")
    values: list[float | None] = [10.0, 10.5, 11.0]
    turns = iter([*values, *values[:2], None])
    monkeypatch.setattr(
        "benchmarks.evaluation.spread.evaluate",
        lambda *arguments, **options: real.model_copy(update={"metrics": {"mAP": next(turns)}}),
    )
    found = measure_spread(tiny_backbone, protocol, tiny_scenes.root, 0, 3, tmp_path)["metrics"]["mAP"]
    assert (found["mean"], found["std"], found["range"]) == (10.5, 0.5, 1.0)
    result = measure_spread(tiny_backbone, protocol, tiny_scenes.root, 0, 3, tmp_path)
    assert result["metrics"]["mAP"]["std"] is None
    assert "undefined" in render_spread(result)
