"""The tree is as docs/architecture.md says, and no import runs in a circle, lazy ones and those for types included."""

from __future__ import annotations

import ast
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = ("scenebench", "pretrain", "transfer", "benchmarks")


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for file in (REPOSITORY / package).rglob("*.py"):
            name = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = file
    return found


def imports_of(file: Path, known: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in known else node.module for name in inner}
    return found & known.keys()


def test_no_import_runs_in_a_circle() -> None:
    known = modules()
    graph = {name: imports_of(file, known) - {name} for name, file in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_the_page_names_every_floor_in_order() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["name"].startswith("the floors"))
    floors = [re.split(r"\s*[|:]\s*", layer) for layer in layers]
    table = PAGE[PAGE.index("## Floors") : PAGE.index("## Three walks")]
    places = []
    for floor in floors[:-1]:  # the last one is all of scenebench
        package, _, name = floor[0].partition(".")
        places.append(max(table.find(f"`{package}.{name}`"), table.find(f"`.{name}`")))
    assert -1 not in places, floors[places.index(-1)]
    assert places == sorted(places)
    lowest = {name.partition(".")[2] for name in floors[-1]}
    there = {path.stem for path in (REPOSITORY / "scenebench").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert lowest == there - {"__init__", "__main__", "__pycache__", "cli", "several"}, (
        "name new modules in pyproject.toml"
    )


def test_what_the_page_names_exists() -> None:
    for path in re.findall(r"`((?:scenebench|pretrain|transfer|benchmarks)/[\w/.]*)`", PAGE):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("name", ["detectron2_narrow_resnet", "detectron2_extra_norm", "mmdet_extra_norm"])
def test_names_in_exported_configurations_stay(name: str) -> None:
    lines = (REPOSITORY / f"transfer/{name}.py").read_text().splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("from transfer.exporters.")
