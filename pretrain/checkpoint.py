"""Checkpoints: written by rename, verified on reading, the last two kept.

A checkpoint is ``step_00001234-<16 hex>.pt``; the digits begin the SHA-256 of its bytes, so one rename makes file and
check value appear together. Only tensors and plain values are in it: nothing is unpickled that could run.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from scenebench.errors import UserError
from scenebench.files import sha256_of

KEPT = 2
_NAME = re.compile(r"step_(\d{8})-([0-9a-f]{16})\.pt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write ``state`` (tensors and plain values, nested) and delete all but the newest two.

    Raises:
        UserError: the folder cannot be written or the disk is full; what was there before is untouched.
    """
    temporary = folder / ".checkpoint.part"  # always the same name: a killed run leaves at most this one behind
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        final = folder / f"step_{step:08d}-{sha256_of(temporary)[:16]}.pt"
        temporary.replace(final)
    except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as a RuntimeError
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder}: cannot write the checkpoint of step {step} ({reason}); free some space") from error
    finally:
        temporary.unlink(missing_ok=True)
    kept = [final, *(path for path in _newest_first(folder) if _step(path) < step)][:KEPT]
    for path in _newest_first(folder):
        if path not in kept:
            path.unlink()
    return final


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The state of the newest sound checkpoint, or None where there is none.

    A damaged one is named on the console and passed over for the one before.
    """
    for path in _newest_first(folder):
        try:
            return _load(path, device)
        except _DamagedError as error:
            print(f"{path}: damaged ({error}); going back to the checkpoint before it", flush=True)
    return None


def load_checkpoint_of_step(folder: Path, step: int, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state of the checkpoint of this very step.

    Raises:
        UserError: there is none, or it is damaged.
    """
    paths = {_step(path): path for path in _newest_first(folder)}
    if step not in paths:
        there = ", ".join(str(known) for known in sorted(paths)) or "none"
        raise UserError(f"{folder}: holds no checkpoint of step {step}; there: {there}")
    try:
        return _load(paths[step], device)
    except _DamagedError as error:
        raise UserError(f"{paths[step]}: damaged ({error}); choose another step") from error


def read_checkpoint(path: Path) -> tuple[Path, Any]:
    """A checkpoint file, or the newest one of a folder of them, and what it holds; no other is fallen back to.

    Args:
        path: a file of any name; where its name has check digits it is verified by them.

    Raises:
        UserError: the folder holds none, or it is damaged.
        OSError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError: no file that torch.save has
            written, or it holds more than tensors and plain values.
    """
    if path.is_dir():
        newest = _newest_first(path)
        if not newest:
            raise UserError(f"{path}: holds no checkpoint")
        path = newest[0]
    if not _NAME.fullmatch(path.name):
        return path, torch.load(path, map_location="cpu", weights_only=True)
    try:
        return path, _load(path, "cpu")
    except _DamagedError as error:
        raise UserError(f"{path}: damaged ({error}); restore it, or train its run again") from error


def restore(module: torch.nn.Module, state: dict[str, Any], where: Path) -> None:
    """Load a state dict from the checkpoint of the run folder ``where``.

    Raises:
        UserError: it has other parts than ``module``.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"{where}: its checkpoint has other parts than this version of the method; use the version of scenebench "
            "that wrote it, or begin again in another folder"
        ) from error


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint, sound or not."""
    return bool(_newest_first(folder))


class _DamagedError(Exception):
    """Not what was written; the message says why."""


def _load(path: Path, device: torch.device | str) -> dict[str, Any]:
    match = _NAME.fullmatch(path.name)
    expected = match.group(2) if match else ""
    found = sha256_of(path)[:16]
    if found != expected:
        raise _DamagedError(f"SHA-256 begins {found}, its name says {expected}")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError) as error:
        raise _DamagedError(str(error).splitlines()[0]) from error
    return state


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match.group(1)) if match else -1
