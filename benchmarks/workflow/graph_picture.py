"""A picture of the graph: data, a box for each pretrained row and each protocol, the tables; a box counts its seeds.

``snakemake --dag`` and ``--rulegraph`` print a node a job, hundreds here, as text that another program must draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.workflow.plan import Job
from benchmarks.workflow.status import protocols_of
from benchmarks.workflow.work import Work
from scenebench.files import replacing

_DONE, _PART, _TO_DO = "#c8e6c9", "#fff3c4", "#eceff1"
_COLUMNS = ("data", "pretrain", "evaluate", "tables")


@dataclass
class Box:
    """One box: its text, the column it stands in, and how many of its jobs are done."""

    text: str
    column: str
    done: int
    total: int


def draw_graph(work: Work, out: Path, picture: Path) -> Path:
    """Write the graph of ``work``, with what is done in ``out``, to ``picture`` (PNG); returns the path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    boxes, edges = graph_of(work, out)
    columns = {column: [name for name, box in boxes.items() if box.column == column] for column in _COLUMNS}
    rows = max(len(names) for names in columns.values())
    figure = Figure(figsize=(13, max(2.5, 0.36 * rows + 0.8)), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    places = {
        name: (x + 0.5, rows * (1 - (y + 0.5) / len(names)))
        for x, names in enumerate(columns.values())
        for y, name in enumerate(names)
    }
    axes.set_xlim(0, len(_COLUMNS))
    axes.set_ylim(0, rows + 0.8)
    for start, end in edges:
        (x0, y0), (x1, y1) = places[start], places[end]
        axes.plot([x0, x1], [y0, y1], color="#b0bec5", linewidth=0.6, zorder=1)
    for name, box in boxes.items():
        colour = _DONE if box.done == box.total else _PART if box.done else _TO_DO
        axes.text(
            *places[name],
            f"{box.text[:46]}  {box.done}/{box.total}",
            ha="center",
            va="center",
            fontsize=7,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "#78909c", "linewidth": 0.6},
            zorder=2,
        )
    for x, column in enumerate(_COLUMNS):
        axes.text(x + 0.5, rows + 0.4, column, ha="center", va="center", fontsize=10, weight="bold")
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png")
    return picture


def graph_of(work: Work, out: Path) -> tuple[dict[str, Box], set[tuple[str, str]]]:
    """The boxes by name, and from which to which lines lead."""
    unfinished = {job.id for job in work.plan.unfinished(out)}
    producers = {output: job for job in work.plan.jobs for output in job.outputs}
    boxes: dict[str, Box] = {}
    edges: set[tuple[str, str]] = set()
    for place in work.places:
        boxes[place.name] = Box(place.name, "data", int(place.is_complete), 1)
    for job in work.plan.jobs:
        name = _box_of(job)
        box = boxes.setdefault(name, Box(name, job.kind, 0, 0))
        box.total += 1
        box.done += job.id not in unfinished
        before = [_box_of(producers[path]) for path in job.inputs if path in producers]
        if job.kind == "pretrain" and work.places:
            before = [work.places[0].name]
        edges |= {(one, name) for one in before if not (job.kind == "evaluate" and boxes[one].column == "data")}
    for plan in work.plans:
        done = sum(job.is_done(out) for job in plan.targets)
        boxes[f"tables {plan.suite}"] = Box(plan.title, "tables", done, len(plan.targets))
        edges |= {(_box_of(producers[job.outputs[0]]), f"tables {plan.suite}") for job in plan.targets}
    return boxes, edges


def _box_of(job: Job) -> str:
    """Its row, protocol or data set."""
    if job.kind == "evaluate":
        return " + ".join(protocols_of(job)) if job.cell else job.label
    return job.label.removeprefix("pretrain ").rpartition(", seed ")[0] or job.label
