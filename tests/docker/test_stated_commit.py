"""A record made in an image names the commit that the image was built from."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks.evaluation.environment as environment

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (COMMIT, (COMMIT, False)),
        (f"{COMMIT}-changed", (COMMIT, True)),
        ("unknown", ("", False)),
        ("", ("", False)),
        ("not a commit", ("", False)),
    ],
)
def test_a_stated_commit_is_a_commit_or_nothing(text: str, expected: tuple[str, bool]):
    assert environment.stated_commit(text) == expected


def test_it_counts_where_there_is_no_history_and_only_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(environment.COMMIT_VARIABLE, f"{COMMIT}-changed")
    monkeypatch.setattr(environment, "git_state", lambda folder: ("", False))
    described = environment.describe_environment()
    assert (described.git_commit, described.git_dirty) == (COMMIT, True)
    monkeypatch.setattr(environment, "git_state", lambda folder: ("f" * 40, False))
    assert environment.describe_environment().git_commit == "f" * 40
