"""The page on generated scenes: its commands run, its defaults are the generator's, its picture is what is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.scenes import TIES, ScenesSpec
from docs.generate.scenes_picture import FIGURE, picture
from scenebench.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scenes.md").read_text(encoding="utf-8")


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        assert main(line.split()[1:]) == 0, line
    assert len({DatasetFolder.open(root).fingerprint for root in (tmp_path / "data").iterdir()}) == 4


def test_the_defaults_are_those_of_the_generator() -> None:
    shown = dict(re.findall(r"^\| `--(\w+)`[^|]*\| ([\d.-]+) \|", PAGE, flags=re.MULTILINE))
    spec = ScenesSpec()
    assert shown.pop("scales") == f"{spec.scale_min}-{spec.scale_max}"
    assert {key: float(value) for key, value in shown.items()} == {key: getattr(spec, key) for key in (*TIES, "tail")}


def test_the_picture_is_what_is_drawn() -> None:
    with Image.open(FIGURE) as stored:
        pixels = np.asarray(stored.convert("RGB")).astype(int)
    assert np.abs(pixels - picture()).mean() < 6, "python -m docs.generate.scenes_picture"
