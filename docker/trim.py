"""Remove what an image never uses from its environment: trim.py ENVIRONMENT.

The packages' own tests, torch's headers, what only compiling needs, and bytecode (written anew, once). Standard library
only.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

TESTED = ("numpy", "scipy", "pandas", "matplotlib", "sklearn", "sympy", "networkx", "skimage", "imageio", "shapely")
"""Packages whose ``tests`` folders nothing but their developers imports."""
UNUSED = ("torch/include", "torch/share", "mpl_toolkits/*/tests", "ninja", "ninja-*.dist-info")
"""Patterns under site-packages."""


def main(environment: Path) -> None:
    """Remove it, and say how much that was."""
    (site_packages,) = environment.glob("lib/python3.*/site-packages")
    before = size_of(environment)
    for package in TESTED:
        for folder in sorted((site_packages / package).rglob("tests")):
            shutil.rmtree(folder, ignore_errors=True)
    for pattern in UNUSED:
        for path in site_packages.glob(pattern):
            shutil.rmtree(path)
    (environment / "bin/ninja").unlink(missing_ok=True)
    for folder in sorted(environment.rglob("__pycache__")):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"trimmed: {before / 1e6:.0f} MB became {size_of(environment) / 1e6:.0f} MB")


def size_of(folder: Path) -> int:
    """Bytes of the files under ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "lib").is_dir():
        sys.exit("usage: trim.py ENVIRONMENT (a virtual environment)")
    main(Path(sys.argv[1]))
