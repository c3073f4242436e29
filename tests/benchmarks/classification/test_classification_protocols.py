"""Every classification protocol runs on the miniature of its official data set; the values are the papers'."""

import functools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import ClassificationProtocol, list_protocols, load_protocol
from benchmarks.published.values import read_published
from benchmarks.records.record import Record
from scenebench.cli import main
from scenebench.errors import UserError

SMALL_SETS = {"cub200": 200, "flowers102": 102, "cars": 196, "aircraft": 100, "indoor67": 67, "pets": 37, "dtd": 47}
OFFICIAL = [
    *(f"{name}_finetune" for name in SMALL_SETS),
    "coco_multilabel_knn", "coco_multilabel_linear",
    "imagenet_knn", "imagenet_linear_moco", "imagenet_linear_orl", "imagenet_linear_stored",
    "imagenet_semi_1pct", "imagenet_semi_10pct",
    "voc07_finetune_csra", "voc07_finetune_s3l", "voc07_svm", "voc07_svm_low_shot",
]  # fmt: skip
SLOW = {"aircraft_finetune", "dtd_finetune", "indoor67_finetune", "imagenet_semi_10pct"}
"""Run with 'make test-slow': other protocols go the same ways on layouts that the readers' own tests cover."""
PEEKS = re.compile("(test|validation) images|images that are reported")
TRAIN_IMAGES = {"cub200": 6, "flowers102": 8, "cars": 6, "aircraft": 16, "indoor67": 9, "pets": 6, "dtd": 12}


@functools.cache
def load(name: str, *overrides: str, size: str = "") -> ClassificationProtocol:
    protocol = load_protocol(name, overrides, size)
    assert isinstance(protocol, ClassificationProtocol)
    return protocol


def judge(backbone: Path, name: str, root: Path, out: Path, *overrides: str, seed: int = 0) -> Record:
    return evaluate(backbone, load(name, *overrides, size="demo"), root, seed, out, size="demo")


def test_this_file_knows_every_protocol() -> None:
    named = [name for name in list_protocols() if isinstance(load_protocol(name), ClassificationProtocol)]
    few_labels = ["multilabel_1pct", "multilabel_10pct", "multilabel_low_shot"]
    few_labels += ["multilabel_finetune_1pct", "multilabel_finetune_10pct"]
    assert sorted([*OFFICIAL, *few_labels, "multilabel_knn", "multilabel_linear"]) == named


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in OFFICIAL]
)
def test_a_protocol_runs_on_its_official_layout(name: str, official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    protocol = load(name, size="demo")
    record = judge(tiny_backbone, name, official(protocol.data.dataset), tmp_path / "run")
    assert list(record.metrics) == protocol.metrics
    assert all(value is not None and 0 <= value <= 100 for value in record.metrics.values())
    assert record.dataset.name == protocol.data.dataset
    assert record.dataset.train_images == TRAIN_IMAGES.get(protocol.data.dataset, record.dataset.train_images)
    assert any("size=demo" in note for note in record.notes)


def test_from_the_command_line(
    official: Any, tiny_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = official("imagenet")
    arguments = ["evaluate", str(tiny_backbone), "--protocol", "imagenet_semi_1pct", "--data", str(root)]
    assert main([*arguments, "--size", "demo", "--out", str(tmp_path / "run")]) == 0
    assert "top5" in capsys.readouterr().out
    arguments += ["--size", "demo", "settings.train_list=lists/imagenet_1precent.tsv", "--out", str(tmp_path / "other")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "did you mean settings.train_list=lists/imagenet_1percent.tsv" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["voc07_finetune_s3l", "imagenet_linear_orl", "imagenet_linear_stored", "voc07_svm"])
def test_equal_seeds_give_equal_records(
    name: str, official: Any, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = official(load(name).data.dataset)
    first = judge(tiny_backbone, name, root, tmp_path / "a", seed=3)
    monkeypatch.setenv("SCENEBENCH_FEATURES", str(tmp_path / "another"))  # features are computed again
    second = judge(tiny_backbone, name, root, tmp_path / "b", seed=3)
    assert first.metrics == second.metrics
    assert first.per_class == second.per_class
    assert first.notes == second.notes


def test_the_grid_is_told_and_the_best_cell_reported(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    record = judge(tiny_backbone, "imagenet_semi_10pct", official("imagenet"), tmp_path / "run")
    (note,) = [note for note in record.notes if note.startswith("chosen on split 'val', the one that is reported")]
    chosen, _, told = note.partition(". All: ")
    values = {label: float(value) for label, _, value in (cell.rpartition(": ") for cell in told.split("; "))}
    assert len(values) == 4
    assert record.metrics["top1"] == pytest.approx(max(values.values()), abs=0.01)
    assert values[chosen.rpartition("reported: ")[2]] == max(values.values())
    assert record.dataset.train_images == 6


def test_the_suites_own_probes_leave_difficult_objects_out_of_the_test(
    official: Any, tiny_backbone: Path, tmp_path: Path
) -> None:
    """Tested on its own training images with one neighbour, a probe is perfect if only clear objects count."""
    same = ["data.dataset=voc2007", "data.train_split=test", "data.test_split=test", "settings.image_size=32"]
    record = judge(tiny_backbone, "multilabel_knn", official("voc2007"), tmp_path / "run", *same, "settings.knn.k=1")
    assert record.metrics["mAP"] == pytest.approx(100.0)


def test_a_class_count_that_disagrees(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 classes.*expects 200"):
        evaluate(tiny_backbone, load("cub200_finetune", "backbone=''"), official("cub200"), 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_backbone_of_another_architecture(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'cub200_finetune' is about a resnet50, and this backbone is a resnet18w8"):
        evaluate(tiny_backbone, load("cub200_finetune", "data.classes=3"), official("cub200"), 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_layout_names_the_right_folder(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    root = official("voc2007")
    with pytest.raises(UserError, match="not laid out as voc2007, but .*voc2007 is: give that folder"):
        judge(tiny_backbone, "voc07_svm", root.parent, tmp_path / "run")


def test_an_image_that_cannot_be_decoded_is_named(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    root = tmp_path / "pets"
    shutil.copytree(official("pets"), root)
    bad = sorted((root / "images").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(UserError, match=f"{bad.name}: cannot be decoded"):
        judge(tiny_backbone, "pets_finetune", root, tmp_path / "run")
    assert not (tmp_path / "run/record.json").exists()


def test_protocols_do_not_mix_one_class_and_several(official: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="metrics: mAP, top1"):
        judge(tiny_backbone, "imagenet_knn", official("imagenet"), tmp_path / "a", "metrics=[mAP,top1]")
    with pytest.raises(UserError, match="unknown value 'top1_best_epoch'"):
        judge(tiny_backbone, "imagenet_knn", official("imagenet"), tmp_path / "b", "metrics=[top1_best_epoch]")
    with pytest.raises(UserError, match=r"has the classes \[.*this protocol wants one"):
        judge(tiny_backbone, "cars_finetune", official("voc2007"), tmp_path / "c", "data.dataset=voc2007",
              "data.train_split=trainval")  # fmt: skip


def test_a_reference_cannot_be_fine_tuned(official: Any, tmp_path: Path) -> None:
    protocol = load("pets_finetune", size="demo")
    with pytest.raises(UserError, match="no backbone, so protocol 'pets_finetune' .classification. cannot evaluate it"):
        evaluate("reference:colour_histogram", protocol, official("pets"), 0, tmp_path / "run")


@pytest.mark.parametrize(("name", "classes"), SMALL_SETS.items())
def test_small_sets_are_fine_tuned_as_stated(name: str, classes: int) -> None:
    protocol = load(f"{name}_finetune")
    train = protocol.settings.train
    assert train is not None
    assert (train.epochs, train.learning_rates, train.batch_size, train.weight_decay) == (120, [0.1], 64, 5e-4)
    assert (train.decay, train.frozen, train.momentum, train.evaluate_every) == ("cosine", False, 0.9, 1)
    assert protocol.data.classes == classes
    splits = {"flowers102": "trainval", "aircraft": "trainval", "pets": "trainval", "dtd": "trainval1"}
    assert protocol.data.train_split == splits.get(name, "train")
    assert protocol.data.test_split == ("test1" if name == "dtd" else "test")


def test_values_of_the_published_recipes() -> None:
    """Key by key against the fact sheets; an entry of a nested section by its path."""
    expected: dict[str, dict[str, Any]] = {
        "voc07_finetune_s3l": {
            "views.size": 224, "views.resize": 256, "views.train": "random_crop", "train.learning_rates": [0.01],
            "train.weight_decay": 1e-5, "train.batch_size": 64, "train.epochs": 60, "train.decay": "cosine",
            "train.frozen_norms": True, "difficult": "positive", "average_precision": "area",
        },
        "voc07_finetune_csra": {
            "views.size": 448, "views.min_scale": 0.7, "train.learning_rates": [0.01], "train.head_lr_factors": [10.0],
            "train.batch_size": 16, "train.weight_decay": 1e-4, "train.epochs": 30, "train.warmup_epochs": 2.0,
            "train.steps": [4, 8, 12, 16, 20, 24, 28], "average_precision": "sum",
        },
        "voc07_svm": {
            "image_size": 224, "crop_from": 0, "svm.costs": [1.0, 10.0, 100.0, *(0.5**n for n in range(4, 20))],
            "svm.positive_weight": 2.0, "svm.folds": 3, "svm.max_iterations": 2000, "average_precision": "area",
        },
        "voc07_svm_low_shot": {
            "svm.shots": [1, 2, 4, 8, 16, 32, 64, 96], "svm.samples": 5,
            "svm.costs": [1.0, 10.0, 100.0, *(0.5**n for n in range(4, 20))],
        },
        "imagenet_linear_moco": {
            "train.frozen": True, "train.learning_rates": [30.0], "train.weight_decay": 0.0, "train.epochs": 100,
            "train.steps": [60, 80], "train.step_factor": 0.1, "train.batch_size": 256, "train.stages": ["layer4"],
        },
        "imagenet_linear_orl": {
            "train.frozen": True, "train.learning_rates": [0.01], "train.nesterov": True, "train.weight_decay": 1e-4,
            "train.epochs": 28, "train.steps": [8, 16, 24], "train.batch_size": 256, "train.cells": 2,
            "train.stages": ["stem", "layer1", "layer2", "layer3", "layer4"], "views.jitter": 0.4,
        },
        "imagenet_knn": {"knn.temperature": 0.07, "knn.k": 20, "crop_from": 256, "image_size": 224},
    }  # fmt: skip
    semi = {
        "train.learning_rates": [0.001, 0.01, 0.1], "train.head_lr_factors": [1.0, 10.0, 100.0], "train.epochs": 20,
        "train.steps": [12, 16], "train.step_factor": 0.2, "train.batch_size": 256, "train.weight_decay": 0.0,
        "train.frozen": False, "train.choose_on": "test", "views.train": "random_resized_crop", "views.flip": True,
    }  # fmt: skip
    expected |= {"imagenet_semi_1pct": semi, "imagenet_semi_10pct": semi}
    for name, values in expected.items():
        resolved = load(name).resolved["settings"]
        for path, value in values.items():
            found: Any = resolved
            for key in path.split("."):
                found = found.get(key, 0) if key == "crop_from" else found.get(key, "sum")
            assert found == value, f"{name}: {path}"
    assert load("imagenet_semi_1pct").metrics == ["top1", "top5"]


def test_what_is_chosen_on_the_test_images_is_an_ambiguity() -> None:
    for name in OFFICIAL:
        protocol = load(name)
        train = protocol.settings.train
        peeks = train is not None and train.is_grid and train.choose_on == "test"
        if peeks or protocol.settings.probe == "svm_low_shot" or any("best_epoch" in m for m in protocol.metrics):
            assert any(PEEKS.search(text) for text in protocol.ambiguities), name


def test_published_rows_exist() -> None:
    rows = {(value.table, value.task, value.protocol) for value in read_published()}
    for name in OFFICIAL:
        for published in load(name).published:
            key = (published.table, published.task or name, published.protocol or name)
            assert key in rows, name
