"""What the log says of a contrastive run's health: against slow oracles, where it is computed, and that the weights
do not notice."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import batch_of, own_keys
from PIL import Image
from torch import Tensor

from pretrain import losses
from pretrain.checkpoint import load_checkpoint
from pretrain.health import gradient_norm, participation_ratio, top_one
from pretrain.methods.base import Method, build_method
from pretrain.methods.mls import Mls
from pretrain.methods.moco import MomentumContrast
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.train import pretrain

SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=2",
    "views.crop_size=32", "run.tensorboard=false", "mls.dictionary_size=16", "mls.k=3", "moco.queue_size=16",
    "densecl.queue_size=16", "saliency.crop_size=32", "saliency.map_input_size=64", "byol.predictor_hidden_dim=16",
]  # fmt: skip
COUNT = 10


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def recipe_of(name: str, images: Path, *overrides: str) -> Recipe:
    method = "saliency" if name.startswith("saliency") else name
    return load_recipe(f"{name}_demo", [*own_keys(method, SMALL), f"data.root={images}", *overrides])


def build(name: str, images: Path, *overrides: str) -> Method:
    return build_method(recipe_of(name, images, *overrides), sorted(images.iterdir()))


def fill(method: Method, steps: int = 3) -> None:
    for step in range(steps):
        method.training_step(batch_of(seed=100 + step, images=COUNT))
        method.after_step()


# --- the functions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "width"), [(40, 6), (5, 12), (2, 3), (9, 9)])
def test_participation_is_that_of_the_eigenvalues(rows: int, width: int) -> None:
    vectors = torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(rows)) + 3
    values = torch.linalg.eigvalsh(torch.cov(vectors.T))
    expected = float(values.sum() ** 2 / values.square().sum())
    assert float(participation_ratio(vectors)) == pytest.approx(expected, rel=1e-9)
    assert float(participation_ratio(vectors.float())) == pytest.approx(expected, rel=1e-4)
    assert float(participation_ratio(vectors * 1e-12)) == pytest.approx(expected, rel=1e-9)
    assert 1 - 1e-9 <= expected <= min(rows - 1, width) + 1e-9


def test_participation_of_a_line_of_all_directions_and_of_one_point() -> None:
    line = torch.arange(5.0)[:, None] * torch.tensor([[1.0, 2.0, 2.0]]) + 7
    assert float(participation_ratio(line)) == pytest.approx(1, rel=1e-5)
    axes = torch.cat([torch.eye(6), -torch.eye(6)])
    assert float(participation_ratio(axes)) == pytest.approx(6, rel=1e-5)
    assert float(participation_ratio(torch.ones(4, 3))) == 0


def test_top_one_is_a_slow_count() -> None:
    generator = torch.Generator().manual_seed(0)
    query, queue = (losses.normalise(torch.randn(n, 5, generator=generator)) for n in (30, 12))
    key = losses.normalise(query + torch.randn(30, 5, generator=generator) / 2)
    own = [sum(float(a) * float(b) for a, b in zip(query[i], key[i], strict=True)) for i in range(30)]
    best = [max(float(query[i] @ slot) for slot in queue) for i in range(30)]
    expected = np.mean([mine > other for mine, other in zip(own, best, strict=True)])
    assert 0 < expected < 1
    assert float(top_one(query, key, queue)) == pytest.approx(expected)
    assert float(top_one(query, query, queue)) == 1


def test_gradient_norm_is_that_of_finite_differences() -> None:
    embeddings = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    queue = losses.normalise(torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))

    def loss_of(values: Tensor) -> Tensor:
        return losses.info_nce(losses.normalise(values), queue[:3], queue, 0.2).mean()

    slow = torch.zeros(3, 4, dtype=torch.float64)
    for i in range(3):
        for j in range(4):
            step = torch.zeros(3, 4, dtype=torch.float64)
            step[i, j] = 1e-6
            slow[i, j] = (loss_of(embeddings.detach() + step) - loss_of(embeddings.detach() - step)) / 2e-6
    loss = loss_of(embeddings)
    found = gradient_norm(loss, embeddings)
    assert found is not None
    assert float(found) == pytest.approx(float(slow.norm()), rel=1e-6)
    loss.backward()  # the graph is kept
    assert gradient_norm(queue.sum() + torch.zeros((), requires_grad=True), embeddings) is None


# --- of the methods --------------------------------------------------------------------------------------------------

LOGGED = {
    "moco": {"infonce_top1", "participation_z"},
    "densecl": {"infonce_top1", "participation_z"},
    "saliency": {"infonce_top1", "participation_z"},
    "byol": {"participation_z"},
    "saliency_byol": {"participation_z"},
    "mls": {
        "infonce_top1", "participation_z", "participation_g", "bce_over_ln2", "gradient_share",
        "gradient_share_positives",
    },
}  # fmt: skip
HEALTH = set.union(*LOGGED.values())


@pytest.mark.parametrize("name", LOGGED)
def test_a_run_logs_its_health_and_learns_the_same(name: str, images: Path, tmp_path: Path) -> None:
    """Logged at every step and hardly ever: equal to the bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pretrain.train.draw_figures", lambda *_: [])
        for run, every in (("often", 1), ("once", 1000)):
            pretrain(recipe_of(name, images, f"run.log_every={every}"), tmp_path / run)
    often, once = (
        [json.loads(line) for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("often", "once")
    )
    assert (len(often), len(once)) == (4, 1)
    assert HEALTH & once[-1].keys() == LOGGED[name]
    told = [key for key in once[-1] if key not in ("images_per_second", "data_wait_share")]
    assert [often[-1][key] for key in told] == [once[-1][key] for key in told]
    assert all(math.isfinite(value) for line in often for value in line.values())
    states = [load_checkpoint(tmp_path / run / "checkpoints") for run in ("often", "once")]
    assert states[0] is not None
    assert states[1] is not None
    tensors = {key: value for key, value in states[0]["method"].items() if isinstance(value, Tensor)}
    assert all(torch.equal(value, states[1]["method"][key]) for key, value in tensors.items())


def test_it_is_computed_only_where_a_line_is_logged(images: Path) -> None:
    for name in LOGGED:
        method = build(name, images)
        if not name.startswith("saliency"):
            fill(method)
            assert not HEALTH & method.training_step(batch_of(images=COUNT))[1].keys()


def test_what_moco_logs_is_of_the_slots_that_hold_a_key(images: Path) -> None:
    method = build("moco", images)
    assert isinstance(method, MomentumContrast)
    method.is_logged = True
    assert "participation_z" not in method.training_step(batch_of(images=COUNT))[1], "no slot holds a key"
    fill(method)
    batch = batch_of(images=COUNT)
    _, embeddings, keys = method.encode(batch)
    log = method.health(embeddings, keys)
    written = method.dictionary.projections[:12].double()
    values = torch.linalg.eigvalsh(torch.cov(written.T))
    assert float(log["participation_z"]) == pytest.approx(float(values.sum() ** 2 / values.square().sum()), rel=1e-4)
    query, key = losses.normalise(embeddings), losses.normalise(keys.projections)
    nearer = [float(query[i] @ key[i]) > float((method.dictionary.projections @ query[i]).max()) for i in range(4)]
    assert float(log["infonce_top1"]) == pytest.approx(np.mean(nearer))


@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
@pytest.mark.parametrize("loss", ["bce", "bce_positives"])
def test_shares_of_mls_are_those_of_gradients_one_after_the_other(reduction: str, loss: str, images: Path) -> None:
    method = build("mls", images, f"mls.reduction={reduction}", f"mls.loss={loss}", "mls.loss_weight=0.7")
    assert isinstance(method, Mls)
    fill(method)
    batch = batch_of(images=COUNT)
    method.is_logged = True
    _, log = method.training_step(batch)
    features, embeddings, keys = method.encode(batch)

    def gradient(function: object) -> Tensor:
        z = embeddings.detach().double().requires_grad_()
        function(z).backward()  # type: ignore[operator]
        assert z.grad is not None
        return z.grad

    queue = method.dictionary.projections.double()
    _, labels, excluded = method.scores_and_labels(features.detach(), embeddings.detach(), keys)

    def second(z: Tensor, of: str, at: float = 1.0) -> Tensor:
        function = losses.multi_label_bce if of == "bce" else losses.multi_label_bce_positives
        return function(at * losses.normalise(z) @ queue.T, labels, 0.2, excluded, reduction)

    first = gradient(
        lambda z: losses.info_nce(losses.normalise(z), losses.normalise(keys.projections).double(), queue, 0.2).mean()
    )
    expected = [0.7 * gradient(lambda z, of=of: second(z, of)).norm() / first.norm() for of in (loss, "bce_positives")]
    found = [float(log[name]) for name in ("gradient_share", "gradient_share_positives")]
    assert found == pytest.approx([float(one) for one in expected], rel=1e-3)
    if loss == "bce_positives":
        assert found[0] == pytest.approx(found[1])
    z = embeddings.detach().double()
    over = float(second(z, loss) / second(z, loss, at=0.0))
    assert float(log["bce_over_ln2"]) == pytest.approx(over, rel=1e-4)
    if loss == "bce" and reduction != "sum":
        assert float(log["bce_over_ln2"]) == pytest.approx(float(log["loss_multi_label"]) / math.log(2), rel=1e-4)


def test_what_has_no_share_is_left_out(images: Path) -> None:
    for keys, expected in (
        (["mls.dictionaries=g_only"], {"bce_over_ln2"}),
        (["mls.loss=knn_softmax"], {"gradient_share"}),
        (["mls.loss=infonce"], set()),
        (["mls.warmup_epochs=1"], set()),
    ):
        method = build("mls", images, *keys)
        fill(method)
        method.is_logged = True
        log = method.training_step(batch_of(images=COUNT))[1]
        assert log.keys() & {"bce_over_ln2", "gradient_share", "gradient_share_positives"} == expected, keys
        assert {"infonce_top1", "participation_z", "participation_g"} <= log.keys()
