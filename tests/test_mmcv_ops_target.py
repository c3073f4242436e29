"""`make mmcv-ops` on a copy of the Makefile, with a Python and a compiler that only note what they are asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$2" = venv ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; fi
"""
FAKE_BUILD = """#!/bin/sh
echo "build" >> "$CALLS"
mkdir -p "$2" && touch "$2/onedl_mmcv-0-cp311.whl"
"""
FAKE_COMPILER = """#!/bin/sh
echo "$*" >> "$CALLS"
while [ $# -gt 0 ]; do [ "$1" = -o ] && touch "$2"; shift; done
"""


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class _Copy:
    """The Makefile and the requirements in a folder of their own; ``make`` returns what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        shutil.copytree(REPOSITORY / "requirements", folder / "requirements")
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(REPOSITORY / name, folder)
        self.python = _script(folder / "python", FAKE_PYTHON)
        _script(folder / "requirements/build-mmcv-ops", FAKE_BUILD)

    def make(self, target: str) -> list[str]:
        self.calls.write_text("")
        command = ["make", target, f"PYTHON={self.python}"]
        environment = os.environ | {"CALLS": str(self.calls)}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return self.calls.read_text().splitlines()

    def make_newer(self, name: str) -> None:
        """``name`` is changed now, and all else was long ago."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                os.utime(path, (path.stat().st_mtime - 1000,) * 2)
        os.utime(self.folder / name)


def _steps(calls: list[str]) -> list[str]:
    """The calls that concern mmcv, in a word each."""
    words = {
        "packages.lock": "packages",
        "mmcv-ops.lock": "needs",
        "uninstall --quiet --yes mmcv-lite onedl-mmcv": "uninstall",
        "onedl_mmcv-0-cp311.whl": "install",
        "import torch, mmcv.ops, mmdet.models": "check",
    }
    steps = []
    for call in calls:
        steps += [step for part, step in words.items() if part in call] or (["build"] if call == "build" else [])
    return steps


def test_it_builds_once_and_setup_does_not_break_it(tmp_path: Path) -> None:
    copy = _Copy(tmp_path)
    assert _steps(copy.make("setup")) == ["packages"]
    assert _steps(copy.make("mmcv-ops")) == ["needs", "build", "uninstall", "install", "check"]
    assert copy.make("mmcv-ops") == []
    assert copy.make("setup") == []
    # A newer lock: pip puts mmcv-lite back, and the wheel, kept, takes its place again.
    copy.make_newer("requirements/packages.lock")
    assert _steps(copy.make("setup")) == ["packages", "uninstall", "install", "check"]
    assert copy.make("mmcv-ops") == []
    copy.make_newer("requirements/mmcv-source.lock")
    assert _steps(copy.make("mmcv-ops")) == ["build", "uninstall", "install", "check"]
    # Another torch needs other operators.
    lock = tmp_path / "requirements/packages.lock"
    lock.write_text(re.sub(r"^torch==[\d.]+", "torch==99.0", lock.read_text(), flags=re.MULTILINE))
    copy.make_newer("requirements/packages.lock")
    assert _steps(copy.make("mmcv-ops")) == ["packages", "build", "uninstall", "install", "check"]
    copy.make("clean")
    assert not (tmp_path / ".venv").exists()


def test_the_locks_agree_and_every_package_is_hashed() -> None:
    locks = {name: (REPOSITORY / f"requirements/{name}.lock").read_text() for name in ("packages", "mmcv-ops")}
    pinned = {name: dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE)) for name, text in locks.items()}
    assert "onedl-mmdetection" in pinned["mmcv-ops"]
    for package in pinned["packages"].keys() & pinned["mmcv-ops"].keys():
        assert pinned["packages"][package] == pinned["mmcv-ops"][package]
    entries = re.split(r"^(?=[\w.-]+==)", locks["mmcv-ops"], flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "--hash=sha256:" in (REPOSITORY / "requirements/mmcv-source.lock").read_text()


@pytest.mark.parametrize("works", [True, False], ids=["with header", "header fails"])
def test_the_compiler_is_given_cpp20_and_torchs_header_once(works: bool, tmp_path: Path) -> None:
    fails = "" if works else 'case "$*" in *c++-header*) exit 1 ;; esac\n'
    compiler = _script(tmp_path / "g++", FAKE_COMPILER.replace("\n", f"\n{fails}", 1))
    environment = os.environ | {
        "REAL_CXX": str(compiler),
        "PRECOMPILED": str(tmp_path),
        "CALLS": str(tmp_path / "calls"),
    }
    for name in ("one", "two"):
        words = ["-MMD", "-MF", f"{name}.d", "-g", "-O3", "-c", "-c", f"{name}.cpp", "-o", tmp_path / f"{name}.o"]
        command = [REPOSITORY / "requirements/mmcv-ops-compiler", *words, "-std=c++17", "-DX=a b"]
        subprocess.run(command, env=environment, check=True)
    subprocess.run([command[0], "-shared", "one.o", "-o", tmp_path / "x.so"], env=environment, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    header, *rest = calls if works else ["", *calls]
    header_file = tmp_path / "torch_header.h"
    if works:
        assert header == f"-g0 -O3 -std=c++20 -DX=a b -w -x c++-header {header_file} -o {header_file}.part"
    included = f" -include {header_file}" if works else ""
    assert rest == [
        *(
            f"-MMD -MF {name}.d -g0 -O3 -c -c {name}.cpp -o {tmp_path}/{name}.o -std=c++20 -DX=a b{included}"
            for name in ("one", "two")
        ),
        f"-shared one.o -o {tmp_path}/x.so",
    ]


BUILDING_PYTHON = """#!/bin/sh
case "$*" in
*sysconfig*) echo "$HEADERS" ;;
*" wheel "*)
    g++ -dumpversion && c++ -std=c++17 -shared a.o || exit 1
    [ -z "$BROKEN" ] || { echo "a.cpp:1: error"; exit 1; }
    while [ "$1" != --wheel-dir ]; do shift; done
    touch "$2/onedl_mmcv-1-cp311.whl" ;;
esac
"""


def _build(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The build script with a fake Python, and a fake g++ first on the PATH."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "temporary").mkdir(exist_ok=True)
    _script(folder / "bin/g++", FAKE_COMPILER)
    python = _script(folder / "bin/python", BUILDING_PYTHON)
    headers = folder / "headers"
    headers.mkdir(exist_ok=True)
    (headers / "Python.h").touch()
    environment = os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HEADERS": str(headers),
        "CALLS": str(folder / "calls"),
        "TMPDIR": str(folder / "temporary"),
        **more,
    }
    command = [REPOSITORY / "requirements/build-mmcv-ops", python, folder / "wheels"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_the_wheel_is_built_with_the_wrapped_compiler(tmp_path: Path) -> None:
    done = _build(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == ["onedl_mmcv-1-cp311.whl"]
    assert (tmp_path / "calls").read_text().splitlines() == ["-dumpversion", "-std=c++20 -shared a.o"]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_build_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    done = _build(tmp_path, BROKEN="yes")
    assert done.returncode == 1
    assert "a.cpp:1: error" in done.stderr
    assert not (tmp_path / "wheels").exists()
    assert list((tmp_path / "temporary").iterdir()) == []
    done = _build(tmp_path, HEADERS=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "need Python's headers (Debian: apt-get install python3-dev)" in done.stderr
