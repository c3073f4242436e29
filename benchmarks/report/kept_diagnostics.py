"""Diagnostics of a suite's pretraining runs as they are kept: ``about.json``, and of each kind one CSV for all runs.

``about.json`` holds what each run says of itself by its name; a line of a CSV begins with the run's name. A folder a
run, as a run leaves its diagnostics, is read as well.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.diagnostics.files import ABOUT, parse_rows
from scenebench.errors import UserError

RUN = "run"


@dataclass(frozen=True)
class KeptRun:
    """What a run says of itself, and the text of its CSV files by name."""

    about: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)

    def rows(self, name: str) -> list[dict[str, float]]:
        """The lines of a file; empty where the run has none."""
        return parse_rows(io.StringIO(self.texts.get(name, "")))


def read_kept(folder: Path) -> dict[str, KeptRun]:
    """Every run below a folder by its name; none where there are none.

    Raises:
        UserError: a damaged file.
    """
    runs: dict[str, KeptRun] = {}
    for path in sorted(folder.rglob(ABOUT)):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(path.parent.glob("*.csv"))}
            if isinstance(about.get("method"), str):
                runs[path.parent.name] = KeptRun(about, texts)
            else:
                runs |= {name: KeptRun(dict(one), _of_run(name, texts)) for name, one in about.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: is damaged ({error}); publish its run again") from error
    return runs


def kept_texts(folder: Path, runs: Mapping[str, KeptRun]) -> dict[Path, str]:
    """The files that hold the runs in ``folder``, and their texts.

    Raises:
        UserError: a file of one run has other columns than that of another.
    """
    if not runs:
        return {}
    about = {name: runs[name].about for name in sorted(runs)}
    texts = {folder / ABOUT: json.dumps(about, indent=1, sort_keys=True) + "\n"}
    for file in sorted({file for run in runs.values() for file in run.texts}):
        heads, lines = set(), []
        for name in sorted(runs):
            head, *rows = runs[name].texts.get(file, "").splitlines() or [""]
            heads |= {head} - {""}
            lines += [f"{name},{row}\n" for row in rows]
        if len(heads) != 1:
            raise UserError(f"{folder / file}: runs of different columns ({' | '.join(sorted(heads))})")
        texts[folder / file] = f"{RUN},{heads.pop()}\n{''.join(lines)}"
    return texts


def _of_run(name: str, texts: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for file, text in texts.items():
        head, *lines = text.splitlines()
        own = [line.partition(",")[2] for line in lines if line.startswith(f"{name},")]
        if own:
            found[file] = "\n".join([head.partition(",")[2], *own]) + "\n"
    return found
