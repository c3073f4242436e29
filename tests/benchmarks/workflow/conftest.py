"""Fixtures of the workflow's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_jobs import FAKE_JOB, MakeJob, job_maker


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A results folder; its name has a space, as users' folders do."""
    folder = tmp_path / "my results"
    folder.mkdir()
    return folder


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """``make_job("a", needs=[other], seconds=0.1, end="ok")``."""
    script = tmp_path / "fake_job.py"
    script.write_text(FAKE_JOB)
    return job_maker(script)
