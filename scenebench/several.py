"""Several commands of scenebench in one process, which starts once: ``python -m scenebench.several A + B``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from benchmarks.workflow.plan import THEN
from scenebench.cli import main as scenebench


def main(words: Sequence[str]) -> int:
    """Run every command (its words without ``scenebench``), also after one that failed; returns the first bad code."""
    failed: dict[str, int] = {}
    for command in split(words):
        try:
            code = scenebench(command)
        except Exception:  # noqa: BLE001 - this command's own: it is said, and the others are run
            traceback.print_exc()
            code = 1
        if code:
            failed[" ".join(command[:4])] = code
    if failed:
        says = "; ".join(f"'{name} ...' ended with exit code {code}" for name, code in failed.items())
        print(f"{says} (its own words are above)", file=sys.stderr, flush=True)
    return next(iter(failed.values()), 0)


def split(words: Sequence[str]) -> list[list[str]]:
    """The command lines between the words :data:`THEN`, each without its first word where that is ``scenebench``."""
    commands: list[list[str]] = [[]]
    for word in words:
        if word == THEN:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command[1:] if command[:1] == ["scenebench"] else command for command in commands]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
