"""Exported folders: what an export may replace, folders of any name, users without a home, and moving them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from transfer_helpers import MakeBackbone

from scenebench.cli import main
from scenebench.errors import UserError
from transfer.exporters import timm as to_timm
from transfer.exporters import torchvision as to_torchvision
from transfer.exporters.detectron2 import files as detectron2_files
from transfer.exporters.mmdet import files as mmdet_files
from transfer.exporters.mmseg import files as mmseg_files
from transfer.verify import compare

TARGETS = {
    "detectron2": (detectron2_files, "detectron2.yaml"),
    "mmseg": (mmseg_files, "mmseg_fcn.py"),
    "mmdet": (mmdet_files, "mmdet_rcnn.py"),
    "timm": (to_timm, "config.json"),
    "torchvision": (to_torchvision, "torchvision_report.json"),
}


@pytest.fixture
def backbone(make_backbone: MakeBackbone) -> Path:
    return make_backbone(18, 64)  # which all targets take


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(("target", "config"), TARGETS.values(), ids=TARGETS)
def test_what_was_changed_stays_until_told(
    target: ModuleType, config: str, backbone: Path, make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    target.export(backbone, out)
    written = _files(out)
    target.export(backbone, out)  # the same again
    assert _files(out) == written
    text = (out / config).read_text()
    (out / config).write_text(text + "\n# mine\n" if config.endswith(("yaml", "py")) else text.replace("0.485", "0.5"))
    (out / "notes.txt").write_text("mine")
    changed = _files(out)
    with pytest.raises(UserError, match=rf"{config}: exists already .*--overwrite"):
        target.export(backbone, out)
    assert _files(out) == changed
    target.export(backbone, out, overwrite=True)
    assert _files(out) == written | {"notes.txt": b"mine"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_an_untouched_export_of_another_backbone_is_replaced(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    first, second = make_backbone(18, 16), make_backbone(18, 16, seed=1)
    mmseg_files.export(first, tmp_path / "out")
    mmseg_files.export(second, tmp_path / "out", 16)
    assert compare(second, tmp_path / "out").same


def test_a_users_own_file_of_that_name_is_kept(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    for name in ("detectron2.yaml", "detectron2_report.json"):
        (tmp_path / name).write_text("MODEL: {}\n")
        with pytest.raises(UserError, match=rf"{name}: exists already"):
            detectron2_files.export(make_backbone(), tmp_path)
        assert _files(tmp_path) == {name: b"MODEL: {}\n"}
        (tmp_path / name).unlink()


@pytest.mark.parametrize("kind", ["itself", "link", "hard link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_export_never_replaces_its_input(kind: str, overwrite: bool, backbone: Path, tmp_path: Path) -> None:
    mine, target = tmp_path / "mine.safetensors", tmp_path / "out" / "model.safetensors"
    target.parent.mkdir()
    shutil.copy(backbone, target if kind == "itself" else mine)
    if kind == "link":
        target.symlink_to(mine)
    elif kind == "hard link":
        os.link(mine, target)
    given = target if kind == "itself" else mine
    with pytest.raises(UserError, match="never replaced"):
        to_timm.export(given, target.parent, overwrite=overwrite)
    assert given.read_bytes() == backbone.read_bytes()
    assert [file.name for file in target.parent.iterdir()] == ["model.safetensors"]


def test_the_command_says_it_in_one_line(
    make_backbone: MakeBackbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(make_backbone()), "--to", "detectron2", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert "append to the command: MODEL.WEIGHTS" in capsys.readouterr().out
    (tmp_path / "out" / "detectron2.yaml").write_text("MODEL: {}\n")
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "detectron2.yaml" in told
    assert "--overwrite" in told
    assert main([*words, "--overwrite"]) == 0
    assert main(["verify", str(make_backbone()), str(tmp_path / "out")]) == 0


def test_a_checkpoint_is_answered_with_the_import_that_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my x.pth.tar").write_bytes(b"\x80\x02}q\x00.")
    assert main(["export", str(tmp_path / "my x.pth.tar"), "--to", "mmseg", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert f"scenebench import '{tmp_path}/my x.pth.tar' 'my x.safetensors'" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


# --- names and places --------------------------------------------------------------------------------------------

ODD = 'it\'s "odd", {ünï} #1?;%20&$HOME [x]'


@pytest.mark.parametrize("target", ["detectron2", "mmseg", "mmdet"])
def test_folders_and_files_of_odd_names(target: str, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    path = tmp_path / ODD / f"{ODD}.safetensors"
    path.parent.mkdir()
    shutil.copy(make_backbone(), path)
    report = TARGETS[target][0].export(path, tmp_path / ODD / "it's")
    assert sorted(_files(tmp_path / ODD / "it's")) == sorted(report.files.values())
    shutil.move(tmp_path / ODD / "it's", tmp_path / f"{ODD}2")
    assert compare(path, tmp_path / f"{ODD}2").same


@pytest.mark.parametrize("name", ["a\\b", 'a"""b', "{{ fileBasename }}", "a\nb"])
@pytest.mark.parametrize("export", [mmseg_files.export, mmdet_files.export], ids=["mmseg", "mmdet"])
def test_what_mmengine_cannot_read_is_said_before_anything_is_written(
    name: str, export: Callable[[Path, Path], object], make_backbone: MakeBackbone, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="choose another folder"):
        export(make_backbone(), tmp_path / name / "out")
    assert list(tmp_path.iterdir()) == []


def test_into_the_present_folder(make_backbone: MakeBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report = mmseg_files.export(make_backbone(), ".")
    assert sorted(_files(tmp_path)) == sorted(report.files.values())
    assert compare(make_backbone(), ".").same


_STOCK_DETECTRON2 = """
import sys
import transfer.detectron2_narrow_resnet
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model
cfg = get_cfg()
cfg.merge_from_file(sys.argv[1])
cfg.merge_from_list(["MODEL.DEVICE", "cpu", *sys.argv[2:]])
model = build_model(cfg)
missing = DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
print(float(model.backbone.bottom_up.stem.conv1.weight.detach().abs().sum()))
"""


def test_stock_detectron2_loads_a_moved_export_as_the_yaml_says(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    from transfer.backbone_file import load_backbone

    expected = float(load_backbone(make_backbone())[1]["conv1.weight"].abs().sum())
    report = detectron2_files.export(make_backbone(), tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    weights = report.files["weights"]
    assert f"MODEL.WEIGHTS FOLDER/{weights}" in (tmp_path / "moved" / "detectron2.yaml").read_text()
    for cwd, words in (
        (tmp_path / "moved", ["detectron2.yaml"]),
        (tmp_path, ["moved/detectron2.yaml", "MODEL.WEIGHTS", f"moved/{weights}"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", _STOCK_DETECTRON2, *words], cwd=cwd, capture_output=True, text=True, check=True
        )
        assert float(done.stdout.splitlines()[-1]) == pytest.approx(expected)


_WITHOUT_HOME = """
import os
for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
import pwd
def nobody(uid):
    raise KeyError(uid)
pwd.getpwuid = nobody
import sys
from scenebench.cli import main
code = main(sys.argv[1:])
print(os.environ["HOME"])
sys.exit(code)
"""


@pytest.mark.parametrize("target", ["mmseg", "detectron2"])
def test_a_user_without_home_and_name(target: str, make_backbone: MakeBackbone, tmp_path: Path) -> None:
    words = ["export", str(make_backbone()), "--to", target, "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", _WITHOUT_HOME, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(_files(tmp_path / "out")) == 3
    home = done.stdout.splitlines()[-1]
    assert Path(home).name.startswith("scenebench-home-")
    assert not Path(home).exists()


def test_a_report_says_what_was_written(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    report = to_torchvision.export(make_backbone(18, 64), tmp_path)
    stated = json.loads((tmp_path / "torchvision_report.json").read_text())
    assert list(stated["sha256"]) == [report.files["weights"]]
    assert len(stated["sha256_of_this_report"]) == 64
