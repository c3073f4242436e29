"""The page on all protocols, written from their files and from the published values: ``docs/protocols.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.datasets.registry import describe
from benchmarks.protocols.protocol import (
    Protocol,
    PublishedRows,
    list_protocols,
    load_protocol,
)
from benchmarks.published.values import PublishedValue, read_published

_TASKS = {
    "detection": "Detection",
    "segmentation": "Segmentation",
    "classification": "Classification",
    "dense": "Objects and regions by frozen features",
}
_HEAD = """\
# Protocols

How a backbone is judged. Each protocol is one file, `benchmarks/protocols/ID.yaml`; `scenebench protocol page` makes
this page of those files and of `benchmarks/published/*.csv`, and a test compares the two. What a paper leaves open is
said under *Left open*, with what was taken. Published values are for comparison; a tolerance is the distance in percent
points at which a result counts as reproduced. It is ours: no paper here prints a spread, and MoCo's released code
states a standard deviation of 0.2 to 0.4 for VOC detection.

The commands:

```sh
scenebench protocol list
scenebench protocol show mask_rcnn_r50_fpn_1x
scenebench protocol show mask_rcnn_r50_fpn_1x --toolbox
scenebench protocol show pspnet_r50_d8_40k --out configs/pspnet
```

`--toolbox` prints the configuration that the toolbox gets, key by key, and needs no data; `--out` writes it beside the
protocol. A run takes the official layout of the data set (see [data sets](data-sets.md)):

```
scenebench evaluate backbone.safetensors --protocol mask_rcnn_r50_fpn_1x --data data/coco --out results/coco
scenebench evaluate backbone.safetensors --protocol pspnet_r50_d8_40k --data data/city --out results/city --size demo
```

`--size demo` takes the values of the file's section `sizes.demo`: the same code on a CPU in seconds or minutes. Numbers
of that size mean nothing but that everything runs. On the CPU equal seeds give equal metrics, bit for bit; on a GPU
they do not, since some sums are taken in any order there. How far they lie apart has not been measured: no GPU was at
hand. `spread` measures it, by runs that differ in nothing (on a CPU it says 0, and a test holds it to that):

```
scenebench spread backbone.safetensors --protocol mask_rcnn_r50_fpn_1x --data data/coco --out results/spread --runs 5
```

COCO's numbers are pycocotools'. `settings.evaluator=faster_coco_eval` gives the same ones in a fraction of the time (a
test compares all of them to 1e-10), and the record says so; protocols with published values refuse it.

Features of frozen backbones are computed once and kept below `~/.cache/scenebench/features`, or in the folder that
`SCENEBENCH_FEATURES` names; they can be deleted at any time. Feature maps, which the object probes of one backbone
share ([object probes](object-probes.md)), lie in its folder `maps`: at most 1 GiB a split, for larger ones are made
again for each probe, and 4 GiB together, for the ones used longest ago go first.

Training of a classifier that was killed goes on, by the same command, from the last epoch that was kept (at most one a
minute, in the run's folder `resume/`, which is gone when the record is
written), and gives the same bits.
"""


def protocol_page() -> str:
    """The page as Markdown."""
    protocols = [load_protocol(name) for name in list_protocols()]
    values = read_published()
    parts = [_HEAD, _overview(protocols)]
    for task, title in _TASKS.items():
        own = [protocol for protocol in protocols if protocol.task == task]
        if own:
            parts.append(f"## {title}\n")
            parts.extend("\n".join(_section(protocol, values)) for protocol in own)
    return "\n".join(parts)


def published_values(protocol: Protocol, values: Sequence[PublishedValue]) -> list[PublishedValue]:
    """The published values that a protocol names, in the order of its ``published``."""
    return [value for rows in protocol.published for value in values if is_of(value, rows, protocol)]


def is_of(value: PublishedValue, rows: PublishedRows, protocol: Protocol) -> bool:
    """Whether ``value`` is one of ``rows``, which ``protocol`` names."""
    named = (rows.table, rows.protocol or protocol.id, rows.task or value.task)
    return (value.table, value.protocol, value.task) == named


def _overview(protocols: Sequence[Protocol]) -> str:
    lines = ["| id | version | toolbox | data | metrics | runs |", "|---|---|---|---|---|---|"]
    for protocol in protocols:
        cells = [f"`{protocol.id}`", str(protocol.version), protocol.toolbox, _data(protocol)]
        cells += [", ".join(protocol.metrics), str(len(protocol.seeds))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _section(protocol: Protocol, values: Sequence[PublishedValue]) -> Iterator[str]:
    yield f"### {protocol.title}\n"
    yield f"`{protocol.id}`, version {protocol.version}. {protocol.description.strip()}\n"
    yield from _list("Left open", protocol.ambiguities)
    yield from _list("To know", protocol.notes)
    yield from _published(protocol, values)


def _list(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield f"*{title}.*\n"
        yield from (f"- {' '.join(text.split())}" for text in texts)
        yield ""


def _published(protocol: Protocol, values: Sequence[PublishedValue]) -> Iterator[str]:
    """One table for each group of rows, with what is odd about them as footnotes."""
    for rows in protocol.published:
        own = [value for value in values if is_of(value, rows, protocol)]
        if not own:
            continue
        tolerance = "" if rows.tolerance is None else f" Tolerance {rows.tolerance:g}."
        remark = f" ({rows.note})" if rows.note else ""
        yield f"Published: {own[0].source}{remark}.{tolerance}\n"
        yield from _table(own)


def _table(values: Sequence[PublishedValue]) -> Iterator[str]:
    metrics = list(dict.fromkeys((value.task, value.metric) for value in values))
    tasks = {task for task, _ in metrics}
    heads = [metric if len(tasks) == 1 else f"{task}: {metric}" for task, metric in metrics]
    notes = list(dict.fromkeys(note for value in values for note in value.notes))
    general = [note for note in notes if all(note in value.notes for value in values)]
    numbered = [note for note in notes if note not in general]
    rows: dict[tuple[str, str, int | None], dict[tuple[str, str], PublishedValue]] = {}
    for value in values:
        row = rows.setdefault((value.method, value.pretrain_data, value.pretrain_epochs), {})
        row[value.task, value.metric] = value
    yield f"| method | pretrained on | epochs | {' | '.join(heads)} |"
    yield "|---" * (3 + len(heads)) + "|"
    for (method, data, epochs), found in rows.items():
        cells = [_cell(found.get(metric), numbered) for metric in metrics]
        yield f"| {method} | {data or '–'} | {'–' if epochs is None else epochs} | {' | '.join(cells)} |"
    yield ""
    yield from (f"{index}. {note}" for index, note in enumerate(numbered, start=1))
    if numbered:
        yield ""
    yield from (f"{note}\n" for note in general)


def _cell(value: PublishedValue | None, notes: Sequence[str]) -> str:
    if value is None:
        return "–"
    marks = ",".join(str(notes.index(note) + 1) for note in value.notes if note in notes)
    return f"{value.value:g}" + (f" <sup>{marks}</sup>" if marks else "")


def _data(protocol: Protocol) -> str:
    name = protocol.data.dataset
    return describe(name).title if name else "any prepared data set"
