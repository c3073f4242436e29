import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation import evaluate as module
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.environment import describe_environment, git_state, peak_memory_mb
from benchmarks.evaluation.evaluate import evaluate
from benchmarks.protocols.protocol import Protocol, load_protocol
from benchmarks.records.record import Record, read_record
from scenebench.errors import UserError
from scenebench.files import sha256_of

ORACLE = "reference:scene_type_oracle"


@pytest.fixture
def knn() -> Protocol:
    return load_protocol("multilabel_knn", ["settings.image_size=32", "data.max_test_images=4"])


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Counts how often a task was really run."""
    cells: list[Cell] = []
    real = module._run_task

    def counted(cell: Cell) -> Outcome:
        cells.append(cell)
        return real(cell)

    monkeypatch.setattr(module, "_run_task", counted)
    return cells


def judge(backbone: Path | str, protocol: Protocol, data: DatasetFolder, out: Path, **options: object) -> Record:
    return evaluate(backbone, protocol, data.root, int(options.pop("seed", 0)), out, **options)  # type: ignore[arg-type]


def test_the_record_says_everything(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    out = tmp_path / "deep/run"
    record = judge(tiny_backbone, knn, tiny_scenes, out, seed=3, label="mine", suite="demo", size="demo")
    assert read_record(out / "record.json") == record
    assert (record.seed, record.suite, record.size) == (3, "demo", "demo")
    assert (record.protocol.id, record.protocol.hash) == ("multilabel_knn", knn.hash)
    assert record.protocol.resolved == knn.resolved
    assert (record.backbone.label, record.backbone.method, record.backbone.origin) == ("mine", "random", "own")
    assert record.backbone.sha256 == sha256_of(tiny_backbone)
    assert record.backbone.recipe == {"seed": 0}
    assert record.backbone.recipe_hash
    assert record.backbone.architecture == "resnet18w8"
    assert record.dataset.fingerprint == tiny_scenes.fingerprint
    assert (record.dataset.train_images, record.dataset.test_images, record.dataset.categories) == (28, 4, 18)
    assert record.metrics.keys() == {"mAP"}
    assert record.per_class.keys() == set(tiny_scenes.categories)
    assert any("settings.image_size=32" in note for note in record.notes)
    assert record.wall_seconds > 0
    assert 100 < record.peak_memory_mb < 50_000
    assert record.environment.threads == 1
    assert "torch" in record.environment.packages
    assert "multilabel_knn: mAP" in (out / "log.txt").read_text()
    default = judge(tiny_backbone, knn, tiny_scenes, tmp_path / "unnamed")
    assert default.backbone.label == "random_test"
    assert default.metrics == record.metrics


def test_a_finished_run_is_returned_as_it_is(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path, runs: list[Cell]
) -> None:
    first = judge(tiny_backbone, knn, tiny_scenes, tmp_path / "run")
    stamp = (tmp_path / "run/record.json").stat().st_mtime_ns
    assert judge(tiny_backbone, knn, tiny_scenes, tmp_path / "run") == first
    assert len(runs) == 1
    assert (tmp_path / "run/record.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed '0' instead of '1'"),
        ({"label": "other"}, "label"),
        ({"suite": "mini"}, "suite"),
        ({"protocol": "multilabel_linear"}, "protocol"),
        ({"backbone": ORACLE}, "backbone"),
        ({"data": "photos"}, "data"),
    ],
)
def test_a_folder_of_another_run_is_refused(
    change: dict[str, object],
    message: str,
    finished: bool,
    tiny_backbone: Path,
    knn: Protocol,
    tiny_scenes: DatasetFolder,
    tiny_photos: DatasetFolder,
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    judge(tiny_backbone, knn, tiny_scenes, out)
    if not finished:
        (out / "record.json").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"}
    options = dict(change)
    backbone = options.pop("backbone", tiny_backbone)
    protocol = load_protocol(str(options.pop("protocol"))) if "protocol" in options else knn
    data = tiny_photos if options.pop("data", None) else tiny_scenes
    with pytest.raises(UserError, match="belongs to another run") as error:
        judge(backbone, protocol, data, out, **options)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.name != ".lock"} == before


def test_an_unfinished_run_starts_again(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"

    def killed(cell: Cell) -> Outcome:
        (cell.out / "toolbox").mkdir()
        (cell.out / "toolbox/half.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_run_task", killed)
        with pytest.raises(KeyboardInterrupt):
            judge(tiny_backbone, knn, tiny_scenes, out)
    assert not (out / "record.json").exists()
    record = judge(tiny_backbone, knn, tiny_scenes, out)
    assert not (out / "toolbox").exists()
    assert record.metrics == judge(tiny_backbone, knn, tiny_scenes, tmp_path / "undisturbed").metrics


def test_a_failure_leaves_no_record(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    shutil.copytree(tiny_scenes.root, tmp_path / "data")
    data = DatasetFolder.open(tmp_path / "data")
    data.images("train")[0].write_bytes(b"no image")
    with pytest.raises(UserError, match=f"{data.images('train')[0].name}: cannot be decoded"):
        judge(tiny_backbone, knn, data, tmp_path / "run")
    assert not (tmp_path / "run/record.json").exists()
    assert logging.getLogger("scenebench").handlers == []


def test_a_damaged_record_is_named(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    judge(tiny_backbone, knn, tiny_scenes, tmp_path / "run")
    path = tmp_path / "run/record.json"
    content = json.loads(path.read_text())
    content["metrics"]["mAP"] = 99.0
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="edited by hand"):
        judge(tiny_backbone, knn, tiny_scenes, tmp_path / "run")


def test_somebody_elses_folder_is_left_alone(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(thesis\.txt\)"):
        judge(tiny_backbone, knn, tiny_scenes, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match="is a file"):
        judge(tiny_backbone, knn, tiny_scenes, tmp_path / "thesis.txt")


def test_a_second_process_waits_for_the_first(
    tiny_backbone: Path,
    knn: Protocol,
    tiny_scenes: DatasetFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    script = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'a')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(30)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(out / ".lock")], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        caplog.set_level(logging.INFO, logger="scenebench")
        results: list[Record] = []
        thread = threading.Thread(target=lambda: results.append(judge(tiny_backbone, knn, tiny_scenes, out)))
        thread.start()
        deadline = time.monotonic() + 20
        while "waiting until it ends" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "process ? works here; waiting until it ends" in caplog.text
        assert not results
        assert not (out / "record.json").exists()
    finally:
        holder.kill()
        holder.wait()
    thread.join(60)
    assert len(results) == 1


def test_references(knn: Protocol, tiny_scenes: DatasetFolder, tiny_photos: DatasetFolder, tmp_path: Path) -> None:
    record = judge(ORACLE, knn, tiny_scenes, tmp_path / "a")
    assert (record.backbone.origin, record.backbone.label) == ("reference", "scene type oracle")
    assert record.backbone.sha256 == ""
    with pytest.raises(UserError, match="did you mean 'reference:scene_type_oracle'"):
        judge("reference:scene_oracle", knn, tiny_scenes, tmp_path / "b")
    with pytest.raises(UserError, match=r"no backbone, so protocol 'fcn_demo' \(segmentation\)"):
        judge(ORACLE, load_protocol("fcn_demo"), tiny_scenes, tmp_path / "c")
    with pytest.raises(UserError, match="no scene types"):
        judge(ORACLE, knn, tiny_photos, tmp_path / "d")


def test_missing_inputs_are_named_before_anything_is_written(
    tiny_backbone: Path, knn: Protocol, tiny_scenes: DatasetFolder, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors"):
        judge(tmp_path / "none.safetensors", knn, tiny_scenes, tmp_path / "run")
    with pytest.raises(UserError, match="no such folder"):
        evaluate(tiny_backbone, knn, tmp_path / "nodata", 0, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_environment(tmp_path: Path) -> None:
    environment = describe_environment()
    assert environment.python.startswith("3.")
    assert environment.processor
    assert git_state(tmp_path) == ("", False)
    assert 10 < peak_memory_mb() < 100_000


def test_git_state_of_a_checkout(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "x")
    commit, dirty = git_state(tmp_path)
    assert (len(commit), dirty) == (40, False)
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path) == (commit, True)
