"""What a command may write over: never its own input, never a file that is not its own unless the user says so."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from scenebench.errors import UserError

OPTION = "--overwrite"


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite`` (``args.overwrite``) to a command that writes where the user says."""
    parser.add_argument(
        OPTION, action="store_true", help="replace files that stand there already (never the command's own input)"
    )


def refuse_to_replace(
    output: Path | str,
    inputs: Iterable[Path | str] = (),
    *,
    overwrite: bool = False,
    is_ours: Callable[[Path], bool] | None = None,
) -> None:
    """Raise unless ``output`` may be written: called before a command works, so that nothing is half done.

    Args:
        output: one file to be written; its folder need not exist.
        inputs: what the command reads. None of them is replaced, by whatever name it goes (``./``, links of both
            kinds), also not with ``overwrite``.
        overwrite: whether the user gave ``--overwrite``.
        is_ours: whether an existing file may go without asking, because nothing of the user's is lost with it: it is
            what the command is about to write, or what it wrote earlier and nobody changed. Without it, none may.

    Raises:
        UserError: naming the file, and ``--overwrite`` where that helps.
    """
    output = Path(output)
    for file in inputs:
        if same_file(output, file):
            name = "the input itself" if Path(file) == output else f"the same file as the input {file}"
            raise UserError(f"{output}: is {name}, which is never replaced; choose another name")
    if not os.path.lexists(output):
        return
    if output.is_dir():
        raise UserError(f"{output}: is a folder; name a file")
    if output.exists() and not output.is_file():
        raise UserError(f"{output}: is no regular file; choose another name")
    if overwrite or (is_ours is not None and not output.is_symlink() and is_ours(output)):
        return
    raise UserError(f"{output}: exists already and would be lost; choose another name, or replace it with {OPTION}")


def same_file(first: Path | str, second: Path | str) -> bool:
    """Whether two names lead to one file (links of both kinds, ``./``, ``..``); not where one of them is not there."""
    try:
        return Path(first).samefile(second)
    except OSError:
        return False
