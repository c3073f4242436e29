"""``scenebench submit CHECKPOINT --suite S``: from a checkpoint in MoCo's layout to a row, and every bad input.

The jobs run in this process, one after the other; that the workflow's engine runs them is for the slow test of
CONTRIBUTING.md.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch
from board_records import board_record, sealed

from benchmarks.records.record import read_record
from benchmarks.submission.checkpoint import read_submitted
from benchmarks.workflow import runner
from benchmarks.workflow.engine import Outcome
from benchmarks.workflow.engine_options import EngineOptions
from benchmarks.workflow.plan import Plan
from scenebench.cli import main
from scenebench.files import sha256_of
from transfer.backbone_file import BackboneInfo, load_backbone, save_backbone
from transfer.example_checkpoint import write_example
from transfer.networks.network import build_network
from transfer.networks.vit_architecture import VitArchitecture

SUITE = """\
name: tiny
data: {images: 40, size: 64, seed: 0}
backbones: [{label: random, recipe: random_demo, seeds: [0, 1]}]
protocols:
  - {protocol: multilabel_knn, overrides: [settings.image_size=32, settings.knn.k=3, data.max_test_images=4]}
references: [scene_type_oracle]
"""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs the jobs here; the ids of those that ran."""
    ran: list[str] = []

    def execute(plan: Plan, out: Path, options: EngineOptions, lock: int) -> Outcome:
        for job in plan.unfinished(out):
            with contextlib.chdir(out):
                assert main(job.command[1:]) == 0
            ran.append(job.id)
        return Outcome({})

    monkeypatch.setattr(runner, "execute", execute)
    return ran


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a suite and a checkpoint in MoCo's layout."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SUITE)
    write_example("my_moco.pth.tar")
    return tmp_path


def test_one_command_takes_a_checkpoint_to_a_row(
    here: Path, jobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", "my_moco.pth.tar", "--suite", "tiny.yaml", "--out", "out"]
    assert main([*command, "--leaderboard", "--references", "--write-expected", "expected.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "recognised as moco" in printed
    assert "120 tensors bit for bit" in printed
    assert "| my_moco" in printed
    assert "scene-type oracle" in printed
    records = [read_record(path) for path in sorted(Path("out/records/tiny").glob("my_moco*/record.json"))]
    assert [(r.seed, r.backbone.origin, r.backbone.method, r.suite, r.size) for r in records] == [
        (seed, "imported", "moco", "tiny", "tiny") for seed in (0, 1)
    ]
    proof = json.loads(next(Path("out/cells/given").glob("*/import.json")).read_text())
    assert proof["backbone_sha256"] == records[0].backbone.sha256
    assert proof["source_sha256"] == sha256_of("my_moco.pth.tar")
    assert "my_moco" in Path("out/leaderboard/index.html").read_text()
    assert "my_moco" in Path("out/table.md").read_text()
    assert "my_moco" in Path("out/table.csv").read_text()

    ran = len(jobs)
    assert main([*command, "--references", "--expected", "expected.yaml"]) == 0  # nothing runs again
    assert len(jobs) == ran
    assert "all 1 expected values are reached" in capsys.readouterr().out
    higher = Path("expected.yaml").read_text().replace("tolerance: 1.0", "tolerance: 0.0")
    value = records[0].metrics["mAP"] or 0.0
    Path("higher.yaml").write_text(higher.replace(f"value: {round(value, 4)}", f"value: {round(value, 4) + 1}"))
    assert main([*command, "--references", "--expected", "higher.yaml"]) == 1
    assert f"multilabel_knn mAP: {value:.2f} over 2 seeds, expected at least" in capsys.readouterr().out

    # Beside the board: a record of the same protocol, data and size stands there, another one does not.
    twin = records[0].model_copy(update={"backbone": records[0].backbone.model_copy(update={"label": "of the board"})})
    sealed(Path("board/a"), twin)
    sealed(Path("board/b"), board_record("of another suite"))
    assert main([*command, "--references", "--board", "board"]) == 0
    printed = capsys.readouterr().out
    assert "| of the board" in printed
    assert "| of another suite" not in printed
    assert "beside it 1 rows of the board (board); 1 of other protocol versions, data or sizes left out" in printed

    # The folder keeps to this checkpoint.
    torch.save(torch.load("my_moco.pth.tar", weights_only=True) | {"epoch": 2}, "other.pth.tar")
    assert main([*command[:1], "other.pth.tar", *command[2:]]) == 2
    assert "holds results of suite 'tiny, submission" in capsys.readouterr().err


def test_a_cell_that_fails_is_exit_code_1(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "execute", lambda *_: Outcome({}))
    assert main(["submit", "my_moco.pth.tar", "--suite", "tiny.yaml", "--out", "out"]) == 1
    printed = capsys.readouterr().out
    assert "2 cells are missing" in printed
    assert "no records: every cell failed" in printed


def test_a_backbone_file_keeps_its_bytes_and_its_recipe_names_the_row(here: Path) -> None:
    from benchmarks.submission.checkpoint import write_submitted

    assert main(["import", "my_moco.pth.tar", "mine.safetensors"]) == 0
    info, tensors = load_backbone("mine.safetensors")
    given = read_submitted("mine.safetensors")
    assert given.default_label == "mine"
    write_submitted(given, here / "out")
    assert sha256_of(here / "out" / given.folder / "backbone.safetensors") == sha256_of("mine.safetensors")
    (here / "out" / given.folder / "backbone.safetensors").write_bytes(b"cut short")
    write_submitted(given, here / "out")  # damaged: laid again
    assert sha256_of(here / "out" / given.folder / "backbone.safetensors") == sha256_of("mine.safetensors")
    named = BackboneInfo(architecture=info.architecture, recipe_name="mls_demo")
    save_backbone("backbone.safetensors", tensors, named)
    assert read_submitted("backbone.safetensors").default_label == "mls_demo"
    assert read_submitted("my_moco.pth.tar").default_label == "my_moco"


CALL = ["submit", "my_moco.pth.tar", "--suite", "tiny.yaml", "--out", "out"]
AS_BEFORE = ["evaluate", *CALL[1:]]  # the same command's name until now


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["submit", "my_moco.pth.tar", "--suite", "smok", "--out", "out"], "did you mean 'smoke'"),
        (["submit", "my_moco.pth.tar", "--suite", "papers", "--out", "out"], "is a group of suites"),
        (["evaluate", "my_moco.pth.tar", "--out", "out"], "say what to evaluate by"),
        (["submit", "text.pth", "--suite", "tiny.yaml", "--out", "out"], "text.pth"),
        (["submit", "none.pth", "--suite", "tiny.yaml", "--out", "out"], "none.pth"),
        (["submit", ".", "--suite", "tiny.yaml", "--out", "out"], "is a folder"),
        (["submit", "reference:colour_histogram", "--suite", "tiny.yaml", "--out", "out"], "is no checkpoint"),
        ([*CALL[:-1], "text.pth"], "is a file; choose a folder"),
        ([*CALL[:-1], "text.pth/below"], "cannot write there"),
        ([*CALL, "--data", "none", "--annotations", "none.json"], "none"),
        ([*CALL, "--data", "photos"], "add --annotations"),
        ([*CALL, "--expected", "none.yaml"], "none.yaml"),
        ([*CALL, "--expected", "of_smoke.yaml"], "of suite 'smoke', and this is suite 'tiny'"),
        ([*CALL, "--board", "old"], "record schema 99"),
        ([*CALL, "--board", "none"], "no such folder"),
        ([*CALL, "--label", "a\nb"], "printable"),
        ([*CALL, "--from", "mocco"], "did you mean 'moco'"),
        ([*CALL, "--mean", "0", "0", "0"], "--std and --value-range missing"),
        ([*CALL, "--cores", "0"], "--cores"),
        ([*AS_BEFORE, "--seed", "1"], "a suite has seeds of its own"),
        ([*AS_BEFORE, "settings.knn.k=2"], "a suite says its own values"),
        (
            [*AS_BEFORE, "--protocol", "multilabel_knn", "--data", "d", "--references"],
            "--references is for evaluation by a suite",
        ),
        (
            [*AS_BEFORE, "--protocol", "multilabel_knn", "--data", "d", "--from", "moco"],
            "--from is for evaluation by a suite",
        ),
        ([*AS_BEFORE, "--protocol", "multilabel_knn"], "add --data ROOT"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    words: list[str], message: str, here: Path, jobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.pth").write_text("no checkpoint")
    Path("of_smoke.yaml").write_text("suite: smoke\nvalues: [{protocol: x, metric: y, value: 1, tolerance: 1}]\n")
    old = sealed(Path("old"), board_record())
    old.write_text(json.dumps({**json.loads(old.read_text()), "schema_version": 99}))
    before = sorted(path.name for path in here.iterdir())
    assert main(words) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert sorted(path.name for path in here.iterdir()) == before
    assert not jobs


def test_the_call_of_before_works_and_names_the_new_one(
    here: Path, jobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(AS_BEFORE) == 0
    assert "'evaluate CHECKPOINT --suite' is 'scenebench submit' now" in capsys.readouterr().err
    assert len(list(Path("out/records/tiny").glob("my_moco*/record.json"))) == 2


def test_a_vision_transformer_is_told_which_protocols_cannot_judge_it(
    here: Path, jobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = VitArchitecture(width=32, depth=2, heads=4, patch=8, image_size=32)
    save_backbone("vit.safetensors", build_network(architecture).state_dict(), BackboneInfo(architecture=architecture))
    assert main(["submit", "vit.safetensors", "--suite", "smoke", "--out", "out"]) == 2
    errors = capsys.readouterr().err
    assert "2 of the suite's 3 protocols" in errors
    assert "mask_rcnn_fpn_demo (detection) takes ResNets only; fcn_demo (segmentation) takes ResNets only" in errors
    assert not Path("out").exists()
    assert not jobs
