"""Data whose answer is known, and a cache of features that belongs to the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from shapes_folder import write_shapes

from benchmarks.datasets.folder import DatasetFolder


@pytest.fixture(autouse=True)
def feature_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads what another, or the user, has stored."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SCENEBENCH_FEATURES", str(folder / "features"))
    return folder / "features"


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """Categories by colour; a box's shape tells nothing."""
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="session")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """Categories by colour and by the shape of the box."""
    return write_shapes(tmp_path_factory.mktemp("data") / "shaped", shape_tells=True)
