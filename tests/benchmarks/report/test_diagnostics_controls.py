"""A diagnostic that measured its own control beside a method shows it as a row."""

from __future__ import annotations

import math

from benchmarks.report.diagnostics_table import DiagnosedRow, diagnostics_table

PLAIN = {"epoch": 1.0, "k": 5.0, "precision": 0.4, "chance_precision": 0.3, "recall": 0.1, "chance_recall": 0.05}


def table(*lines: dict[str, float]) -> list[str]:
    runs = {seed: [line] for seed, line in enumerate(lines)}
    return diagnostics_table([DiagnosedRow("mls", "mls", runs, k=5)], "mls").splitlines()


def test_labels_known_is_a_row_under_the_method() -> None:
    known = {"oracle_precision": 0.9, "oracle_recall": 0.5}
    *_, own, control = table({**PLAIN, **known}, {**PLAIN, **known})
    assert own.startswith("| mls | 5 | 0.400 ± 0.000 (2) |")
    assert control == "| mls: labels known (control) | 5 | 0.900 ± 0.000 (2) | – | 0.500 ± 0.000 (2) | – |"


def test_runs_that_did_not_measure_it_have_no_such_row() -> None:
    assert not any("control" in line for line in table(PLAIN))
    assert not any("control" in line for line in table({**PLAIN, "oracle_precision": math.nan}))
    (control,) = [one for one in table(PLAIN, {**PLAIN, "oracle_precision": 0.9}) if "control" in one]
    assert "| 0.900 (1) |" in control
