"""What 'data coco' refuses, 'run' refuses with the same line and exit code 2, and no table is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scenebench.cli import main


def source(folder: Path) -> dict[str, Any]:
    """Six pictures with a box each, as the content of a JSON beside them."""
    images, annotations = [], []
    (folder / "photos").mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), (40 * number, 90, 120)).save(folder / "photos" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 40, "height": 30})
        box = [5, 6, 10, 12]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "bbox": box, "area": 120})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cup"}]}


def line_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 2
    said = capsys.readouterr()
    assert "tables" not in said.out
    return said.err.strip().splitlines()[-1]


@pytest.mark.parametrize("fault", ["a bad box", "an undecodable picture"])
def test_a_fault_that_the_data_job_finds_is_the_whole_outcome(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = source(tmp_path)
    if fault == "a bad box":
        content["annotations"][2]["bbox"] = [1, 2, 3]
    else:
        (tmp_path / "photos" / "2.jpg").write_bytes(b"no picture")
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    photos = str(tmp_path / "photos")
    expected = line_of(capsys, "data", "coco", "--images", photos, "--annotations", str(bad), "prepared")
    said = line_of(capsys, "run", "smoke", "--data", photos, "--annotations", str(bad), "--out", "results")
    assert said == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.json", "photos"]


def test_training_and_testing_on_the_same_images_is_refused_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good.json"
    good.write_text(json.dumps(source(tmp_path)))
    same = ["--annotations", str(good), "--test-annotations", str(good)]
    photos, out = str(tmp_path / "photos"), str(tmp_path / "out")
    said = line_of(capsys, "run", "smoke", "--data", photos, *same, "--out", out)
    assert "an image cannot both train and test" in said
    assert said == line_of(capsys, "data", "coco", "--images", photos, *same, out)
    assert not Path(out).exists()


def test_a_plan_is_said_where_its_graph_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["run", "smoke", "--plan", "--out", str(tmp_path / "file" / "out")]) == 0
    said = capsys.readouterr().out
    assert "graph: not drawn (cannot write" in said
