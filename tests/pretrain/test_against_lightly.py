"""MoCo-v2, DenseCL and BYOL against lightly: losses, queues and one training step, in float64.

The networks are ours in both; losses, memory banks, matching and momentum updates are lightly's on its side.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from method_batches import batch_of
from torch import Tensor

pytest.importorskip("lightly")

from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.utils import most_similar_index, select_most_similar, update_momentum

from pretrain.dense_losses import dense_info_nce, match_cells, unit_cells
from pretrain.dictionary import PairedDictionary
from pretrain.losses import byol_loss, info_nce, normalise
from pretrain.methods.base import Method
from pretrain.methods.byol import Byol
from pretrain.methods.densecl import DenseCl
from pretrain.methods.moco import Moco
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import load_recipe

BATCH, CELLS, CHANNELS, DIM, SLOTS, TAU = 4, 4, 6, 8, 16, 0.2
MOMENTUM, LR, LAMBDA = 0.9, 0.5, 0.3
IMAGES = [Path(f"{index}.jpg") for index in range(10)]
SMALL = [
    "network.stem_width=8", f"network.projector.output_dim={DIM}", f"schedule.batch_size={BATCH}",
    "views.crop_size=64", "run.precision=float64",
]  # fmt: skip
KEYS = {
    "moco": [f"moco.queue_size={SLOTS}", f"moco.momentum={MOMENTUM}"],
    "densecl": [f"densecl.queue_size={SLOTS}", f"densecl.momentum={MOMENTUM}", f"densecl.loss_weight={LAMBDA}"],
    "byol": ["byol.predictor_hidden_dim=16", f"byol.momentum={MOMENTUM}", "byol.momentum_schedule=constant"],
}


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def nt_xent(bank: Tensor) -> NTXentLoss:
    """lightly's InfoNCE with a memory bank, which holds ``bank`` and takes the keys after each loss."""
    loss = NTXentLoss(temperature=TAU, memory_bank_size=tuple(bank.shape)).double()
    loss.memory_bank.bank.copy_(bank)
    loss.memory_bank.bank_ptr.zero_()
    return loss


# --- losses -------------------------------------------------------------------------------------------------------


def test_info_nce() -> None:
    query, key, queue = randn(BATCH, DIM, seed=1), randn(BATCH, DIM, seed=2), normalise(randn(SLOTS, DIM, seed=3))
    ours = info_nce(normalise(query), normalise(key), queue, TAU).mean()
    torch.testing.assert_close(ours, nt_xent(queue)(query, key), rtol=0, atol=1e-12)


def test_the_queue_is_the_memory_bank() -> None:
    """Over more than one round: what is in it, in which slot, and that a step sees it as it was before."""
    dictionary = PairedDictionary(SLOTS, DIM).double()
    theirs = nt_xent(dictionary.projections)
    for step in range(6):
        query, key = randn(BATCH, DIM, seed=10 + step).requires_grad_(), randn(BATCH, DIM, seed=20 + step)
        ours = info_nce(normalise(query), normalise(key), dictionary.projections, TAU).mean()
        torch.testing.assert_close(ours, theirs(query, key), rtol=0, atol=1e-12)
        dictionary.enqueue(key, key, torch.arange(BATCH), torch.zeros(BATCH, 4))
        torch.testing.assert_close(dictionary.projections, theirs.memory_bank.bank, rtol=0, atol=1e-12)


def test_dense_matches_and_loss() -> None:
    query_map, key_map = randn(BATCH, CHANNELS, 2, 2, seed=1), randn(BATCH, CHANNELS, 2, 2, seed=2)
    queries, keys = randn(BATCH, CELLS, DIM, seed=3), randn(BATCH, CELLS, DIM, seed=4)
    queue = normalise(randn(SLOTS, DIM, seed=5))
    matches = match_cells(query_map, key_map)
    query_cells, key_cells = query_map.flatten(2).transpose(1, 2), key_map.flatten(2).transpose(1, 2)
    assert torch.equal(matches, most_similar_index(query_cells, key_cells))
    selected = select_most_similar(query_cells, key_cells, keys)
    theirs = nt_xent(queue)(queries.flatten(0, 1), selected.flatten(0, 1))
    ours = dense_info_nce(unit_cells(queries), unit_cells(keys), matches, queue, TAU).mean()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_byol_loss() -> None:
    """Ours is BYOL's squared distance 2 - 2 cos; lightly's is -cos: twice as steep and 2 higher."""
    prediction, target = randn(BATCH, DIM, seed=1), randn(BATCH, DIM, seed=2)
    theirs = NegativeCosineSimilarity()(prediction, target)
    torch.testing.assert_close(byol_loss(prediction, target).mean(), 2 * theirs + 2, rtol=0, atol=1e-12)


# --- one training step --------------------------------------------------------------------------------------------


def build(name: str, monkeypatch: pytest.MonkeyPatch) -> Method:
    torch.manual_seed(3)
    method = method_class(name)(load_recipe(f"{name}_demo", [*SMALL, *KEYS[name]]), IMAGES).train().double()
    normalised = method.normalised
    monkeypatch.setattr(method, "normalised", lambda pixels: normalised(pixels).double())
    return method


def step(method: Method, loss: Tensor) -> None:
    parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=LR)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def moco_by_lightly(method: Method) -> Callable[[Tensor, Tensor], Tensor]:
    assert isinstance(method, Moco)
    criterion = nt_xent(method.dictionary.projections)

    def loss(first: Tensor, second: Tensor) -> Tensor:
        _, query = method.query_encoder(first)
        with torch.no_grad():
            _, key = method.key_encoder(second)
        value: Tensor = criterion(query, key)
        return value

    return loss


def densecl_by_lightly(method: Method) -> Callable[[Tensor, Tensor], Tensor]:
    """As lightly's DenseCL example, but for the dense bank: the example fills it with the matched key cells.

    DenseCL fills it with the pooled dense keys, so here it is filled by hand.
    """
    assert isinstance(method, DenseCl)
    criterion = nt_xent(method.dictionary.projections)
    dense_criterion = nt_xent(method.dense_dictionary.projections)

    def loss(first: Tensor, second: Tensor) -> Tensor:
        maps, queries = method.query_encoder(first)
        with torch.no_grad():
            key_maps, keys = method.key_encoder(second)
        cells, key_cells = maps.flatten(2).transpose(1, 2), key_maps.flatten(2).transpose(1, 2)
        selected = select_most_similar(cells, key_cells, keys[:, 1:])
        bank, slot = dense_criterion.memory_bank.bank.clone(), int(criterion.memory_bank.bank_ptr)
        dense: Tensor = dense_criterion(queries[:, 1:].flatten(0, 1), selected.flatten(0, 1))
        bank[slot : slot + BATCH] = normalise(keys[:, 1:].mean(dim=1))
        dense_criterion.memory_bank.bank.copy_(bank)
        contrastive: Tensor = criterion(queries[:, 0], keys[:, 0])
        return (1 - LAMBDA) * contrastive + LAMBDA * dense

    return loss


def byol_by_lightly(method: Method) -> Callable[[Tensor, Tensor], Tensor]:
    """Both directions, times the factor of :func:`test_byol_loss`, plus its offset (which no gradient sees)."""
    assert isinstance(method, Byol)
    criterion = NegativeCosineSimilarity()

    def loss(first: Tensor, second: Tensor) -> Tensor:
        predictions = [method.predictor(method.online_encoder(view)[1]) for view in (first, second)]
        with torch.no_grad():
            targets = [method.target_encoder(view)[1] for view in (first, second)]
        one_way, other_way = criterion(predictions[0], targets[1]), criterion(predictions[1], targets[0])
        value: Tensor = 2 * (one_way + other_way) + 4
        return value

    return loss


@pytest.mark.parametrize(
    ("name", "by_lightly"),
    [("moco", moco_by_lightly), ("densecl", densecl_by_lightly), ("byol", byol_by_lightly)],
)
def test_training_steps(
    name: str,
    by_lightly: Callable[[Method], Callable[[Tensor, Tensor], Tensor]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five steps, more than the queue holds: equal losses, equal weights of both encoders."""
    ours, theirs = build(name, monkeypatch), build(name, monkeypatch)
    loss_of = by_lightly(theirs)
    leader, follower = {"byol": ("online_encoder", "target_encoder")}.get(name, ("query_encoder", "key_encoder"))
    before = [parameter.clone() for parameter in ours.parameters()]
    for number in range(5):
        batch = batch_of(number, images=len(IMAGES), crop_size=64)
        loss, _ = ours(batch)
        expected = loss_of(*(theirs.normalised(batch.global_views[:, view]) for view in range(2)))
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-9)
        step(ours, loss)
        ours.after_step()
        step(theirs, expected)
        update_momentum(getattr(theirs, leader), getattr(theirs, follower), MOMENTUM)
        for (parameter, our), their in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(our, their, rtol=0, atol=1e-9, msg=f"{parameter} after step {number}")
    assert all(not torch.equal(now, was) for now, was in zip(ours.parameters(), before, strict=True))
