"""Checkpoints: the last two, verified, the one before where the newest is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pretrain import checkpoint
from pretrain.checkpoint import load_checkpoint, save_checkpoint
from scenebench.errors import UserError


def state(value: int) -> dict[str, object]:
    return {"step": value, "weights": torch.full((100, 10), float(value)), "nested": {"lr": 0.1, "none": None}}


def steps(folder: Path) -> list[str]:
    return sorted(path.name[:13] for path in folder.iterdir())


def test_the_newest_comes_back(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nothing") is None
    for step in (5, 10):
        save_checkpoint(tmp_path, step, state(step))
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 10
    assert torch.equal(loaded["weights"], torch.full((100, 10), 10.0))


def test_two_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 15, 20):
        save_checkpoint(tmp_path, step, state(step))
    assert steps(tmp_path) == ["step_00000015", "step_00000020"]


def test_writing_a_step_again_replaces_it_and_keeps_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, state(5))
    save_checkpoint(tmp_path, 10, state(10))
    save_checkpoint(tmp_path, 10, state(11))
    assert steps(tmp_path) == ["step_00000005", "step_00000010"]
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 11


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_newest_falls_back_and_says_so(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path, 5, state(5))
    newest = save_checkpoint(tmp_path, 10, state(10))
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    newest.write_bytes({"truncate": content[: len(content) // 2], "flip": content, "empty": b""}[damage])
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 5
    printed = capsys.readouterr().out
    assert newest.name in printed
    assert "damaged" in printed


def test_all_damaged_is_a_start_from_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path, 5, state(5)).write_bytes(b"x")
    assert load_checkpoint(tmp_path) is None
    assert "damaged" in capsys.readouterr().out


def test_a_kill_while_writing_leaves_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 5, state(5))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 10, state(10))
    assert steps(tmp_path) == ["step_00000005"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(UserError, match="No space left on device.*free some space"):
        save_checkpoint(tmp_path, 10, state(10))
    assert steps(tmp_path) == []


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with the right check value but a pickled call is refused, not run."""

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("executed",)

    save_checkpoint(tmp_path, 5, {"payload": Evil()})
    assert load_checkpoint(tmp_path) is None
    assert "executed" not in capsys.readouterr().out.splitlines()
