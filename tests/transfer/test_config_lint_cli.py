"""The command ``lint``, and its page of the documentation."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from config_lint_examples import FPN, SEGMENTOR, write

from scenebench.cli import main
from transfer.backbone_file import BackboneInfo, save_backbone
from transfer.config_lint.lint import lint_paths
from transfer.config_lint.rules import rules_page
from transfer.exporters import torchvision as to_torchvision
from transfer.networks.resnet import Architecture, build_resnet

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "linting-configs.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_a_clean_folder_is_0_and_other_files_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path, {"a.yaml": FPN, "b/c.py": SEGMENTOR, "code.py": "x = 1\n", "data.yaml": "a: 1\n", "n.txt": "MODEL:"}
    )
    assert main(["lint", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "2 configurations: 0 errors, 0 warnings, 0 notes\n"


def test_the_exit_code_is_1_for_errors_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = write(tmp_path, {"note.yaml": FPN.replace("ENABLED: true", "ENABLED: false")})
    assert main(["lint", str(note)]) == 0
    assert "1 configuration: 0 errors, 0 warnings, 1 note\n" in capsys.readouterr().out
    inferred = write(tmp_path, {"inferred.yaml": FPN.replace("FREEZE_AT: 0", "FREEZE_AT: 2")})
    assert main(["lint", str(note), str(inferred)]) == 0
    assert f"{inferred}:8: warning [frozen-stages] MODEL.BACKBONE.FREEZE_AT: " in capsys.readouterr().out
    assert main(["lint", "--strict", str(note), str(inferred)]) == 1
    assert main(["lint", "--strict", str(note)]) == 0
    bad = write(tmp_path, {"bad.yaml": FPN.replace("[123.675, 116.28, 103.53]", "[0.485, 0.456, 0.406]")})
    assert main(["lint", str(note), str(bad)]) == 1


def test_json_says_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = write(tmp_path, {"bad.yaml": FPN.replace("FREEZE_AT: 0", "FREEZE_AT: 2")})
    assert main(["lint", "--format", "json", str(bad)]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["rule"], one["severity"], one["line"]) == ("frozen-stages", "warning", 8)
    assert (one["file"], one["key"], one["inferred"]) == (str(bad), "MODEL.BACKBONE.FREEZE_AT", True)
    assert all(one[field] for field in ("why", "fix", "detail", "weights"))


def test_a_base_that_several_share_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = FPN.replace("FREEZE_AT: 0", "FREEZE_AT: 2")
    write(tmp_path, {"base.yaml": base, "a.yaml": "_BASE_: base.yaml\n", "b.yaml": "_BASE_: base.yaml\n"})
    assert main(["lint", "--strict", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("frozen-stages") == 1


LAZY = "from ..common.train import train\nfrom ..common.models.fcos import model\ntrain.max_iter = 9\n"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("code.py", "import os\nx = 1\n", "not a configuration of Detectron2, MMSegmentation or MMDetection"),
        ("tool.py", "class A:\n    pass\ndata = 1\n", "not a configuration"),
        ("data.yaml", "a: 1\n", "not a configuration"),
        ("hrnet.yaml", "MODEL:\n  NAME: pose_hrnet\n  IMAGE_SIZE: [192, 256]\n", "not a configuration"),
        ("lazy.py", LAZY, "a LazyConfig: not read"),
        ("call.py", "from detectron2.config import LazyCall as L\nmodel = L(dict)(a=1)\n", "a LazyConfig: not read"),
        (
            "zoo.py",
            "from detectron2 import model_zoo\nmodel = model_zoo.get_config('a.py').model\nmodel.x = 1\n",
            "a Lazy",
        ),
    ],
)
def test_what_is_no_configuration_is_said_and_the_rest_is_linted(
    name: str, text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(write(tmp_path, {name: text}))
    good = str(write(tmp_path, {"good.yaml": FPN}))
    assert main(["lint", other]) == 2
    alone = capsys.readouterr()
    assert alone.out == ""
    assert f"{other}: {told}" in alone.err
    assert alone.err.count("\n") == 1
    assert main(["lint", other, good]) == 2
    both = capsys.readouterr()
    assert both.out == "1 configuration: 0 errors, 0 warnings, 0 notes\n"
    assert told in both.err


def test_parts_that_bases_are_made_of_are_linted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = write(tmp_path, {"schedule.py": "train_cfg = dict(max_epochs=12)\n"})
    assert main(["lint", str(part)]) == 0
    assert capsys.readouterr().out == "1 configuration: 0 errors, 0 warnings, 0 notes\n"


def test_lazy_configs_of_a_folder_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, {"a/lazy.py": LAZY})
    assert main(["lint", str(tmp_path)]) == 2
    assert "only LazyConfigs, which are not read" in capsys.readouterr().err
    write(tmp_path, {"a/b.yaml": FPN})
    assert main(["lint", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(f"0 notes; 1 LazyConfig not read ({tmp_path / 'a' / 'lazy.py'})\n")


def test_bases_that_many_share_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = "".join(f"x{number} = dict(a=[{number}], b='text')\n" for number in range(2000))
    files = {f"c{number}.py": "_base_ = 'base.py'\ny = 1\n" for number in range(60)}
    write(tmp_path, files | {"base.py": base + "model = dict(type='A')\n"})
    read: list[Path] = []
    original = Path.read_text

    def counted(path: Path, *args: Any, **keywords: Any) -> str:
        read.append(path)
        return original(path, *args, **keywords)

    monkeypatch.setattr(Path, "read_text", counted)
    assert len(lint_paths([tmp_path])) == 61
    assert sum(path.name == "base.py" for path in read) <= 3  # to see what it is, as a base, and for itself


def test_bad_input_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(write(tmp_path, {"a.yaml": FPN}))
    (tmp_path / "none").mkdir()
    (tmp_path / "a.json").write_text("{}")
    for words, told in (
        ([str(tmp_path / "missing.yaml")], "no such file or folder"),
        ([str(tmp_path / "a.json")], "neither YAML nor Python"),
        ([str(tmp_path / "none")], "no Detectron2 YAML"),
        ([good, "--format", "jsn"], "did you mean 'json'"),
        ([good, "--weights", str(tmp_path / "none")], "0 reports"),
        ([good, "--weights", good], "not a readable safetensors file"),
        ([], "required"),
    ):
        assert main(["lint", *words]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1


def test_linting_imports_neither_torch_nor_a_toolbox(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": FPN, "b.py": SEGMENTOR, "c.py": "_base_ = 'mmseg::_base_/models/fcn_r50-d8.py'\n"})
    program = (
        "import sys; from pathlib import Path; from transfer.config_lint.lint import lint_paths;"
        f"lint_paths([Path({str(tmp_path)!r})]);"
        "assert not {'torch', 'numpy', 'detectron2', 'mmseg', 'mmengine', 'mmdet'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_page_lists_the_rules() -> None:
    assert PAGE.endswith(rules_page())


def test_the_page_shows_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the page runs, in one folder with the page's own files; the first prints what the page shows."""
    network = build_resnet(Architecture()).state_dict()
    save_backbone(tmp_path / "backbone.safetensors", network, BackboneInfo(Architecture(), method="moco_v2"))
    to_torchvision.export(tmp_path / "backbone.safetensors", tmp_path / "exported")
    (text,) = blocks("yaml")
    (tmp_path / "mask_rcnn_moco.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 3
    capsys.readouterr()
    codes, outputs = [], []
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "scenebench"
        codes.append(main(words))
        outputs.append(capsys.readouterr().out)
    assert codes == [1, 1, 1]
    assert outputs[0] == blocks("text")[0]
    shown = [one["rule"] for one in json.loads(outputs[1])]
    assert shown == ["duplicate-key", "stride-style", "frozen-norm"]
    assert outputs[2].endswith("3 errors, 0 warnings, 0 notes\n")
