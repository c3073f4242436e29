"""Two processes equal one: over several steps, in float64, for each method; and the batch norm that makes it so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import own_keys
from PIL import Image
from several_processes import launch, train_in

from pretrain.computer import check_processes
from pretrain.distributed import AllReduceBatchNorm
from pretrain.recipes.recipe import load_recipe
from pretrain.train import pretrain
from scenebench.errors import UserError
from transfer.backbone_file import read_info

TOLERANCE = 1e-9
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=8", "schedule.epochs=2",
    "views.crop_size=32", "views.jitter_p=0", "run.precision=float64", "run.log_every=1",
    "optimiser.name=sgd", "optimiser.lr=0.05", "optimiser.weight_decay=1e-4",
]  # fmt: skip
# AdamW divides by the square root of squared gradients: where these are near zero it turns rounding into whole steps.
LOCAL_CROPS = [
    "saliency.crop_size=32", "saliency.map_input_size=64", "saliency.warmup_share=0.5", "saliency.refresh_share=0.5",
]  # fmt: skip
# By name: the recipe, and what is changed in it.
METHODS = {
    "moco": ("moco_demo", ["moco.queue_size=32"]),
    # Groups of 2 values would make BN's gradient a difference of nearly equal numbers.
    "moco with shuffle-BN": (
        "moco_demo",
        ["moco.queue_size=32", "network.bn_groups=4", "schedule.batch_size=16", "views.crop_size=64",
         "data.images_per_epoch=48"],
    ),
    "densecl": ("densecl_demo", ["densecl.queue_size=32", "views.crop_size=64"]),
    "byol": ("byol_demo", ["byol.predictor_hidden_dim=16"]),
    "mls": ("mls_demo", ["mls.dictionary_size=32", "mls.k=3"]),
    "mls slot-shifted": (
        "mls_demo", ["mls.dictionary_size=32", "mls.k=3", "mls.order=slot_shifted", "mls.queue_init=keys"]
    ),
    "saliency on moco": ("saliency_demo", ["moco.queue_size=32", "saliency.normalise=batch", *LOCAL_CROPS]),
    "saliency on byol": (
        "saliency_byol_demo", ["byol.predictor_hidden_dim=16", "saliency.source=contracam", *LOCAL_CROPS]
    ),
    "supervised": ("supervised_demo", []),
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributed") / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(26):
        pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((72, 64)).save(folder / f"{index:02d}.png")
    box = {"bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0, "segmentation": [[4, 4, 24, 4, 24, 24, 4, 24]]}
    content = {
        "images": [{"id": index, "file_name": f"{index:02d}.png", "width": 72, "height": 64} for index in range(26)],
        "categories": [{"id": category, "name": f"category {category}"} for category in range(1, 4)],
        "annotations": [
            {"id": index + 1, "image_id": index, "category_id": 1 + index % 3, **box} for index in range(26)
        ],
    }
    (folder.parent / "annotations.json").write_text(json.dumps(content))
    return folder


def last_checkpoint(run: Path) -> dict[str, object]:
    state: dict[str, object] = torch.load(sorted((run / "checkpoints").iterdir())[-1], weights_only=True)
    return state


def differences(one: object, other: object, where: str = "") -> list[tuple[float, str]]:
    """The largest difference of each pair of tensors, the largest first."""
    found: list[tuple[float, str]] = []
    if isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys(), where
        for key in one:
            found += differences(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            found += differences(*pair, f"{where}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert one.shape == other.shape, where
        assert one.dtype == other.dtype, where
        if one.numel():
            found.append((float((one.double() - other.double()).abs().max()), where))
    else:
        assert one == other, where
    return sorted(found, reverse=True)


def overrides_of(method: str, images: Path) -> list[str]:
    annotations = [f"data.annotations={images.parent / 'annotations.json'}"] if method == "supervised" else []
    return [*SMALL, *METHODS[method][1], *annotations, f"data.root={images}"]


@pytest.fixture(scope="module")
def in_two_processes(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of every method, each trained by two processes."""
    folder = tmp_path_factory.mktemp("two")
    done = train_in(2, folder, [(folder / name, METHODS[name][0], overrides_of(name, images)) for name in METHODS])
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_one(method: str, images: Path, in_two_processes: Path, tmp_path: Path) -> None:
    pretrain(load_recipe(METHODS[method][0], overrides_of(method, images)), tmp_path / "one")
    runs = (tmp_path / "one", in_two_processes / method)
    one, two = (last_checkpoint(run) for run in runs)
    assert one["step"] == two["step"] == 6
    found = differences(one, two)
    assert len(found) > 60  # weights, momentum copies, dictionaries, optimiser
    assert found[0][0] <= TOLERANCE, found[:5]
    infos = [read_info(run / "backbone.safetensors") for run in runs]
    assert infos[0] == infos[1]
    logs = [(run / "log.jsonl").read_text().splitlines() for run in runs]
    assert len(logs[0]) == len(logs[1]) == 6  # one process speaks for both


BATCH_NORM_SCRIPT = """
import torch, torch.distributed as dist
from torch import nn
from pretrain.distributed import AllReduceBatchNorm, own_rows, synchronise_batch_norm
dist.init_process_group("gloo")
torch.manual_seed(0)
for dims, shape in ((1, (6, 5)), (2, (6, 5, 3, 4))):
    for momentum in (0.1, 0.0, None):
        for affine in (True, False):
            kind = nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d
            whole = nn.Sequential(kind(5, momentum=momentum, affine=affine)).double()
            if affine:
                nn.init.normal_(whole[0].weight); nn.init.normal_(whole[0].bias)
            parted = nn.Sequential(kind(5, momentum=momentum, affine=affine)).double()
            parted.load_state_dict(whole.state_dict())
            synchronise_batch_norm(parted, torch.device("cpu"))
            assert isinstance(parted[0], AllReduceBatchNorm)
            for step in range(2):
                x = torch.randn(shape, dtype=torch.float64) * 3 + 1
                target = torch.randn(shape, dtype=torch.float64)
                a = x.clone().requires_grad_(); out = whole(a); (out * target).sum().backward()
                b = own_rows(x).clone().requires_grad_(); part = parted(b); (part * own_rows(target)).sum().backward()
                assert torch.allclose(part, own_rows(out), atol=1e-12, rtol=0)
                assert torch.allclose(b.grad, own_rows(a.grad), atol=1e-12, rtol=0)
                for name, value in whole.state_dict().items():
                    assert torch.allclose(parted.state_dict()[name], value, atol=1e-12, rtol=0), name
                for ours, theirs in zip(parted.parameters(), whole.parameters()):
                    grad = ours.grad.clone(); dist.all_reduce(grad)
                    assert torch.allclose(grad, theirs.grad, atol=1e-12, rtol=0)
            whole.eval(); parted.eval()
            assert torch.allclose(parted(own_rows(x)), whole(own_rows(x)), atol=1e-12, rtol=0)
dist.destroy_process_group()
"""


def test_all_reduce_batch_norm_is_batch_norm_of_the_whole_batch(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(BATCH_NORM_SCRIPT)
    done = launch(2, str(script))
    assert done.returncode == 0, done.stderr[-3000:]


def test_all_reduce_batch_norm_alone_is_batch_norm() -> None:
    layer = torch.nn.BatchNorm2d(3)
    images = torch.rand(4, 3, 2, 2)
    expected = layer(images)
    layer.reset_running_stats()
    assert torch.equal(AllReduceBatchNorm(layer)(images), expected)


@pytest.mark.parametrize(
    ("method", "overrides", "words"),
    [
        ("moco", ["schedule.batch_size=30"], "schedule.batch_size: 30.*4 processes; use 28"),
        ("moco", ["network.bn_groups=2"], "network.bn_groups: 2 does not divide by the 4 processes; use 4"),
        ("saliency", ["network.bn_groups=4"], "network.bn_groups=1 .* for saliency"),
    ],
)
def test_what_processes_cannot_share_is_refused(
    method: str, overrides: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(f"{method}_demo", own_keys(method, ["moco.queue_size=960", *overrides]))
    check_processes(recipe)  # one process takes all
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UserError, match=words):
        check_processes(recipe)


def test_a_stop_of_one_process_stops_and_saves_both(images: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, torch\n"
        "from pretrain.methods.moco import MomentumContrast as M\n"
        "step, count = M.after_step, [0]\n"
        "def after(self):\n"
        "    step(self); count[0] += 1\n"
        "    if count[0] == 2 and os.environ['RANK'] == '1': signal.raise_signal(signal.SIGTERM)\n"
        "M.after_step = after\n"
        "from pretrain.recipes.recipe import load_recipe; from pretrain.train import pretrain\n"
        "pretrain(load_recipe('moco_demo', sys.argv[2:]), sys.argv[1])\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    run = tmp_path / "run"
    overrides = overrides_of("moco", images)
    stopped = launch(2, str(script), str(run), *overrides)
    assert stopped.returncode != 0
    assert last_checkpoint(run)["step"] == 2, stopped.stdout + stopped.stderr[-2000:]
    resumed = train_in(2, tmp_path, [(run, "moco_demo", overrides), (tmp_path / "straight", "moco_demo", overrides)])
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert f"going on from step 2 of {last_checkpoint(run)['step']}" in resumed.stdout
    assert differences(last_checkpoint(run), last_checkpoint(tmp_path / "straight"))[0][0] == 0
