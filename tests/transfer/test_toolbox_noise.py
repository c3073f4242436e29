from __future__ import annotations

import logging
import subprocess
import sys
import warnings

import pytest

from transfer.exporters.silenced_logs import (
    only_errors,
    quiet_detectron2,
    quiet_pycocotools,
    without_lines,
)


@pytest.mark.parametrize(
    "program",
    [
        "from transfer.exporters.silenced_logs import quiet_detectron2 as quiet; quiet(); quiet();"
        "import detectron2.modeling, detectron2.model_zoo, detectron2.engine, detectron2.evaluation",
        "from transfer.exporters.silenced_logs import quiet_mmseg as quiet; quiet(); quiet();"
        "import mmseg.models, mmseg.evaluation, mmengine.runner",
    ],
    ids=["detectron2", "mmseg"],
)
def test_a_toolbox_is_imported_in_silence(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_only_the_named_warnings_are_dropped() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet_detectron2()
        warnings.warn("pkg_resources is deprecated as an API", UserWarning, stacklevel=1)
        warnings.warn("something that matters", UserWarning, stacklevel=1)
        warnings.warn("the API pkg_resources is used", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["something that matters", "the API pkg_resources is used"]


def test_only_the_named_records_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    quiet_detectron2()
    logger = logging.getLogger("detectron2.data.datasets.coco")
    logger.warning("\nCategory ids in annotations are not in [1, #categories]! We'll apply a mapping for you.\n")
    logger.warning("Filtered out %d instances", 3)
    assert caplog.messages == ["Filtered out 3 instances"]


def test_lines_are_dropped_by_their_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    with without_lines("noise"):
        print("noise one")
        print("a line", "in parts")
        print("nois", end="")
        print("e two")
        print("no newline", end="")
    assert capsys.readouterr().out == "a line in parts\nno newline"
    print("noise after")
    assert capsys.readouterr().out == "noise after\n"


def test_output_before_an_error_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_lines("noise"):
            print("last words", end="")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsys.readouterr().out == "last words"


def test_pycocotools_prints_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    from pycocotools.coco import COCO

    with quiet_pycocotools():
        coco = COCO()
        coco.dataset = {"images": [], "annotations": [], "categories": []}
        coco.createIndex()
        print("kept")
    assert capsys.readouterr().out == "kept\n"


def test_only_errors_restores_the_level(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("scenebench.test_only_errors")
    logger.setLevel(logging.INFO)
    with only_errors(logger):
        logger.warning("dropped")
        logger.error("kept")
    logger.info("kept too")
    assert caplog.messages == ["kept", "kept too"]
