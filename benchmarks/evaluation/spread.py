"""How far the metrics of one protocol lie apart when nothing changes: same backbone, data, seed and device.

On a CPU the answer is 0, to the bit. On a GPU some sums are taken in any order, and the spread is a floor under every
difference between two backbones.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import Protocol
from scenebench.errors import UserError


def measure_spread(
    backbone: Path | str, protocol: Protocol, data: Path | str, seed: int, runs: int, out: Path, size: str = ""
) -> dict[str, Any]:
    """Run ``protocol`` ``runs`` times into ``out/run_1`` and so on (finished runs are read, not repeated).

    Returns:
        Plain data: where, the values of every metric by run, and for each its mean, standard deviation and the distance
        between lowest and highest; None where a run left the metric undefined.

    Raises:
        UserError: fewer than two runs, or whatever ``evaluate`` raises.
    """
    if runs < 2:
        raise UserError(f"--runs: {runs} is below 2; one run has no spread")
    records = [
        evaluate(backbone, protocol, data, seed, out / f"run_{number}", size=size) for number in range(1, runs + 1)
    ]
    first = records[0]
    values = {name: [record.metrics[name] for record in records] for name in first.metrics}
    return {
        "what": "spread of equal runs",
        "protocol": f"{protocol.id} ({protocol.hash})",
        "backbone": first.backbone.label,
        "data": f"{first.dataset.name} ({first.dataset.fingerprint})",
        "seed": seed,
        "runs": runs,
        "device": first.environment.accelerator or first.environment.processor,
        "on_a_gpu": bool(first.environment.accelerator),
        "packages": first.environment.packages,
        "metrics": {name: {"values": own, **_spread_of(own)} for name, own in values.items()},
    }


def render(result: Mapping[str, Any]) -> str:
    """A page in Markdown."""
    lines = [
        f"# Spread of {result['protocol']}",
        "",
        f"{result['runs']} runs of {result['backbone']} on {result['data']}, seed {result['seed']} in all, on "
        f"{'one GPU: ' if result['on_a_gpu'] else 'the CPU: '}{result['device']}.",
        "",
        "| metric | mean | standard deviation | lowest to highest |",
        "|---|---|---|---|",
    ]
    for name, found in result["metrics"].items():
        cells = ["undefined" if found[key] is None else f"{found[key]:.6g}" for key in ("mean", "std", "range")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _spread_of(values: list[float | None]) -> dict[str, float | None]:
    defined = [value for value in values if value is not None]
    if len(defined) != len(values):
        return {"mean": None, "std": None, "range": None}
    equal = len(set(defined)) == 1  # then 0, and not what rounding makes of the mean
    return {
        "mean": defined[0] if equal else statistics.fmean(defined),
        "std": 0.0 if equal else statistics.stdev(defined),
        "range": max(defined) - min(defined),
    }
