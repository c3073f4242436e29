"""The lock of an image: what is left out, what torch is replaced by, and what is refused."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from dockerfile_parts import DOCKER

REPOSITORY = DOCKER.parent
HASH = "    --hash=sha256:" + "0" * 64


def _load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, DOCKER / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


image_lock = _load("image_lock")


def _lock(folder: Path, name: str, *packages: str) -> None:
    (folder / name).write_text("# a comment\n" + "".join(f"{package} \\\n{HASH}\n" for package in packages))


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    cuda = ("nvidia-nccl-cu13==2", "cuda-bindings==13", "triton==3")
    _lock(tmp_path, "packages.lock", "numpy==2.4.6", "Py_Test==9", "torch==2", "torchvision==0.2", *cuda)
    _lock(tmp_path, "torch-cpu.lock", "torch==2+cpu", "torchvision==0.2+cpu")
    (tmp_path / "left-out.txt").write_text("# tests\npy-test  # why\n")
    return tmp_path


def _names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if "==" in line]


def test_left_out_packages_are_gone_and_the_others_keep_their_hashes(requirements: Path):
    text = image_lock.main(requirements, requirements / "left-out.txt")
    assert _names(text) == [
        "cuda-bindings==13", "numpy==2.4.6", "nvidia-nccl-cu13==2", "torch==2", "torchvision==0.2", "triton==3",
    ]  # fmt: skip
    assert text.count("--hash=sha256:") == 6


def test_another_lock_of_torch_takes_its_place_and_that_of_cuda(requirements: Path):
    text = image_lock.main(requirements, requirements / "left-out.txt", "torch-cpu.lock")
    assert _names(text) == ["numpy==2.4.6", "torch==2+cpu", "torchvision==0.2+cpu"]


def test_bad_locks_are_refused(requirements: Path):
    left_out = requirements / "left-out.txt"
    with pytest.raises(ValueError, match=r"none\.lock: no such file"):
        image_lock.main(requirements, left_out, "none.lock")
    _lock(requirements, "half.lock", "torch==2")
    with pytest.raises(ValueError, match=r"half\.lock: lacks torchvision"):
        image_lock.main(requirements, left_out, "half.lock")
    (requirements / "loose.lock").write_text("torch==2\ntorchvision==0.2\n")
    with pytest.raises(ValueError, match="not pinned and hashed"):
        image_lock.main(requirements, left_out, "loose.lock")
    left_out.write_text("pytst\n")
    with pytest.raises(ValueError, match=r"pytst: not in packages\.lock"):
        image_lock.main(requirements, left_out)


def test_the_projects_own_lock_loses_the_tools_and_nothing_that_the_project_declares():
    command = [sys.executable, str(DOCKER / "image_lock.py"), "requirements", "docker/left-out.txt"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    names = {name.partition("==")[0] for name in _names(done.stdout)}
    assert len(names) > 100
    assert not names & {"pytest", "ruff", "mypy", "hypothesis", "lightly"}
    import tomllib

    declared = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"])
    assert declared - names == {"sal-detectron2"}  # which has a lock of its own


def test_nothing_of_the_packages_imports_what_is_left_out():
    left_out = image_lock.read_names(DOCKER / "left-out.txt")
    modules = {name.replace("-", "_") for name in left_out}
    for package in ("scenebench", "pretrain", "transfer", "benchmarks"):
        for path in (REPOSITORY / package).rglob("*.py"):
            words = [line.split() for line in path.read_text().splitlines()]
            imported = {line[1].partition(".")[0] for line in words if line[:1] in (["import"], ["from"]) and line[1:]}
            if path.name != "peers.py":  # the speed benchmark's comparison, which says what it lacks
                assert not imported & modules, path
