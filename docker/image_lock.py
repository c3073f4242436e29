"""Print the lock of an image: image_lock.py REQUIREMENTS LEFT_OUT [TORCH_LOCK].

It is ``packages.lock`` without the packages that LEFT_OUT names and, where TORCH_LOCK names another lock in the same
folder, with that lock's packages in place of torch's own (and without those that only a CUDA build of torch needs).
Every package keeps its hashes; one without any is an error. Standard library only.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CUDA_ONLY = ("nvidia-", "cuda-", "triton")
"""Beginnings of the names of what only a CUDA build of torch needs."""


def main(requirements: Path, left_out: Path, torch_lock: str = "") -> str:
    """The text of the image's lock.

    Raises:
        ValueError: a package without hashes, a name in ``left_out`` that the lock lacks, or a torch lock that is not
            there or lacks torch or torchvision.
    """
    packages = read_lock(requirements / "packages.lock")
    names = read_names(left_out)
    if unknown := sorted(names - packages.keys()):
        raise ValueError(f"{left_out}: {', '.join(unknown)}: not in packages.lock")
    packages = {name: block for name, block in packages.items() if name not in names}
    if torch_lock:
        torch = read_lock(requirements / torch_lock)
        if missing := {"torch", "torchvision"} - torch.keys():
            raise ValueError(f"{requirements / torch_lock}: lacks {' and '.join(sorted(missing))}")
        packages = {name: block for name, block in packages.items() if not name.startswith(CUDA_ONLY)} | torch
    return "\n".join(packages[name] for name in sorted(packages)) + "\n"


def read_lock(path: Path) -> dict[str, str]:
    """Name to the lines that pin and hash it."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    blocks: dict[str, str] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8")):
        lines = [line for line in block.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if not lines:
            continue
        found = re.match(r"([A-Za-z0-9_.-]+)==", lines[0])
        if not found or "--hash=sha256:" not in block:
            raise ValueError(f"{path}: '{lines[0]}' is not pinned and hashed")
        blocks[re.sub(r"[-_.]+", "-", found[1]).lower()] = "\n".join(lines)
    return blocks


def read_names(path: Path) -> set[str]:
    """One name a line; comments begin with #."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


if __name__ == "__main__":
    try:
        sys.stdout.write(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4]))
    except (IndexError, ValueError) as error:
        sys.exit(f"image_lock.py: {error}")
