"""without_cuda.py on small libraries in place of torch's and NVIDIA's: they load, and a call says what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parts import DOCKER

NEEDS = ("gcc", "nm", "readelf")
pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in NEEDS), reason="no gcc and binutils here (Debian: apt-get install gcc)"
)
CALL = "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); print(library.here()); print(library.there())"


def _build(library: Path, source: str, *options: str) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    text = library.with_suffix(".c")
    text.write_text(source)
    command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", str(library), str(text), *options]
    subprocess.run(command, check=True, timeout=60)
    text.unlink()


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """torch's library calls a versioned function of a large one; nothing loads the second."""
    large, idle = tmp_path / "nvidia/cu13/lib/libcublas.so.13", tmp_path / "nvidia/cu13/lib/libnvperf.so"
    versions = tmp_path / "versions"
    versions.write_text("libcublas.so.13 { global: *; };\n")
    ballast = "char ballast[4000000] = {1};\n"
    _build(large, f"{ballast} int multiply(void) {{ return 42; }}\n", f"-Wl,--version-script={versions}")
    _build(idle, "int idle(void) { return 1; }\n")
    runtime = tmp_path / "nvidia/cu13/lib/libcudart.so.13"
    _build(runtime, "int start(void) { return 7; }\n")
    torch = tmp_path / "torch/lib/libtorch.so"
    source = "int multiply(void); int start(void);\n"
    source += "int here(void) { return start(); } int there(void) { return multiply(); }\n"
    source += "int (*const table[])(void) = {multiply};\n"  # an address, which must resolve when the library is loaded
    _build(torch, source, str(large), str(runtime), "-Wl,-rpath,$ORIGIN/../../nvidia/cu13/lib")
    (tmp_path / "torchvision").mkdir()
    for name in ("triton/core.py", "nvidia_cublas-13.dist-info/RECORD", "nvidia/cu13/include/cublas.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def _call(site_packages: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CALL, str(site_packages / "torch/lib/libtorch.so")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_library_loads_and_a_missing_function_says_so(site_packages: Path):
    assert _call(site_packages).stdout.split() == ["7", "42"]
    command = [sys.executable, str(DOCKER / "without_cuda.py"), str(site_packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("without CUDA: 4 MB became 0 MB")
    called = _call(site_packages)
    assert "no version information" not in called.stderr  # the loader warns where versions were lost
    assert "multiply: libcublas.so.13 was left out of this CPU image" in called.stderr
    assert called.returncode < 0


def test_only_what_is_loaded_stays(site_packages: Path):
    subprocess.run([sys.executable, str(DOCKER / "without_cuda.py"), str(site_packages)], check=True, timeout=60)
    left = sorted(str(path.relative_to(site_packages)) for path in site_packages.rglob("*") if path.is_file())
    assert left == [
        "nvidia/cu13/lib/libcublas.so.13",
        "nvidia/cu13/lib/libcudart.so.13",
        "torch/lib/libtorch.so",
        "versions",
    ]


def test_a_folder_without_torch_is_refused(tmp_path: Path):
    command = [sys.executable, str(DOCKER / "without_cuda.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("usage:")
