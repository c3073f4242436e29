"""``make bench-leaderboard``: how long a leaderboard of many records takes to build, to sort and to filter."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "benchmarks" / "report"))

from many_records import many_records, write_many  # noqa: E402

from benchmarks.evaluation.environment import describe_environment  # noqa: E402
from scenebench.files import write_text  # noqa: E402

BUILD_LIMIT_S, ACTION_LIMIT_MS = 10.0, 100.0


def measure(number: int) -> dict[str, object]:
    """Build by the command line, in a process of its own, then open the page in Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        records = write_many(Path(folder) / "records", many_records(number))
        board = Path(folder) / "board"
        start, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, "-m", "scenebench.cli", "leaderboard", records, "--out", board], check=True)
        wall, after = time.perf_counter() - start, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        command = ["node", str(HERE / "bench.mjs")]
        done = subprocess.run(
            command, env=os.environ | {"BOARD": str(board)}, check=True, capture_output=True, text=True
        )
    load = os.getloadavg()[0]
    return {"records": number, "build_s": wall, "build_cpu_s": cpu, "load_average": load, **json.loads(done.stdout)}


def to_markdown(result: dict[str, object]) -> str:
    """The numbers as a page."""
    # JSON has no 18.0: whole milliseconds come as integers.
    shown = {name: value for name, value in result.items() if name.endswith(("_s", "_ms", "_average"))}
    lines = [f"| {name} | {value:.1f} |" for name, value in shown.items()]
    head = "# Speed of the leaderboard\n\n"
    head += f"Measured on {result['date']}: {result['machine']}; {result['records']} records.\n"
    limits = f"Wanted: build_s below {BUILD_LIMIT_S:.0f}, sorting and filtering below {ACTION_LIMIT_MS:.0f} ms.\n"
    note = "build_s counts all of the command, its imports too; on a machine that others use, build_cpu_s says more.\n"
    return "\n".join([head, limits + note, "| what | value |", "|---|---|", *lines]) + "\n"


def main() -> int:
    """Write ``leaderboard.json`` and ``leaderboard.md``; 1 where a limit is not held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    arguments = parser.parse_args()
    environment = describe_environment()
    machine = f"{environment.processor}, {os.cpu_count()} cores"
    result = {"date": str(datetime.date.today()), "machine": machine, **measure(arguments.records)}
    write_text(arguments.out / "leaderboard.json", json.dumps(result, indent=1) + "\n")
    write_text(arguments.out / "leaderboard.md", to_markdown(result))
    print(to_markdown(result))
    actions = [value for name, value in result.items() if name.startswith(("sort", "filter"))]
    is_quick = all(isinstance(value, (int, float)) and value < ACTION_LIMIT_MS for value in actions)
    return 0 if is_quick and float(str(result["build_s"])) < BUILD_LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
