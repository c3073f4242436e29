"""The page in a real browser, where one is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up_records import demo_records, fill, make_record

from benchmarks.report.leaderboard import write_leaderboard
from benchmarks.report.results import collect
from benchmarks.report.tables import make_tables

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# Plays the user and writes what the page shows into the document.
USER = """
const seen = {};
const labels = () => [...document.querySelectorAll("section[data-task=classification] tbody tr")]
  .filter((row) => !row.hidden).map((row) => row.cells[0].dataset.value);
const sorter = (n) => document.querySelectorAll("section[data-task=classification] .sort")[n];
const set = (id, value) => {
  const control = document.getElementById(id);
  control.value = value;
  control.dispatchEvent(new Event("input"));
};
seen.start = labels();
sorter(1).click();
seen.down = labels();
seen.aria = sorter(1).closest("th").getAttribute("aria-sort");
sorter(1).click();
seen.up = labels();
sorter(0).click();
seen.byName = labels();
set("filter", "SAL");
seen.filtered = labels();
set("filter", "");
set("origin", "reference");
seen.references = labels();
set("origin", "");
set("task", "detection");
seen.sections = [...document.querySelectorAll("section[data-task]")]
  .filter((section) => !section.hidden).map((section) => section.dataset.task);
set("task", "");
document.getElementById("theme").click();
document.getElementById("theme").click();
seen.theme = document.documentElement.dataset.theme;
seen.ground = getComputedStyle(document.body).backgroundColor;
document.querySelector("section[data-task=classification] tr[data-search^=mls] .cell").click();
seen.open = document.getElementById("details").open;
seen.title = document.getElementById("details-title").textContent;
seen.runs = [...document.querySelectorAll("#details .run > summary")].map((node) => node.textContent);
seen.links = [...document.querySelectorAll("#details a")].map((node) => node.getAttribute("href"));
seen.wide = document.documentElement.scrollWidth <= innerWidth;
seen.scripts = document.scripts.length;
const note = document.createElement("pre");
note.id = "seen";
note.textContent = JSON.stringify(seen);
document.body.append(note);
"""


def visit(page: Path, fragment: str = "", width: int = 1200) -> tuple[str, str]:
    """The document after the page's scripts ran, and what the browser complained of."""
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--dump-dom"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=3000", f"--user-data-dir={page.parent / 'profile'}"]
    done = subprocess.run(
        [CHROMIUM, *options, page.as_uri() + fragment], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def make_page(folder: Path, extra: str = "") -> Path:
    records = demo_records()
    if extra:
        records.append(make_record(extra, metrics={"mAP": 90.0}, notes=[extra], recipe={extra: extra}))
    results = collect(fill(folder, records))
    return write_leaderboard(results, make_tables(results), [], folder / "board")


def test_sorting_filtering_theme_and_records(tmp_path: Path) -> None:
    page = make_page(tmp_path)
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)  # it would refuse the test's script
    page.write_text(text.replace("</body>", f"<script>{USER}</script></body>"), encoding="utf-8")
    document, complaints = visit(page)
    assert complaints == ""
    found = re.search(r'<pre id="seen">(.*?)</pre>', document, re.DOTALL)
    assert found is not None
    seen = json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    references = ["colour-histogram probe", "scene-type oracle"]
    assert seen["start"] == ["random", "mls", "moco", "saliency", *references]
    assert seen["down"] == ["mls", "saliency", "moco", "random", "scene-type oracle", "colour-histogram probe"]
    assert seen["aria"] == "descending"
    assert seen["up"] == ["colour-histogram probe", "random", "scene-type oracle", "moco", "saliency", "mls"]
    assert seen["byName"] == ["colour-histogram probe", "mls", "moco", "random", "saliency", "scene-type oracle"]
    assert seen["filtered"] == ["saliency"]
    assert sorted(seen["references"]) == references
    assert seen["sections"] == ["detection"]
    assert (seen["theme"], seen["ground"]) == ("dark", "rgb(20, 23, 27)")
    assert seen["open"] is True
    assert len(seen["runs"]) == len(seen["links"]) == 3
    assert seen["runs"][0].startswith("seed 0: mAP ")
    assert all((page.parent / link).is_file() for link in seen["links"])
    assert seen["wide"] is True


def test_a_hostile_record_opens_as_text_under_the_policy(tmp_path: Path) -> None:
    attack = "</script><img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    page = make_page(tmp_path, attack)
    results = collect(tmp_path)
    wanted = next(record for record in results.records if record.backbone.label == attack)
    document, complaints = visit(page, f"#record={wanted.content_hash[:16]}", width=500)
    assert complaints == "", "our script and style must pass the policy"
    assert "<title>Results – scenebench</title>" in document
    assert "<img src" not in document
    opened = document.split('<dialog id="details"')[1]
    assert opened.split(">")[0].endswith('open=""')
    assert "&lt;/script&gt;&lt;img src=x onerror" in opened
