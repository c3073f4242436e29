from __future__ import annotations

import csv
import io
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest
from made_up_records import demo_records, fill, make_record
from paper_records import MLS_KEYS, paper_record, table_of
from PIL import Image

from benchmarks.published.layout import paper_table_names
from benchmarks.records.collect import collect
from benchmarks.records.record import Record
from benchmarks.report.escaping import escape_latex
from benchmarks.report.paper_figures import draw_bars, draw_cost, images_seen
from benchmarks.report.paper_report import build_paper_tables
from benchmarks.report.paper_result import PaperResult
from benchmarks.report.paper_text import paper_to_csv, paper_to_latex, paper_to_markdown
from benchmarks.report.suite_table import make_tables, suite_to_latex
from scenebench.cli import main

HOSTILE = "a|b_<script>&*`\\x](y)\n# c\x1b[31m $%~^{} 名🙂"


def paper_and_demo() -> list[Record]:
    """Two paper rows with three seeds, a further row, and demo records apart."""
    records = [paper_record("mls", 40.0 + s, s) for s in range(3)] + [
        paper_record("moco", 38.0 + s, s) for s in range(3)
    ]
    records.append(paper_record("byol", 39.0, label=HOSTILE, epochs=7))
    return records + [r.model_copy(update={"content_hash": r.computed_hash()}) for r in demo_records()]


@pytest.fixture(scope="module")
def result() -> PaperResult:
    return table_of(paper_and_demo())


def lines_of(result: PaperResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(paper_to_csv(result))))


def test_published_measured_and_difference_stand_side_by_side(result: PaperResult) -> None:
    text = paper_to_markdown(result)
    (row,) = [line for line in text.splitlines() if line.startswith("| MLS 800 ") and "MoCo-v2" not in line]
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    assert cells[:4] == ["MLS 800", "COCO", "800", "**40.5 [1]**"]
    assert cells[9] == "**41.0 ± 1.0 (3)**"
    assert cells[15] == "+0.5"
    head = next(line for line in text.splitlines() if line.startswith("| method"))
    assert "published: AP box" in head
    assert "measured: AP box" in head
    assert "measured − published: AP box" in head
    assert "apart: scenes, size demo: mask\\_rcnn" in head or "apart: scenes, size demo: mask_rcnn" in head


def test_origins_and_anomalies_are_marked() -> None:
    text = paper_to_markdown(table_of([], "mls_table1"))
    assert "39.1 (r)" in text
    assert "38.5 (c) [1,2]" in text
    assert "- [2] The MoCo-v2 baseline is 38.5 box AP here" in text
    assert "(c) copied by the paper from an earlier one" in text
    six = paper_to_markdown(table_of([], "mls_table6"))
    assert re.search(r"35\.5 \(r\) \[1,2\]", six)
    assert "probably a misprint" in six
    five = paper_to_markdown(table_of([], "mls_table5"))
    assert re.search(r"58\.1 \(\?\) \[1\]", five)


def test_differences_to_the_baseline_are_tested(result: PaperResult) -> None:
    (line,) = [row for row in lines_of(result) if row["row"] == "MLS 800" and row["column"] == "AP box"]
    assert float(line["delta"]) == pytest.approx(2.0)
    assert float(line["published_delta"]) == pytest.approx(40.5 - 38.5)
    # two sides of variance 1 and three runs: t = 2 / sqrt(2/3), 4 degrees of freedom
    assert float(line["welch_p"]) == pytest.approx(0.070484, abs=1e-6)
    assert float(line["interval_low"]) < 2 < float(line["interval_high"])
    assert "| +2.0 ± 1.4" in paper_to_markdown(result)


def test_a_missing_cell_is_shown_as_missing(result: PaperResult) -> None:
    states = {(row["row"], row["column"]): row["state"] for row in lines_of(result) if row["group"] == "measured"}
    assert states["MLS 400", "AP box"] == "missing"
    assert states["MLS 800", "AP box"] == "measured"
    assert len([row for row in lines_of(result) if row["published"]]) == 69
    apart = [row for row in lines_of(result) if row["group"] == "apart"]
    assert {row["published"] for row in apart} == {""}
    assert {row["epochs"] for row in apart if row["row"] == "MoCo-v2"} == {""}, "nobody trained 800 epochs on scenes"


def test_gains_are_measured_as_gains() -> None:
    """The only table of gains: a measured gain is the difference to the baseline, never an absolute value."""
    runs = {"saliency": (30.0, 31.0), "byol": (28.0, 29.0)}
    records = []
    for method, values in runs.items():
        for seed, value in enumerate(values):
            section = {"crops": "saliency", "beta": 1.0, "base": "byol"}
            recipe = {"method": method, "saliency": section, "seed": seed}
            made = make_record(
                method, "linear_demo", seed, {"top1": value}, recipe=recipe, suite="saliency_headline_demo"
            )
            records.append(made.model_copy(update={"content_hash": made.computed_hash()}))
    result = table_of(records, "saliency_headline")
    (apart,) = result.groups[1:]
    gain = apart.cells[0][0].summary
    assert gain is not None
    assert (gain.mean, gain.n) == (pytest.approx(2.0), 2)
    assert gain.std == pytest.approx((0.5 + 0.5) ** 0.5)
    assert [line["mean"] for line in lines_of(result) if line["row"] == "BYOL" and line["mean"]] == ["28.500000"]
    alone = table_of(records[:2], "saliency_headline")
    found = alone.groups[1].cells[0][0]
    assert (found.state, found.summary) == ("missing", None)
    assert "no matched baseline was measured" in paper_to_markdown(alone)


def test_equal_records_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    shuffled = paper_and_demo()
    random.Random(2).shuffle(shuffled)
    one, other = table_of(paper_and_demo()), table_of(shuffled)
    for render in (paper_to_markdown, paper_to_csv, paper_to_latex):
        assert render(one) == render(other)
    records = [*paper_and_demo()[:6], *paper_and_demo()[7:]]
    one, other = (table_of(part, "mls_table7") for part in (records, records[::-1]))
    for name, draw in (
        ("bars", lambda result, folder: draw_bars(result, folder, "b")),
        ("cost", lambda result, folder: draw_cost(result, records, folder, "c")),
    ):
        files = [draw(result, tmp_path / name / side) for result, side in ((one, "one"), (other, "other"))]
        assert len(files[0]) == 2
        for left, right in zip(*files, strict=True):
            assert left.read_bytes() == right.read_bytes()
        assert b"<dc:date>" not in files[0][1].read_bytes()
        xml.etree.ElementTree.parse(files[0][1])
        assert Image.open(files[0][0]).size[0] > 500


def test_hostile_labels_are_text(result: PaperResult) -> None:
    text = paper_to_markdown(result)
    assert "<script>" not in text
    assert "\x1b" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert len(widths) == 2, "one number of columns in each of the two tables"


def latex_problems(text: str) -> list[str]:
    """What is structurally wrong: braces, environments, numbers of columns, signs that TeX would obey."""
    problems = []
    plain = re.sub(r"\\[{}&%$#_]", "", text)
    if plain.count("{") != plain.count("}"):
        problems.append("braces")
    for name in ("table", "tabular"):
        if text.count(rf"\begin{{{name}}}") != text.count(rf"\end{{{name}}}"):
            problems.append(name)
    for body in re.findall(r"\\begin\{tabular\}\{(l*r*)\}(.*?)\\end\{tabular\}", plain, re.S):
        for line in body[1].splitlines():
            if line.endswith(r"\\"):
                spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                if line.count("&") + 1 + spans != len(body[0]):
                    problems.append(f"columns: {line}")
    commented = [
        line for line in plain.splitlines() if "%" in line and not line.startswith("%") and not line.endswith("{%")
    ]
    problems += [f"sign: {line}" for line in plain.splitlines() if re.search(r"[#_^~]|[^\x00-\x7f]", line)] + commented
    return problems


@pytest.mark.parametrize("name", paper_table_names())
def test_latex_is_well_formed(name: str) -> None:
    assert latex_problems(paper_to_latex(table_of(paper_and_demo(), name))) == []


def test_signs_that_latex_has_no_letter_for_are_named() -> None:
    assert escape_latex("é ő 名 🙂 … ± −") == r"é ő [U+540D] [U+1F642] \ldots{} $\pm$ $-$"
    assert escape_latex("a\nb\x1b\x00") == "a b  "


def test_what_is_malformed_is_found() -> None:
    text = paper_to_latex(table_of([], "mls_table7"))
    for old, new in (("{", ""), (" & ", " "), (r"\end{tabular}", ""), ("MLS", "M_LS"), ("AP", "100 % AP")):
        assert latex_problems(text.replace(old, new, 1)), old


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    demo = make_tables(collect(fill(tmp_path / "records", demo_records())))
    parts = [paper_to_latex(table_of(paper_and_demo(), name)) for name in paper_table_names()] + list(
        map(suite_to_latex, demo)
    )
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(head + "\\clearpage\n".join(parts) + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_cost_is_images_seen_or_seconds() -> None:
    assert images_seen(paper_record()) == 800 * 118272
    assert images_seen(make_record("mls", recipe={"data": {"images_per_epoch": 100}})) == 800
    assert images_seen(make_record("mls")) == 8 * 1400, "its data set's training images"
    foreign = make_record("mls")
    foreign = foreign.model_copy(update={"backbone": foreign.backbone.model_copy(update={"dataset_fingerprint": "x"})})
    assert images_seen(foreign) is None
    assert images_seen(make_record("random")) == 0
    assert images_seen(make_record("mls", recipe={"data": {"images_per_epoch": True}})) is None


def sweep_records() -> list[Record]:
    records = []
    for k in (1, 5, 20):
        for seed in (0, 1):
            recipe = {"method": "mls", "seed": seed, "mls": MLS_KEYS | {"k": k}}
            values = {"mAP": 20.0 + k / 10 + seed}
            records.append(
                make_record(
                    f"k {k}", "multilabel_knn", seed, values, method="mls", recipe=recipe, suite="mls_table8_demo"
                )
            )
    return records


def test_the_command_writes_tables_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "records", sweep_records())
    out = tmp_path / "tables"
    assert main(["table", "mls_table8", "--records", str(folder), "--out", str(out)]) == 0
    names = ["mls_table8.md", "mls_table8.csv", "mls_table8.tex"]
    names += [f"mls_table8-{what}.{suffix}" for what in ("bars", "cost", "curve") for suffix in ("png", "svg")]
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == sorted(names)
    shown = capsys.readouterr().out
    assert f"  {out}/mls_table8.md" in shown
    assert "| MLS k=5 " in shown
    assert "apart: scenes, size demo" in shown
    (out / "mls_table8.md").write_text("edited by hand")
    assert main(["table", "mls_table8", "--records", str(folder), "--out", str(out)]) == 2
    assert "mls_table8.md: exists already and would be lost" in capsys.readouterr().err
    assert (out / "mls_table8.md").read_text() == "edited by hand"


def test_without_records_the_published_values_and_curve_are_there(tmp_path: Path) -> None:
    said: list[str] = []
    files = build_paper_tables("mls_fig5a", [], tmp_path, said.append)
    assert {path.name for path in files} >= {"mls_fig5a.md", "mls_fig5a-curve.svg", "mls_fig5a-bars.png"}
    assert "MLS D=8192" in said[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mls_tabel1", "--records"], "unknown table 'mls_tabel1' (did you mean 'mls_table1'?)"),
        (["mls_table1"], "table mls_table1: give the records with --records FOLDER"),
        (["mls_table1", "--records", "nowhere"], "nowhere: no such folder of results"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["table", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fill(tmp_path / "records", sweep_records())
    path = folder / "run000" / "record.json"
    path.write_text(path.read_text().replace("20.1", "90.1"))
    assert main(["table", "mls_table8", "--records", str(folder), "--out", str(tmp_path / "out")]) == 2
    assert "run000/record.json: its content hash disagrees" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
