"""A reproduction that is killed five times on the way ends with the tables of one that is left alone.

``make test-reproduce`` does this with every table and figure of both papers at demo size: about 80 minutes on two idle
cores. Without it a group of two small suites stands for them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from benchmarks.report.after_run import PICTURES_FOLDER, SUITES_FOLDER

WHOLE = "SCENEBENCH_REPRODUCE"
"""Environment variable that ``make test-reproduce`` sets."""
TEXTS = (".md", ".csv", ".tex")
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the jobs that are done when a kill comes."""
BUSY = "another 'scenebench run' is at work there"
TINY = ["schedule.epochs=1", "schedule.batch_size=8", "mls.dictionary_size=32", "mls.k=4", "views.crop_size=32"]


def small_group(folder: Path) -> list[str]:
    """Two suites that share a row, and one of pictures; returns the arguments of ``run``."""
    mls = {"recipe": "mls_demo", "overrides": TINY, "seconds": 8}
    probes = [
        {"protocol": "multilabel_knn", "overrides": ["settings.image_size=64", "settings.knn.k=3"]},
        {"protocol": "multilabel_linear", "overrides": ["settings.image_size=64"]},
    ]
    common = {"size": "smoke", "data": {"images": 40, "size": 64}, "references": ["colour_histogram"]}
    random = {"label": "random", "recipe": "random_demo", "seconds": 6}
    suites = {
        "mls_table7": {"backbones": [random, {**mls, "label": "paired"}], "protocols": probes},
        "mls_table8": {"backbones": [{**mls, "label": "k 4"}], "protocols": probes},
        "mls_fig4": {"backbones": [{**mls, "label": "mls"}], "pictures": ["pseudo_positives.png"], "references": []},
    }
    for name, content in suites.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**common, **content}))
    (folder / "small.yaml").write_text(yaml.safe_dump({"suites": [f"{name}.yaml" for name in suites]}))
    return [str(folder / "small.yaml")]


def start(arguments: list[str], out: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "scenebench.cli", "run", *arguments, "--out", str(out)]
    with open(log, "ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)


def done(out: Path) -> int:
    """How many outputs there are."""
    cells = out / "cells"
    return sum(1 for name in ("dataset.json", "backbone.safetensors", "record.json") for _ in cells.rglob(name))


def run_to_the_end(arguments: list[str], out: Path, log: Path) -> None:
    """Also while the jobs of a killed front end are saving still."""
    for _ in range(100):
        before = log.stat().st_size if log.is_file() else 0
        code = start(arguments, out, log).wait()
        if BUSY not in log.read_bytes()[before:].decode():
            assert code == 0, log.read_text()[-3000:]
            return
        time.sleep(2)
    pytest.fail("the killed run never let the folder go")


def kill_when(share: float, outputs: int, number: int, arguments: list[str], out: Path, log: Path) -> bool:
    """Run until that share of the outputs is there, then kill -9; returns whether there was anything to kill."""
    while True:
        process = start(arguments, out, log)
        while process.poll() is None and done(out) < share * outputs:
            time.sleep(0.1)
        if process.poll() is not None:
            if BUSY in log.read_text()[-2000:]:
                time.sleep(1)
                continue
            return False
        if number % 2:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()  # the front end alone
        process.wait()
        return True


def texts(out: Path) -> dict[str, bytes]:
    """Every table, by its path."""
    files = (path for path in (out / SUITES_FOLDER).rglob("*") if path.suffix in TEXTS and "cells" not in path.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def pictures(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in (out / SUITES_FOLDER).glob(f"*/{PICTURES_FOLDER}/*.png")}


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("what", ["small", "papers"])
def test_killed_five_times_it_ends_with_the_same_tables(what: str, tmp_path: Path) -> None:
    if (what == "papers") != bool(os.environ.get(WHOLE)):
        pytest.skip(f"{WHOLE} is {'not ' if what == 'papers' else ''}set: see 'make test-reproduce'")
    arguments = ["papers", "--size", "demo"] if what == "papers" else small_group(tmp_path)
    alone, killed, log = tmp_path / "alone", tmp_path / "killed", tmp_path / "log"
    started = time.monotonic()
    run_to_the_end(arguments, alone, log)
    seconds = time.monotonic() - started
    outputs = done(alone)
    kills = sum(
        kill_when(share, outputs, number, arguments, killed, tmp_path / "killed.log")
        for number, share in enumerate(SHARES)
    )
    assert kills == len(SHARES)
    run_to_the_end(arguments, killed, tmp_path / "killed.log")
    assert texts(killed) == texts(alone)
    assert pictures(killed) == pictures(alone)
    assert len(pictures(alone)) == (2 if what == "papers" else 1)
    assert len(texts(alone)) >= 6
    print(f"\n{outputs} outputs in {seconds / 60:.1f} minutes; killed {kills} times: {len(texts(alone))} equal files")
    if what == "papers":
        assert seconds < 90 * 60
