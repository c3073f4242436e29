"""``status.html``: the status of a results folder as one page without outside links, written anew by rename."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.workflow.status import DONE, STATES, WAITING, CellStatus, Status, read_status
from scenebench.files import write_text
from scenebench.progress import duration

PAGE = "status.html"
REFRESH_SECONDS = 30.0
_LEAST_SECONDS = 2.0
_COLOURS = {"done": "#2e7d32", "running": "#1565c0", "failed": "#c62828", "blocked": "#b26a00", "waiting": "#9e9e9e"}
_STYLE = (
    "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25em .6em;border-bottom:1px solid #ddd}"
    "td.n{text-align:right;white-space:nowrap}.bar{display:flex;height:1.2em;border-radius:4px;overflow:hidden;"
    "background:#eee;margin:1em 0}code{font-size:12px}"
)


class StatusPage:
    """The page of a run: written at every event, and now and then, though never more often than every two seconds."""

    def __init__(self, out: Path, clock: Callable[[], float] = time.time) -> None:
        self._out, self._clock = out, clock
        self._written = 0.0
        self.is_due = True

    def tick(self) -> None:
        """Write it if it is due."""
        now = self._clock()
        age = now - self._written
        if age >= REFRESH_SECONDS or (self.is_due and age >= _LEAST_SECONDS):
            self._written, self.is_due = now, False
            write_page(self._out, now)


def write_page(out: Path, now: float) -> Path:
    """Write ``out/status.html`` and return its path."""
    write_text(out / PAGE, page_of(read_status(out, now), now))
    return out / PAGE


def page_of(status: Status, now: float) -> str:
    """The page as text."""
    title = html.escape(status.title)
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS:.0f}">' if status.is_running else ""
    counts = ", ".join(f"{status.count(state)} {state}" for state in STATES if status.count(state))
    bar = "".join(
        f'<div title="{state}" style="flex:{status.count(state)};background:{_COLOURS[state]}"></div>'
        for state in STATES
        if status.count(state)
    )
    left = "" if status.count(DONE) == len(status.cells) else f"; about {duration(status.left)} left"
    rows = "".join(_row(cell) for state in sorted(STATES, key=_urgency) for cell in status.cells if cell.state == state)
    written = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}<title>{title}: status</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{status.at_work.capitalize()}: {counts} of {len(status.cells)} cells{left}. "
        f'As of {written}.</p><div class="bar">{bar}</div>'
        "<table><thead><tr><th>state</th><th>cell</th><th>took</th><th>left</th><th>reason, log</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    )


def _urgency(state: str) -> int:
    return ["failed", "running", "blocked", "waiting", "done"].index(state)


def _row(cell: CellStatus) -> str:
    took = "" if cell.seconds is None else duration(cell.seconds)
    left = "" if cell.state in (DONE, "failed", "blocked") or cell.left is None else duration(cell.left)
    about = "about " if left and cell.state == WAITING else ""
    log = "" if cell.state in (WAITING, "blocked") else f'<a href="{html.escape(cell.log)}">log</a>'
    return (
        f'<tr><td style="color:{_COLOURS[cell.state]}">{cell.state}</td><td>{html.escape(cell.label)}</td>'
        f'<td class="n">{took}</td><td class="n">{about}{left}</td><td>{html.escape(cell.reason)} {log}</td></tr>'
    )
