"""Miniature official data sets and a cache of features that belongs to the tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.datasets.preparing import prepare

Build = Callable[[str], Path]


def _miniatures() -> ModuleType:
    """The builders of the data sets' own tests."""
    if "miniatures" not in sys.modules:
        path = Path(__file__).parents[1] / "datasets" / "miniatures.py"
        spec = importlib.util.spec_from_file_location("miniatures", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["miniatures"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["miniatures"]


@pytest.fixture(autouse=True)
def feature_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads what another, or the user, has stored."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SCENEBENCH_FEATURES", str(folder / "features"))
    return folder / "features"


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """``official("voc2007")``: the miniature of a data set, built once. ImageNet's comes with 1 % and 10 % lists."""
    folder = tmp_path_factory.mktemp("official")

    def build(name: str) -> Path:
        root = folder / name
        if root.exists():
            return root
        miniatures = _miniatures()
        if name == "voc2007":  # three positives of every class, for three folds
            return miniatures.build_voc2007(root, each=30)
        miniatures.BUILDERS[name](root)
        if name == "imagenet":
            lists = (folder / "1percent.txt", folder / "10percent.txt")
            for count, path in enumerate(lists, start=1):
                files = [sorted((root / "train" / synset).iterdir())[:count] for synset in miniatures.SYNSETS]
                path.write_text("".join(f"{file.name}\n" for own in files for file in own))
            prepare("imagenet", root, lists=lists, partial=True)
        return root

    return build
