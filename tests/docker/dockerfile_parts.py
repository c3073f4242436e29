"""A Dockerfile and a .dockerignore as the tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCKER = Path(__file__).resolve().parents[2] / "docker"


@dataclass(frozen=True)
class Instruction:
    """One instruction: its stage (0 is what stands before the first FROM), its name, and the rest on one line."""

    stage: int
    name: str
    rest: str


def read_dockerfile(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, with continued lines joined and comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    instructions, stage = [], 0
    for line in joined.splitlines():
        name, _, rest = line.strip().partition(" ")
        stage += name == "FROM"
        instructions.append(Instruction(stage, name, rest.strip()))
    return instructions


def let_through(ignore: str, path: str) -> bool:
    """Whether a .dockerignore that begins with ``*`` lets ``path`` into the build: the last matching line decides."""
    allowed = True
    for line in ignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if _matches(pattern.removeprefix("!"), path):
            allowed = pattern.startswith("!")
    return allowed


def _matches(pattern: str, path: str) -> bool:
    expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(f"{expression}(?:/.*)?", path) is not None
