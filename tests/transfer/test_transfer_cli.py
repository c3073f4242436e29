from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transfer_helpers import MakeBackbone

from scenebench.errors import UserError
from transfer.backbone_file import load_backbone
from transfer.cli import add_commands


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers(required=True))
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


def test_import_tells_what_it_recognised(
    make_backbone: MakeBackbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, tensors = load_backbone(make_backbone())
    state = {f"module.encoder_q.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"state_dict": state | {"module.queue": torch.zeros(2, 2)}}, tmp_path / "m.pth.tar")
    assert run("import", tmp_path / "m.pth.tar", tmp_path / "b.safetensors") == 0
    out = capsys.readouterr().out
    assert "recognised as moco" in out
    assert "left out 1 tensors that are not this backbone (module.queue" in out
    assert "resnet18w16, 120 tensors, branch 'query', RGB" in out
    assert run("verify", tmp_path / "m.pth.tar", tmp_path / "b.safetensors") == 0
    with pytest.raises(UserError, match="did you mean 'moco'"):
        run("import", tmp_path / "m.pth.tar", tmp_path / "b.safetensors", "--from", "mocov2")


@pytest.mark.parametrize("target", ["detectron2", "mmseg"])
def test_export_then_verify(
    target: str, make_backbone: MakeBackbone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", make_backbone(), "--to", target, "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert "total        120                  0" in out
    for line in out.splitlines()[-3:]:
        assert Path(line.partition(": ")[2]).is_file()
    assert run("verify", make_backbone(), tmp_path / "out") == 0
    assert capsys.readouterr().out.endswith("the same backbone\n")
    assert run("verify", make_backbone(seed=1), tmp_path / "out") == 1
    assert capsys.readouterr().out.endswith("DIFFERENT\n")


def test_bad_input_is_a_user_error(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    for words, told in (
        (("export", make_backbone(), "--to", "detectron", "--out", tmp_path / "o"), "did you mean 'detectron2'"),
        (("export", tmp_path / "none", "--to", "mmseg", "--out", tmp_path / "o"), "no such backbone file"),
        (("export", make_backbone(), "--to", "torchvision", "--out", tmp_path / "o"), "torchvision has no resnet18w16"),
        (("export", make_backbone(), "--to", "detectron2", "--neck", "pan", "--out", tmp_path / "o"), "neck: unknown"),
        (("verify", tmp_path / "none", make_backbone()), "no such checkpoint file"),
        (("import", make_backbone(), tmp_path), "is a folder; name a file"),
    ):
        with pytest.raises(UserError, match=told):
            run(*words)
    assert list(tmp_path.iterdir()) == []


def test_help_shows_an_example_and_imports_nothing_heavy() -> None:
    program = (
        "import sys, argparse, transfer.cli; p = argparse.ArgumentParser();"
        "transfer.cli.add_commands(p.add_subparsers());"
        "assert not {'torch', 'numpy', 'detectron2', 'mmseg'} & set(sys.modules);"
        "p.parse_args(['export', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "example:\n  scenebench export backbone.safetensors --to detectron2" in done.stdout


def test_the_example_checkpoint_is_one_that_import_takes(tmp_path: Path) -> None:
    out = tmp_path / "mine.pth.tar"
    assert run("example-checkpoint", out) == 0
    assert run("import", out, tmp_path / "b.safetensors") == 0
    with pytest.raises(UserError, match=r"mine\.pth\.tar: exists already .*--overwrite"):
        run("example-checkpoint", out)
    assert run("example-checkpoint", out, "--overwrite") == 0
