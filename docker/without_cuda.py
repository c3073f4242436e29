"""Make a CUDA build of torch serve a machine without a GPU in a fraction of the room: without_cuda.py SITE_PACKAGES.

The registry's torch loads NVIDIA's libraries (3 GB) whenever it is imported, and calls none of their functions where
there is no GPU. Each large one is replaced by a library of the same name which defines the functions that torch's own
libraries name, with their versions; every one of them says what is missing and aborts. What runs when torch is loaded
(the CUDA runtime) or is small stays. What nothing loads any more, and triton, which compiles for GPUs, is removed.

Needs gcc and nm. Standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

KEPT = ("libcudart", "libcupti", "libcufile")
"""Beginnings of names: the first registers torch's kernels at import, the others are small."""
REMOVED = ("triton", "triton-*.dist-info", "nvidia_*.dist-info", "cuda", "cuda_*.dist-info")
"""Patterns under site-packages: of no use without a GPU, and their notes of installation would no longer be true."""


def main(site_packages: Path) -> None:
    """Replace and remove under ``site_packages``, and say how much that saved."""
    before = size_of(site_packages)
    libraries = sorted(path for path in (site_packages / "nvidia").rglob("*.so*") if path.is_file())
    wanted = {symbol for library in torch_libraries(site_packages) for symbol in symbols(library, "--undefined-only")}
    loaded = {name for library in torch_libraries(site_packages) for name in needed(library)}
    for library in libraries:
        if library.name.startswith(KEPT):
            continue
        if library.name in loaded:
            replace(library, wanted.intersection(symbols(library, "--defined-only")))
        else:
            library.unlink()
    drop_all_but_libraries(site_packages / "nvidia")
    for pattern in REMOVED:
        for path in site_packages.glob(pattern):
            shutil.rmtree(path)
    print(f"without CUDA: {before / 1e6:.0f} MB became {size_of(site_packages) / 1e6:.0f} MB")


def torch_libraries(site_packages: Path) -> list[Path]:
    """The libraries that load NVIDIA's, and nothing else does."""
    folders = ("torch", "torchvision")
    return [path for folder in folders for path in (site_packages / folder).rglob("*.so*") if path.is_file()]


def symbols(library: Path, which: str) -> set[str]:
    """Names of ``library``'s dynamic symbols, ``name@version`` where they have one."""
    command = ["nm", "--dynamic", "--format=posix", "--with-symbol-versions", which, str(library)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[0].replace("@@", "@") for line in lines if line.strip()}


def needed(library: Path) -> list[str]:
    """Names of the libraries that ``library`` asks the loader for."""
    command = ["readelf", "--dynamic", "--wide", str(library)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.partition("[")[2].rstrip("]") for line in lines if "(NEEDED)" in line]


def replace(library: Path, functions: Iterable[str]) -> None:
    """Put a library in ``library``'s place that defines ``functions`` (``name`` or ``name@version``)."""
    versions: dict[str, list[str]] = defaultdict(list)
    for function in sorted(functions):
        name, _, version = function.partition("@")
        versions[version].append(name)
    names = [name for group in versions.values() for name in group]
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder, "stub.c"), Path(folder, "versions")
        source.write_text(stub(library.name, names), encoding="utf-8")
        script.write_text("".join(node(version, group) for version, group in versions.items() if version))
        built = Path(folder, library.name)
        options = ["-shared", "-fPIC", "-O1", f"-Wl,-soname,{library.name}"]
        options += [f"-Wl,--version-script={script}"] if any(versions) else []
        subprocess.run(["gcc", *options, "-o", str(built), str(source)], check=True)
        library.unlink()
        shutil.copy(built, library)


def stub(library: str, names: Iterable[str]) -> str:
    """C source: every function prints that ``library`` is missing, and aborts."""
    head = "#include <stdio.h>\n#include <stdlib.h>\n"
    head += "static void missing(const char *name) {\n"
    head += f'  fprintf(stderr, "%s: {library} was left out of this CPU image\\n", name);\n  abort();\n}}\n'
    return head + "".join(f'void {name}(void) {{ missing("{name}"); }}\n' for name in names)


def node(version: str, names: Iterable[str]) -> str:
    """One version of a linker's version script."""
    return f"{version} {{ global: {' '.join(f'{name};' for name in names)} }};\n"


def drop_all_but_libraries(folder: Path) -> None:
    """Headers, static libraries and compilers: nothing is compiled in an image that has no compiler."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif ".so" not in path.name:
            path.unlink()


def size_of(folder: Path) -> int:
    """Bytes of the files under ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1], "torch").is_dir():
        sys.exit("usage: without_cuda.py SITE_PACKAGES (the folder that torch is installed in)")
    main(Path(sys.argv[1]))
