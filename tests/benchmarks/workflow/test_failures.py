"""Cells that crash, are killed, run out of memory or disk, or write garbage: the rest goes on, and the tables mend."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fake_jobs import ledger
from made_up_records import make_record

from benchmarks.records.record import write_record
from benchmarks.report.after_run import write_expected_cells
from benchmarks.report.run_report import build_report
from benchmarks.workflow.damage import damage_of
from benchmarks.workflow.engine import Outcome
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.plan import PLAN_FILE, Job, Plan
from benchmarks.workflow.runner import run_plan
from benchmarks.workflow.status import read_status, status_lines
from benchmarks.workflow.status_page import write_page
from scenebench.locking import only_process

MISHAPS = {
    "crash": "ValueError: made to fail",
    "kill": "killed by SIGKILL (out of memory?)",
    "memory": "MemoryError",
    "disk": "OSError: [Errno 27] File too large",
    "garbage": "wrote garbage: cells/evaluate/garbage/record.json: is not a record (kept as record.json.damaged)",
}
# Copies its record from the folder of truths, unless a mishap is laid out for it.
CELL = """
import os, pathlib, resource, signal, sys
name, output, truth = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
mishap = pathlib.Path("mishaps", name)
with open("ledger.txt", "a") as file:
    file.write(f"{name} start\\n")
print("working on", name, flush=True)
text = truth.read_text()
if mishap.exists():
    if name == "crash":
        raise ValueError("made to fail")
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))
        bytearray(2_000_000_000)
    if name == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # the log has room, the output has not
        text *= 100
    if name == "garbage":
        text = "\\0garbage"
part = output.with_name(output.name + ".part")
with open(part, "w") as file:
    file.write(text)
part.rename(output)
"""


def cells(folder: Path) -> Plan:
    """A cell for each mishap and two that nothing happens to; ``after`` needs a pretraining that is cut short."""
    script = folder / "cell.py"
    script.write_text(CELL)
    jobs = []
    names = [*MISHAPS, "well", "after"]
    for number, name in enumerate(names):
        record = f"cells/evaluate/{name}/record.json"
        write_record(folder / f"{name}.json", make_record(name, seed=0, metrics={"mAP": 10.0 + number}))
        cell = {"label": name, "protocol": "multilabel_knn", "task": "classification", "metrics": ["mAP"], "seed": 0}
        command = [sys.executable, str(script), name, record, str(folder / f"{name}.json")]
        log, cell = f"logs/evaluate/{name}.log", {**cell, "is_reference": False, "record": record}
        jobs.append(Job(f"cells/evaluate/{name}", "evaluate", name, command, [], [record], log, 1.0, cell=cell))
    weights = "cells/pretrain/short/backbone.safetensors"
    (folder / "whole.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    command = [sys.executable, str(script), "short", weights, str(folder / "whole.safetensors")]
    short = Job("cells/pretrain/short", "pretrain", "short", command, [], [weights], "logs/short.log", 1.0)
    jobs[-1] = replace(jobs[-1], inputs=[weights])
    return Plan("fake", "demo", "Fake", "well", names, ["multilabel_knn"], [short, *jobs])


def run(plan: Plan, out: Path) -> Outcome:
    plan.write(out / PLAN_FILE)
    with only_process(out) as lock:
        return run_plan(plan, out, EngineOptions(), lock)


def tables(plan: Plan, out: Path) -> dict[str, bytes]:
    write_expected_cells(plan, out)
    build_report(out)
    return {path.name: path.read_bytes() for path in (out / "tables").iterdir() if path.suffix != ".png"}


def test_every_mishap_is_said_mended_and_leaves_no_trace_in_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = cells(tmp_path)
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "out"
    undisturbed.mkdir()
    (out / "mishaps").mkdir(parents=True)
    assert run(plan, undisturbed) == Outcome({})
    for name in MISHAPS:
        (out / "mishaps" / name).touch()
    cut = tmp_path / "whole.safetensors"
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-1])  # as the pretraining will leave it

    outcome = run(plan, out)
    short = "wrote garbage: cells/pretrain/short/backbone.safetensors: is not a safetensors file, or was cut short"
    assert {name.rpartition("/")[2]: reason for name, reason in outcome.failed.items()} == {
        **MISHAPS,
        "short": f"{short} (kept as backbone.safetensors.damaged)",
    }
    assert (out / "cells/evaluate/well/record.json").is_file(), "the rest goes on"
    table = tables(plan, out)["tables.md"].decode()
    for name, reason in MISHAPS.items():
        assert f"failed: {reason} (log: logs/evaluate/{name}.log)" in table
    assert "(log: logs/short.log)" in table, "a cell behind a failure names its cause"
    status = read_status(out, 0.0)
    assert (status.count("done"), status.count("failed"), status.count("blocked")) == (1, 6, 1)
    assert "  failed   crash: ValueError: made to fail" in status_lines(status)
    assert "made to fail" in write_page(out, 0.0).read_text()
    assert "| working on memory" not in capsys.readouterr().err

    for name in MISHAPS:
        (out / "mishaps" / name).unlink()
    cut.write_bytes(whole)
    before = len(ledger(out))
    assert run(plan, out) == Outcome({})
    assert sorted(line.split()[0] for line in ledger(out)[before:]) == sorted([*MISHAPS, "short", "after"])
    assert tables(plan, out) == tables(plan, undisturbed)
    assert read_status(out, 0.0).count("done") == len(plan.jobs)


def test_a_record_that_was_damaged_later_is_set_aside_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = cells(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    assert run(plan, out) == Outcome({})
    first = tables(plan, out)
    record = out / "cells/evaluate/well/record.json"
    record.write_text(record.read_text().replace("15.0", "95.0"))
    before = len(ledger(out))
    assert run(plan, out) == Outcome({})
    shown = capsys.readouterr().out
    assert "damaged, made again: cells/evaluate/well/record.json: its content hash disagrees with its content" in shown
    assert [line.split()[0] for line in ledger(out)[before:]] == ["well"]
    assert "95.0" in (record.parent / "record.json.damaged").read_text()
    assert tables(plan, out) == first


@contextmanager
def tiny_disk(folder: Path) -> Iterator[None]:
    """A file system of 64 KiB at ``folder`` (root only; skips where none can be mounted)."""
    folder.mkdir(parents=True)
    mount = shutil.which("mount")
    if os.geteuid() or mount is None:
        pytest.skip("only root mounts a file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    plan = cells(tmp_path)
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    undisturbed.mkdir()
    assert run(plan, undisturbed) == Outcome({})
    with tiny_disk(out / "cells/evaluate/well"):
        (out / "cells/evaluate/well/other.bin").write_bytes(bytes(64 * 1024))
        failed = run(plan, out).failed
        assert failed == {"cells/evaluate/well": "OSError: [Errno 28] No space left on device"}
    assert "No space left on device (log: logs/evaluate/well.log)" in tables(plan, out)["tables.md"].decode()
    before = len(ledger(out))
    assert run(plan, out) == Outcome({})
    assert [line.split()[0] for line in ledger(out)[before:]] == ["well"]
    assert tables(plan, out) == tables(plan, undisturbed)


def test_what_counts_as_damaged(tmp_path: Path) -> None:
    header = json.dumps(
        {"__metadata__": {"a": "b"}, "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    ).encode()
    whole = struct.pack("<Q", len(header)) + header + bytes(8)
    file = tmp_path / "backbone.safetensors"
    expected = {whole: "", whole[:-1]: "was cut short", whole + b"x": "was cut short", b"": "is not a safetensors file"}
    for content, reason in {**expected, struct.pack("<Q", 4) + b"nope": "has no readable header"}.items():
        file.write_bytes(content)
        assert damage_of(file).startswith(reason)
        assert bool(damage_of(file)) == bool(reason)
    other = tmp_path / "record.json"
    other.write_text(json.dumps({"schema_version": 999}))
    assert damage_of(other) == "", "another version is not damage, and nothing to remove"
    (tmp_path / "notes.txt").write_text("anything")
    assert damage_of(tmp_path / "notes.txt") == ""
