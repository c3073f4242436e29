"""What one of several processes does for all: the numbers of one process, and the others wait however long it takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from several_processes import launch, train_in

from pretrain.diagnostics.during_training import Diagnostics
from pretrain.diagnostics.files import read_rows
from pretrain.distributed import only_main
from pretrain.recipes.recipe import load_recipe
from pretrain.train import pretrain

COUNT, BATCH = 26, 12
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", f"schedule.batch_size={BATCH}", "schedule.epochs=2",
    "views.crop_size=32", "views.jitter_p=0", "run.precision=float64", "run.log_every=1", "run.tensorboard=false",
    "optimiser.name=sgd", "optimiser.lr=0.05", "optimiser.weight_decay=1e-4", "data.workers=0",
    "diagnostics.every_epochs=1", "diagnostics.images=24", "diagnostics.ks=[1,4]", "probe.every_epochs=1", "probe.k=3",
]  # fmt: skip
LOCAL_CROPS = ["saliency.crop_size=32", "saliency.map_input_size=64", "saliency.pairs=2", "moco.queue_size=24"]
MLS = ["mls.dictionary_size=24", "mls.k=3", "diagnostics.causes=true"]
RUNS = {
    "mls": ("mls_demo", MLS),
    "mls with shuffle-BN": ("mls_demo", [*MLS, "network.bn_groups=6", "schedule.batch_size=24", "views.crop_size=64"]),
    "saliency": ("saliency_demo", [*LOCAL_CROPS, "saliency.warmup_share=0.5"]),
}
TABLES = {
    "mls": {"pseudo_labels.csv", "by_category.csv", "causes.csv"},
    "mls with shuffle-BN": {"pseudo_labels.csv", "by_category.csv", "causes.csv"},
    "saliency": {"saliency.csv"},
}


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("data") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((72, 64)).save(folder / f"{index:02d}.png")
    content = {
        "images": [{"id": index, "file_name": f"{index:02d}.png", "width": 72, "height": 64} for index in range(COUNT)],
        "categories": [{"id": category, "name": str(category)} for category in range(1, 5)],
        "annotations": [
            {"id": 1 + 4 * image + category, "image_id": image, "category_id": 1 + category, "iscrowd": 0, "area": 400,
             "bbox": [4 * category, 4, 20, 20]}
            for image, category in np.argwhere(rng.random((COUNT, 4)) < 0.4).tolist()
        ],
    }  # fmt: skip
    (folder.parent / "instances.json").write_text(json.dumps(content))
    return [*SMALL, f"data.root={folder}", f"data.annotations={folder.parent / 'instances.json'}"]


NO_FIGURES = """
import pretrain.train
from pretrain.diagnostics.during_training import Diagnostics
pretrain.train.draw_figures = lambda *_: []
Diagnostics.draw = lambda self, figures: []
"""


@pytest.mark.parametrize(
    ("processes", "names"),
    [
        (2, ["mls"]),
        pytest.param(2, ["mls with shuffle-BN", "saliency"], marks=pytest.mark.slow),
        pytest.param(3, list(RUNS), marks=pytest.mark.slow),
    ],
)
def test_what_is_measured_does_not_depend_on_the_number_of_processes(
    processes: int, names: list[str], overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pretrain.train.draw_figures", lambda *_: [])
    monkeypatch.setattr(Diagnostics, "draw", lambda self, figures: [])
    several, one = tmp_path / "several", tmp_path / "one"
    jobs = [(several / name, RUNS[name][0], [*overrides, *RUNS[name][1]]) for name in names]
    done = train_in(processes, tmp_path, jobs, before=NO_FIGURES)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in names:
        pretrain(load_recipe(RUNS[name][0], [*overrides, *RUNS[name][1]]), one / name)
        tables = {path.name for path in (one / name / "diagnostics").glob("*.csv")}
        assert tables == TABLES[name]
        for table in tables:
            found, expected = (read_rows(folder / name / "diagnostics" / table) for folder in (several, one))
            assert len(found) == len(expected) >= 2
            for ours, theirs in zip(found, expected, strict=True):
                assert ours == pytest.approx(theirs, abs=2e-6, nan_ok=True), (name, table)
                assert theirs.get("queries", 24) == 24 or table == "by_category.csv"
        logs = [(folder / name / "log.jsonl").read_text().splitlines() for folder in (several, one)]
        found_maps, maps = ([json.loads(line)["knn_map"] for line in log if "knn_map" in line] for log in logs)
        assert len(maps) == 2
        assert found_maps == pytest.approx(maps)


WAITING = """
import datetime, time, torch, torch.distributed as dist
from pretrain.distributed import only_main, rank, world_size
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))  # a busy machine may be late by more than one
done = []
for _ in range(2):
    with only_main() as is_mine:
        assert is_mine == (rank() == 0 and world_size() == 1)
        if is_mine:
            time.sleep(4)
            done.append(True)
assert len(done) == (2 if rank() == 0 else 0) and world_size() == 2
total = torch.ones(1)
dist.all_reduce(total)
assert total.item() == 2
dist.destroy_process_group()
"""


def test_the_others_wait_longer_than_a_collective_would(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(WAITING)
    done = launch(2, str(tmp_path / "script.py"))
    assert done.returncode == 0, done.stderr[-3000:]


def test_in_one_process_nobody_waits() -> None:
    with only_main() as is_mine:
        assert is_mine
