"""Fixtures for the whole suite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenebench.processors import limit_instruction_sets

limit_instruction_sets()  # as every command does, so that what tests compute is what commands compute

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """One thread a process: two small processes side by side are faster than one with two threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real image sets beside the checkout; tests that want it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the optional real images (../shared/data) are not here")
    return folder
