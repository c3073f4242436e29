from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from scenebench.errors import UserError, did_you_mean, require_choice
from scenebench.files import replacing, sha256_of, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail_half_way()
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file" / "record.json", "x")


def test_no_space_left_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def fill() -> None:
        with replacing(tmp_path / "big.bin"), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(UserError, match="No space left on device; free some space"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"scene")
    assert sha256_of(path) == hashlib.sha256(b"scene").hexdigest()


def test_nearest_name() -> None:
    assert did_you_mean("mls_dmo", ["mls_demo", "moco_demo"]) == " (did you mean 'mls_demo'?)"
    assert did_you_mean("zzz", ["b", "a"]) == " (known: a, b)"
    with pytest.raises(UserError, match="loss: unknown value 'bec' \\(did you mean 'bce'\\?\\)"):
        require_choice("loss", "bec", ["bce", "infonce"])
