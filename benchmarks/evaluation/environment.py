"""Where a run took place: versions, code, hardware, memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

import torch

import scenebench
from benchmarks.records.record import EnvironmentPart
from scenebench.processors import cpu_info
from scenebench.resident_memory import resident_kib

COMMIT_VARIABLE = "SCENEBENCH_COMMIT"
"""Set in an image, which holds a copy of the tree without its history."""

# What can change a number; a package that is not installed is left out.
_PACKAGES = (
    "torch", "torchvision", "numpy", "pillow", "scikit-learn", "sal-detectron2", "detectron2", "pycocotools",
    "onedl-mmsegmentation", "mmsegmentation", "mmengine", "mmcv-lite", "mmcv", "onedl-mmcv",
    "onedl-mmdetection", "mmdet",
    "opencv-python-headless", "opencv-python",
)  # fmt: skip


def describe_environment() -> EnvironmentPart:
    """The current process's environment."""
    commit, dirty = git_state(Path(__file__).resolve().parents[2])
    if not commit:
        commit, dirty = stated_commit(os.environ.get(COMMIT_VARIABLE, ""))
    return EnvironmentPart(
        packages=package_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        threads=torch.get_num_threads(),
        accelerator=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        accelerators=torch.cuda.device_count() if torch.cuda.is_available() else 0,
        cuda=torch.version.cuda or "",
        git_commit=commit,
        git_dirty=dirty,
    )


def package_versions() -> dict[str, str]:
    """Versions of the suite and of the installed packages that can change a number."""
    versions = {"scenebench": scenebench.__version__}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_state(folder: Path) -> tuple[str, bool]:
    """Commit of the checkout in ``folder`` and whether tracked files differ from it; ``("", False)`` outside of git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        dirty = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "", False
    return commit, bool(dirty)


def stated_commit(text: str) -> tuple[str, bool]:
    """As :func:`git_state`, from what an image was told when it was built: a commit, maybe ``-changed``."""
    commit = text.removesuffix("-changed")
    return (commit, commit != text) if re.fullmatch(r"[0-9a-f]{40}", commit) else ("", False)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (10^6 bytes); GPU memory is not in it."""
    return resident_kib(peak=True) * 1024 / 1e6


def peak_accelerator_memory_mb() -> float | None:
    """Most memory that this process's tensors held on one accelerator so far, in MB (10^6 bytes); None without one."""
    if not torch.cuda.is_available():
        return None
    return max(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count())) / 1e6


def _git(folder: Path, *arguments: str) -> str:
    if not (folder / ".git").exists():  # an installed copy inside somebody else's checkout is not that checkout
        raise FileNotFoundError(folder / ".git")
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


def _processor() -> str:
    return cpu_info("model name") or platform.processor() or platform.machine()
