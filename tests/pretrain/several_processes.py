"""Several processes that know of one another, as torchrun starts them, and pretraining runs in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN_SCRIPT = """
import json, sys
from pretrain.recipes.recipe import load_recipe
from pretrain.train import pretrain
for out, recipe, overrides in json.load(open(sys.argv[1])):
    pretrain(load_recipe(recipe, overrides), out)
"""


def launch(processes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run python with ``arguments`` in so many processes that know of one another."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, errors = process.communicate(timeout=240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the launcher's children too
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def train_in(
    processes: int, folder: Path, jobs: list[tuple[Path, str, list[str]]], before: str = ""
) -> subprocess.CompletedProcess[str]:
    """One run (its folder, recipe and overrides) after the other, in processes that are started once, after the
    lines of ``before``."""
    (folder / "train.py").write_text(before + TRAIN_SCRIPT)
    (folder / "jobs.json").write_text(json.dumps([(str(out), *rest) for out, *rest in jobs]))
    return launch(processes, str(folder / "train.py"), str(folder / "jobs.json"))
