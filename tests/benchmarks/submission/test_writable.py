"""Where only the results folder can be written, everything else moves into it; where the rest can, nothing moves."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from benchmarks.submission import writable
from benchmarks.submission.writable import PRIVATE, keep_inside, require_writable
from scenebench.errors import UserError


def test_a_usable_environment_is_left_as_it_is(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "LOGNAME": "me"}
    before = dict(environment)
    keep_inside(tmp_path / "out", environment)
    assert environment == before
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_moves_below_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    writable_places = (str(tmp_path),)
    monkeypatch.setattr(
        writable, "_why_not", lambda folder: "" if str(folder).startswith(writable_places) else "Read-only file system"
    )

    def nobody(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(writable.pwd, "getpwuid", nobody)
    environment = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent/cache", "MPLCONFIGDIR": str(tmp_path / "m")}
    keep_inside(out, environment)
    assert environment == {
        "HOME": str(out / PRIVATE / "home"),
        "TMPDIR": str(out / PRIVATE / "tmp"),
        "MPLCONFIGDIR": str(tmp_path / "m"),
        "LOGNAME": "scenebench",
        "USER": "scenebench",
    }
    assert Path(environment["HOME"]).is_dir()
    assert Path(environment["TMPDIR"]).is_dir()
    without: dict[str, str] = {}
    keep_inside(out, without)
    assert without["HOME"] == environment["HOME"]


def test_a_folder_is_asked_before_anything_is_made(tmp_path: Path) -> None:
    require_writable(tmp_path / "deep/new")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file; choose a folder"):
        require_writable(tmp_path / "file")
    with pytest.raises(UserError, match="cannot write there"):
        require_writable(tmp_path / "file/below")
    with pytest.raises(UserError, match="cannot write there"):
        require_writable(Path("/proc/scenebench"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
