import logging
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.records.record import read_record
from scenebench.cli import parse
from scenebench.errors import UserError


def call(*words: str | Path) -> int:
    arguments = parse([str(word) for word in words])
    return int(arguments.run(arguments))


def test_evaluate_writes_a_record_and_prints_the_metrics(
    tiny_backbone: Path, tiny_scenes: DatasetFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["evaluate", tiny_backbone, "settings.image_size=32", "--protocol", "multilabel_knn"]
    words += ["--data", tiny_scenes.root, "--seed", "4", "--out", out, "--label", "L", "--suite", "S", "--size", "Z"]
    words += ["settings.knn.k=3", "data.max_test_images=5"]
    assert call(*words) == 0
    record = read_record(out / "record.json")
    assert (record.seed, record.backbone.label, record.suite, record.size) == (4, "L", "S", "Z")
    assert record.protocol.resolved["settings"]["image_size"] == 32
    assert record.protocol.resolved["settings"]["knn"]["k"] == 3
    assert record.dataset.test_images == 5
    printed = capsys.readouterr().out
    assert f"mAP        {record.metrics['mAP']:.2f}" in printed
    assert str(out / "record.json") in printed
    assert logging.getLogger("scenebench").handlers == []


def test_mistakes_are_errors(tiny_scenes: DatasetFolder, tmp_path: Path) -> None:
    common = ["--data", tiny_scenes.root, "--out", tmp_path / "run"]
    with pytest.raises(UserError, match="did you mean 'multilabel_knn'"):
        call("evaluate", "b", "--protocol", "multilabel_kn", *common)
    with pytest.raises(UserError, match="no such backbone file"):
        call("evaluate", "b", "--protocol", "multilabel_knn", *common)
    with pytest.raises(UserError, match="did you mean 'image_size'"):
        call("evaluate", "b", "--protocol", "multilabel_knn", *common, "settings.image_sise=3")
    with pytest.raises(UserError, match="word"):
        call("evaluate", "b", "--protocol", "multilabel_knn", *common, "word")
    assert not (tmp_path / "run").exists()


def test_protocol_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("protocol", "list") == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in list_protocols())
    assert call("protocol", "show", "fcn_demo", "settings.iterations=7") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["settings"]["iterations"] == 7
    assert shown["hash"] == load_protocol("fcn_demo", ["settings.iterations=7"]).hash
    assert shown["title"]


@pytest.mark.parametrize("command", ["evaluate", "protocol"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        call(command, "--help")
    assert left.value.code == 0
    assert "scenebench " + command in capsys.readouterr().out.split("example", 1)[1]


def test_building_the_parser_imports_nothing_heavy() -> None:
    code = (
        "import argparse, sys, benchmarks.commands.evaluate\n"
        "benchmarks.commands.evaluate.add_commands(argparse.ArgumentParser().add_subparsers())\n"
        "heavy = {'torch', 'detectron2', 'mmseg', 'sklearn', 'omegaconf', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).returncode == 0
