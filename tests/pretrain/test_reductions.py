"""The reductions of MLS's second loss against a slow float64 oracle, in one process and in two; what has none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from method_batches import own_keys
from several_processes import launch
from torch import Tensor

from pretrain import losses
from pretrain.recipes.recipe import load_recipe
from scenebench.errors import UserError

B, D, TAU = 4, 9, 0.2


def made_up(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, labels and excluded entries; the first image has no positive, the second nothing at all."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(B, D, dtype=torch.float64, generator=generator) * 2 - 1
    labels, excluded = (torch.rand(B, D, generator=generator) < share for share in (0.3, 0.2))
    labels[0], excluded[1] = False, True
    return scores, labels & ~excluded, excluded


def slow(scores: Tensor, labels: Tensor, excluded: Tensor, reduction: str, only_positives: bool) -> float:
    positives, negatives, rows = [], [], [0.0] * B
    for i in range(B):
        for j in range(D):
            if excluded[i, j]:
                continue
            p = 1 / (1 + math.exp(-float(scores[i, j]) / TAU))
            term = -math.log(p) if labels[i, j] else -math.log(1 - p)
            (positives if labels[i, j] else negatives).append(term)
            rows[i] += term if labels[i, j] or not only_positives else 0.0
    if reduction == "sum":
        return sum(rows) / B
    if reduction == "mean":
        return sum(rows) / (len(positives) + len(negatives))
    apart = [sum(terms) / len(terms) for terms in (positives, negatives)]
    return apart[0] / 2 if only_positives else sum(apart) / 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reduction", losses.REDUCTIONS)
@pytest.mark.parametrize("only_positives", [False, True])
@pytest.mark.parametrize("with_excluded", [False, True])
def test_a_reduction_is_that_of_a_slow_count(
    seed: int, reduction: str, only_positives: bool, with_excluded: bool
) -> None:
    scores, labels, excluded = made_up(seed)
    excluded = excluded if with_excluded else torch.zeros_like(excluded)
    function = losses.multi_label_bce_positives if only_positives else losses.multi_label_bce
    found = function(scores, labels, TAU, excluded if with_excluded else None, reduction)
    assert float(found) == pytest.approx(slow(scores, labels, excluded, reduction, only_positives), abs=1e-12)


def test_the_mean_is_what_it_was_and_the_default() -> None:
    scores, labels, _ = made_up(0)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(scores / TAU, labels.double())
    assert torch.equal(losses.multi_label_bce(scores, labels, TAU), plain)
    assert torch.equal(losses.multi_label_bce(scores, labels, TAU, reduction="mean"), plain)


def test_scores_of_zero_are_ln_2_by_mean_and_balanced_and_d_times_that_by_sum() -> None:
    _, labels, _ = made_up(0)
    zeros = torch.zeros(B, D, dtype=torch.float64)
    found = [float(losses.multi_label_bce(zeros, labels, TAU, reduction=name)) for name in losses.REDUCTIONS]
    assert found == pytest.approx([math.log(2), D * math.log(2), math.log(2)], abs=1e-12)


def test_balanced_without_positives_is_half_the_negatives_and_its_gradient_is_finite() -> None:
    scores = made_up(0)[0].requires_grad_()
    nothing = torch.zeros(B, D, dtype=torch.bool)
    loss = losses.multi_label_bce(scores, nothing, TAU, reduction="balanced")
    loss.backward()
    assert float(loss.detach()) == pytest.approx(
        float(losses.multi_label_bce(scores.detach(), nothing, TAU)) / 2, abs=1e-12
    )
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert float(losses.multi_label_bce_positives(scores.detach(), nothing, TAU, reduction="balanced")) == 0


def test_positives_and_negatives_together_are_the_whole() -> None:
    """Under every reduction the positives' part and that of the negatives (labels and scores turned round) add up."""
    scores, labels, excluded = made_up(1)
    for reduction in losses.REDUCTIONS:
        whole = losses.multi_label_bce(scores, labels, TAU, excluded, reduction)
        parts = [
            losses.multi_label_bce_positives(scores, labels, TAU, excluded, reduction),
            losses.multi_label_bce_positives(-scores, ~labels & ~excluded, TAU, excluded, reduction),
        ]
        assert float(whole) == pytest.approx(float(sum(parts)), abs=1e-12), reduction


SCRIPT = """
import torch, torch.distributed as dist
from pretrain import losses
from pretrain.distributed import mean_over_processes, own_rows
dist.init_process_group("gloo")
generator = torch.Generator().manual_seed(0)
scores = torch.rand(6, 9, dtype=torch.float64, generator=generator)
labels, excluded = (torch.rand(6, 9, generator=generator) < share for share in (0.3, 0.3))
excluded[:2] = True
labels &= ~excluded
for function in (losses.multi_label_bce, losses.multi_label_bce_positives):
    for reduction in losses.REDUCTIONS:
        for without in (excluded, None):
            part = None if without is None else own_rows(without)
            rows = own_rows(scores).clone().requires_grad_()
            found = function(rows, own_rows(labels), 0.2, part, reduction)
            found.backward()
            loss = mean_over_processes(found.detach())
            whole_scores = scores.clone().requires_grad_()
            import pretrain.distributed as d
            with d.alone():
                whole = function(whole_scores, labels, 0.2, without, reduction)
            whole.backward()
            assert torch.allclose(loss, whole.detach(), atol=1e-12, rtol=0), (function, reduction)
            # DDP takes the mean of the processes' gradients
            assert torch.allclose(rows.grad / 2, own_rows(whole_scores.grad), atol=1e-12, rtol=0), (function, reduction)
dist.destroy_process_group()
"""


def test_two_processes_reduce_as_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = launch(2, str(tmp_path / "script.py"))
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("loss", ["knn_softmax", "infonce"])
def test_a_loss_without_reductions_is_refused_one(loss: str) -> None:
    for reduction in ("sum", "balanced"):
        with pytest.raises(UserError, match=f"mls.reduction: {reduction} is not defined for mls.loss={loss}") as caught:
            load_recipe("mls_demo", [f"mls.loss={loss}", f"mls.reduction={reduction}"])
        assert "\n" not in str(caught.value)
    load_recipe("mls_demo", [f"mls.loss={loss}", "mls.reduction=mean"])
    with pytest.raises(UserError, match=r"mls.reduction: unknown value 'ballanced' \(did you mean 'balanced'\?\)"):
        load_recipe("mls_demo", own_keys("mls", ["mls.reduction=ballanced"]))
