"""Records and gaps as one data frame, which the tables are cut from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas

from benchmarks.records.collect import ExpectedCell, Results, row_key
from benchmarks.report.table_parts import clip


def make_frame(results: Results) -> pandas.DataFrame:
    """One line a record and metric, and one a gap and metric."""
    lines = [
        {
            "data": record.dataset.name,
            "fingerprint": record.dataset.fingerprint,
            "size": record.size,
            "categories": record.dataset.categories,
            "task": record.protocol.task,
            "protocol": record.protocol.id,
            "version": record.protocol.version,
            "hash": record.protocol.hash,
            "label": record.backbone.label,
            "row": key,
            "method": record.backbone.method,
            "origin": record.backbone.origin,
            "merged": bool(record.protocol.resolved.get("data", {}).get("merge_categories", False)),
            "seed": record.seed,
            "metric": metric,
            "value": value,
            "record": record.content_hash,
            "reason": None,
        }
        for record, key in ((r, results.row_keys.get(r.content_hash) or row_key(r)) for r in results.records)
        for metric, value in record.metrics.items()
    ]
    frame = pandas.DataFrame(lines + [line for gap in results.gaps for line in _gap_lines(gap, lines)])
    # Rows of one label that are not of one recipe keep apart, and their names say that they differ.
    variants = frame.groupby("label")["row"].transform("nunique")
    names = frame["label"].map(clip)
    frame["name"] = names.where(variants == 1, names + " [" + frame["row"].str[:4] + "]")
    return frame


def _gap_lines(gap: ExpectedCell, lines: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """A gap as lines; what it does not know (data, version of the protocol) is taken from the suite's other cells."""
    column = next((line for line in lines if line["protocol"] == gap.protocol), None)
    row = next((line for line in lines if line["label"] == gap.label), None)
    anywhere = lines[0] if lines else {"data": "no data yet", "fingerprint": "", "size": "", "categories": 0}
    shared = {key: anywhere[key] for key in ("data", "fingerprint", "size", "categories")}
    for metric in gap.metrics:
        yield shared | {
            "task": gap.task,
            "protocol": gap.protocol,
            "version": column["version"] if column else 0,
            "hash": column["hash"] if column else "",
            "merged": bool(column and column["merged"]),
            "label": gap.label,
            "row": row["row"] if row else gap.label,
            "method": row["method"] if row else "",
            "origin": "reference" if gap.is_reference else (row["origin"] if row else "own"),
            "seed": gap.seed,
            "metric": metric,
            "value": None,
            "record": None,
            "reason": gap.reason,
        }
