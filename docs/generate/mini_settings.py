"""The page on how mini's settings were chosen, written from the records of the suite ``mini_search``.

python -m docs.generate.mini_settings results docs/mini-settings.md
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.datasets.scenes import TIES
from benchmarks.records.collect import collect
from benchmarks.records.places import place_named
from benchmarks.records.record import Record
from benchmarks.report.markdown import markdown_lines
from benchmarks.report.publish import RECORDS
from benchmarks.report.table import Cell, Column, Row, Table, text_table
from benchmarks.suites.suite import load_suite
from pretrain.recipes.recipe import load_recipe
from scenebench.errors import UserError
from scenebench.exit_codes import exit_code
from scenebench.files import write_text

SUITE, FROZEN = "mini_search", "mini"
PROBES = {"multilabel_linear": ("linear probe", "mAP"), "region_linear": ("objects, linear probe", "object_acc")}
"""By protocol: the head of its column, and its metric."""
STANDING = {"byol": 4e-3, "saliency": 4e-3}
"""The rates that stand where they are not those of the demo recipes: version 1's."""
MARGIN = 1.0
"""A rate is left only for one that is better by more than this in the mean of the probes; set before the search."""
_HEAD = """\
# Settings of mini

`make tables` writes this page from the records of the suite `mini_search`, and a test compares the two.

**mini, version 2**, is frozen as below. A change of any of these makes it version 3.

"""
_RULE = f"""\
## What was tried

Learning rates, nine epochs, one seed; each backbone evaluated on the *validation* split of scenes of seed 11, whose
cues are as strong as mini's, by the linear probe and by that of objects in boxes (L2 fixed, so that nothing is chosen
on the split). Neither the test split nor the scenes of seed 7, which mini tests on, are read. The rule, set beforehand:
a method keeps its rate, 2e-3 or for BYOL and saliency 4e-3, unless another is better by more than {MARGIN:g} point in
the mean of both probes. One seed tells a rate that is far off, and no more.

"""
_NOT_RUN = """\
Nothing yet: the search is ready and has not been run, so version 2 keeps the rates that stood, each with its reason in
`pretrain/recipes/*_demo.yaml`. To run it, and write this page anew (about an hour and a half on one core):

```
scenebench run mini_search --out results/mini_search
scenebench records publish results/mini_search --to results
make tables
```
"""


def search_page(results: Path) -> str:
    """The page, from the records under ``results/records/mini_search.jsonl``, if there are any.

    Raises:
        UserError: a damaged record, or one that a cell of the page needs and that is missing.
    """
    text = _HEAD + _frozen() + "\n" + _RULE
    place = place_named(results / RECORDS / SUITE)
    if not place.exists():
        return text + _NOT_RUN
    values = _values(collect(place).records)
    random = values.pop("random", {})
    head = ["method", "learning rate", *(name for name, _ in PROBES.values()), "mean", ""]
    rows = [_texts("random", "", next(iter(random.values())), "")] if random else []
    for method, by_rate in values.items():
        kept = chosen_rate(by_rate, STANDING.get(method, load_recipe(f"{method}_demo").optimiser.lr))
        rows += [
            _texts(method, f"{rate:g}", found, "taken" if rate == kept else "")
            for rate, found in sorted(by_rate.items())
        ]
    return text + "\n".join(markdown_lines(text_table(head, rows), is_padded=False)) + "\n"


def chosen_rate(by_rate: Mapping[float, Sequence[float]], standing: float) -> float:
    """The rule of :data:`MARGIN`.

    Args:
        by_rate: learning rate -> value of each probe.
        standing: the rate that stands.
    """
    means = {rate: math.fsum(found) / len(found) for rate, found in by_rate.items()}
    if standing not in means:
        raise UserError(f"{SUITE}: the standing rate {standing:g} was not tried; run the suite to its end")
    best = max(means, key=lambda rate: (means[rate], -rate))
    return best if means[best] > means[standing] + MARGIN else standing


def _values(records: Sequence[Record]) -> dict[str, dict[float, list[float]]]:
    """Method -> learning rate -> value of each probe, all of the validation split."""
    found: dict[str, dict[float, dict[str, float]]] = {}
    for record in records:
        if record.dataset.test_split != "val":
            raise UserError(f"{SUITE}: a record of split '{record.dataset.test_split}' is among those of the search")
        method = record.backbone.label.split()[0]
        rate = float(record.backbone.recipe["optimiser"]["lr"])
        value = record.metrics.get(PROBES[record.protocol.id][1]) if record.protocol.id in PROBES else None
        if value is not None:
            found.setdefault(method, {}).setdefault(rate, {})[record.protocol.id] = value
    values: dict[str, dict[float, list[float]]] = {}
    for method, by_rate in found.items():
        for rate, by_probe in by_rate.items():
            missing = [probe for probe in PROBES if probe not in by_probe]
            if missing:
                raise UserError(
                    f"{SUITE}: {method} at {rate:g} has no record of {missing[0]}; run the suite to its end"
                )
            values.setdefault(method, {})[rate] = [by_probe[probe] for probe in PROBES]
    return values


def _frozen() -> str:
    """The settings of the suite as it stands, from its file and the recipes."""
    head = ["row", "recipe", "learning rate", "weight decay", "epochs", "batch", "labels"]
    rows = []
    for row in load_suite(FROZEN).backbones:
        recipe = load_recipe(row.recipe, [one for one in row.overrides if not one.startswith("diagnostics.")])
        optimiser, schedule = recipe.optimiser, recipe.schedule
        values = ["", "", "0", "", ""]
        if recipe.method != "random_init":
            values = [
                f"{optimiser.lr:g}",
                f"{optimiser.weight_decay:g}",
                f"{schedule.epochs}",
                f"{schedule.batch_size}",
            ]
            values.append("learns from them" if recipe.reads_labels() else "diagnostics only" if row.labels else "")
        rows.append(Row(cells=(Cell(row.label), Cell(row.recipe, emphasis="code"), *map(Cell, values))))
    table = Table("", tuple(Column(name) for name in head), tuple(rows))
    return "\n".join(markdown_lines(table, is_padded=False)) + "\n\n" + _scenes()


def _scenes() -> str:
    """The suite's scenes in a line."""
    data = load_suite(FROZEN).data
    strengths = ", ".join(f"{key} {getattr(data, key):g}" for key in (*TIES, "tail"))
    return (
        f"Scenes: {data.images:,} of {data.size} px, version {data.version}, seed {data.seed}; {strengths}; radii "
        f"{data.scale_min:g} to {data.scale_max:g} of the side.\n"
    )


def _texts(method: str, rate: str, found: Sequence[float], mark: str) -> list[str]:
    return [method, rate, *(f"{value:.1f}" for value in [*found, math.fsum(found) / len(found)]), mark]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write the page on mini's settings.")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="the folder that holds records/")
    parser.add_argument("page", type=Path, metavar="PAGE", help="the Markdown file to write")
    arguments = parser.parse_args(argv)

    def command() -> None:
        write_text(arguments.page, search_page(arguments.results))
        print(arguments.page)

    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
