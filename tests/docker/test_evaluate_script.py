"""docker/evaluate.sh and docker/image.sh with an engine that only notes what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from dockerfile_parts import DOCKER

import scenebench

REPOSITORY = DOCKER.parent
ENGINE = """#!/bin/bash
case "$1" in
info) exit "${INFO:-0}" ;;
image) exit "${IMAGE_HERE:-0}" ;;
esac
printf '%s\\n' "$@" > "$CALLS"
echo "a table"
exit "${CODE:-0}"
"""


@dataclass
class _Script:
    """A script of docker/ with a pretended engine; each call returns what it did."""

    name: str
    folder: Path

    def __call__(self, **settings: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": f"{self.folder}:{os.environ['PATH']}", "CALLS": str(self.calls), "HOME": str(self.folder)}
        command = [str(DOCKER / self.name)]
        return subprocess.run(
            command, cwd=self.folder, env=known | settings, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def calls(self) -> Path:
        return self.folder / "calls"

    @property
    def words(self) -> list[str]:
        return self.calls.read_text().splitlines()


def _script(name: str, folder: Path) -> _Script:
    for engine in ("docker", "podman"):
        (folder / engine).write_text(ENGINE)
        (folder / engine).chmod(0o755)
    return _Script(name, folder)


@pytest.fixture
def evaluate(tmp_path: Path) -> _Script:
    (tmp_path / "my model.pth.tar").touch()
    return _script("evaluate.sh", tmp_path)


@pytest.fixture
def build(tmp_path: Path) -> _Script:
    return _script("image.sh", tmp_path)


GIVEN = {"BACKBONE": "my model.pth.tar", "SUITE": "mini", "OUT": "records"}


def test_the_image_is_shut_off_and_the_checkpoint_keeps_its_name(evaluate: _Script):
    done = evaluate(**GIVEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a table\n", "")
    words = evaluate.words
    user = f"{os.getuid()}:{os.getgid()}"
    wanted = {"--network": "none", "--cap-drop": "ALL", "--user": user, "--tmpfs": "/tmp:rw,mode=1777"}
    for option, value in wanted.items():
        assert words[words.index(option) + 1] == value
    assert "--read-only" in words
    source = evaluate.folder / "my model.pth.tar"
    assert f"type=bind,source={source},target=/checkpoint/my model.pth.tar,readonly" in words
    assert f"type=bind,source={evaluate.folder}/records,target=/out" in words
    assert (evaluate.folder / "records").is_dir()
    image = words.index(f"scenebench:{scenebench.__version__}-cpu")
    assert words[image + 1 :] == ["submit", "/checkpoint/my model.pth.tar", "--suite", "mini", "--out", "/out"]


def test_data_expected_values_and_options_are_handed_on(evaluate: _Script):
    (evaluate.folder / "data").mkdir()
    (evaluate.folder / "wanted.yml").touch()
    done = evaluate(**GIVEN, DATA="data", EXPECTED="wanted.yml", OPTIONS="--from moco", GPUS="all", VARIANT="cuda")
    assert done.returncode == 0, done.stderr
    words = evaluate.words
    assert f"type=bind,source={evaluate.folder}/data,target=/data,readonly" in words
    assert f"type=bind,source={evaluate.folder}/wanted.yml,target=/expected.yaml,readonly" in words
    assert words[words.index("--gpus") + 1] == "all"
    assert f"scenebench:{scenebench.__version__}-cuda" in words
    assert words[-6:] == ["--data", "/data", "--expected", "/expected.yaml", "--from", "moco"]


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_the_exit_code_is_the_images(evaluate: _Script, code: int):
    assert evaluate(**GIVEN, CODE=str(code)).returncode == code


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"BACKBONE": ""}, "name the checkpoint"),
        ({"SUITE": ""}, "name the suite"),
        ({"OUT": ""}, "name a folder for the records"),
        ({"BACKBONE": "none.pth"}, "BACKBONE: none.pth: no such file"),
        ({"BACKBONE": "."}, "BACKBONE: .: no such file"),
        ({"DATA": "none"}, "DATA: none: no such folder"),
        ({"EXPECTED": "none"}, "EXPECTED: none: no such file"),
        ({"OUT": "my model.pth.tar"}, "OUT: my model.pth.tar: is a file"),
        ({"OUT": "a,b"}, "OUT: a,b: an engine cannot mount"),
        ({"ENGINE": "dockr"}, "ENGINE: dockr: not found"),
        ({"INFO": "1"}, "ENGINE: docker does not answer"),
        ({"IMAGE_HERE": "1", "IMAGE": "mine:1"}, "IMAGE: mine:1: not here; make docker-image"),
        ({"CODE": "125"}, "docker could not start"),
        ({"CODE": "127"}, "docker could not start"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(evaluate: _Script, settings: dict[str, str], message: str):
    done = evaluate(**GIVEN | settings)
    assert done.returncode == 2
    assert done.stderr.startswith(f"evaluate.sh: {message}")
    assert done.stderr.count("\n") == 1


def test_without_an_engine_the_same_command_runs_here(tmp_path: Path):
    copy = tmp_path / "tree"
    shutil.copytree(DOCKER, copy / "docker")
    (copy / ".venv/bin").mkdir(parents=True)
    program = copy / ".venv/bin/scenebench"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 1\n')
    program.chmod(0o755)
    (tmp_path / "m.pth").touch()
    settings = {"BACKBONE": "m.pth", "SUITE": "mini", "OUT": "records", "ENGINE": "none", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(copy / "docker/evaluate.sh")], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.split() == ["submit", "m.pth", "--suite", "mini", "--out", "records"]


def test_the_build_names_version_and_commit(build: _Script):
    (build.folder / "pip.conf").touch()
    done = build(VARIANT="cuda", MMCV_OPS="0", BASE="mine:1", PIP_CONF=str(build.folder / "pip.conf"))
    assert done.returncode == 0, done.stderr
    words = build.words
    assert words[:3] == ["build", "--file", str(DOCKER / "Dockerfile")]
    assert words[words.index("--tag") + 1] == f"scenebench:{scenebench.__version__}-cuda"
    for pair in ("VARIANT=cuda", "MMCV_OPS=0", "BASE=mine:1", f"VERSION={scenebench.__version__}"):
        assert pair in words
    assert f"id=pip,src={build.folder}/pip.conf" in words
    (commit,) = [word.partition("=")[2] for word in words if word.startswith("COMMIT=")]
    assert commit == "unknown" or len(commit.removesuffix("-changed")) == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"VARIANT": "gpu"}, "VARIANT: cpu or cuda, not 'gpu'"),
        ({"VARIANT": "gpu", "TORCH_LOCK": "packages.lock"}, "VARIANT: cpu or cuda, not 'gpu'"),
        ({"MMCV_OPS": "yes"}, "MMCV_OPS: 0 or 1"),
        ({"TORCH_LOCK": "none.lock"}, "TORCH_LOCK: requirements/none.lock: no such file"),
        ({"PIP_CONF": "none.conf"}, "PIP_CONF: none.conf: no such file"),
        ({"ENGINE": "dockr"}, "ENGINE: dockr: not found"),
    ],
)
def test_a_bad_build_is_one_line_and_exit_code_2(build: _Script, settings: dict[str, str], message: str):
    done = build(**{"VARIANT": "cuda"} | settings)
    assert done.returncode == 2
    assert done.stderr.startswith(f"image.sh: {message}")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def scripts(tmp_path: Path) -> _Script:
    """image.sh in a tree of its own, with no lock under requirements/."""
    tree = tmp_path / "tree"
    shutil.copytree(DOCKER, tree / "docker")
    (tree / "requirements").mkdir()
    (tree / "scenebench").mkdir()
    (tree / "scenebench/__init__.py").write_text('__version__ = "1.2.3"\n')
    return _script(str(tree / "docker/image.sh"), tmp_path)


@pytest.mark.parametrize("settings", [{}, {"VARIANT": "cpu"}, {"VARIANT": "cpu", "ENGINE": "none-here"}])
def test_the_cpu_variant_without_a_lock_says_what_it_needs(scripts: _Script, settings: dict[str, str]):
    done = scripts(**settings)
    assert done.returncode == 2
    assert done.stderr.startswith("image.sh: VARIANT=cpu needs requirements/torch-cpu.lock, or another by TORCH_LOCK: ")
    for named in ('"whl/cpu"', "PIP_CONF", "`uv pip compile`", "docker/README.md", "VARIANT=cuda", "without a GPU"):
        assert named in done.stderr
    assert done.stderr.count("\n") == 2
    assert not scripts.calls.exists()  # nothing was built
    assert "uv pip compile" in (DOCKER / "README.md").read_text()


def test_the_cpu_variant_takes_the_lock_that_is_there_or_the_one_named(scripts: _Script):
    requirements = scripts.folder / "tree/requirements"
    for name in ("torch-cpu.lock", "mine.lock"):
        (requirements / name).touch()
    for settings, lock in (({}, "torch-cpu.lock"), ({"TORCH_LOCK": "mine.lock"}, "mine.lock")):
        done = scripts(**settings)
        assert done.returncode == 0, done.stderr
        assert {"VARIANT=cpu", f"TORCH_LOCK={lock}"} <= set(scripts.words)
        assert "scenebench:1.2.3-cpu" in scripts.words
    assert scripts(VARIANT="cuda").returncode == 0
    assert "TORCH_LOCK=" in scripts.words


def test_the_lock_of_the_readme_has_the_versions_of_packages_lock():
    locked = (REPOSITORY / "requirements/packages.lock").read_text().splitlines()
    named = re.findall(r"\b(torch(?:vision)?==[\d.]+)\+cpu", (DOCKER / "README.md").read_text())
    assert [name.partition("=")[0] for name in named] == ["torch", "torchvision"]
    assert all(f"{name} \\" in locked for name in named)


def test_the_make_targets_hand_their_settings_on(evaluate: _Script):
    environment = {"PATH": f"{evaluate.folder}:{os.environ['PATH']}", "CALLS": str(evaluate.calls)}
    backbone = evaluate.folder / "my model.pth.tar"
    command = ["make", "-C", str(REPOSITORY), "docker-evaluate", f"BACKBONE={backbone}", f"OUT={evaluate.folder}/o"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "evaluate.sh: name the suite" in done.stderr  # the Makefile's default suite is another command's
    assert done.returncode == 2
    subprocess.run([*command, "SUITE=mini"], env=environment, capture_output=True, check=True, timeout=60)
    assert evaluate.words[-4:] == ["--suite", "mini", "--out", "/out"]
