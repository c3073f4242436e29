"""Several processes that train as one: N processes with B / N images each equal one process with B.

Started by torchrun. What makes the equality: every process reads its rows of the global batch, BN's batch statistics
are those of the whole batch (:func:`synchronise_batch_norm`), keys are gathered into the dictionaries in the order of
the ranks, and DDP averages the gradients of losses that are means over equal numbers of rows. In one process every
function here does nothing and costs nothing.
"""

from __future__ import annotations

import copy
import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_alone = False


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if _initialised() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if _initialised() else 0


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def started_processes() -> int:
    """How many processes torchrun says it has started (before they have found one another)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def gather(tensor: Tensor) -> Tensor:
    """The rows of all processes in the order of their ranks, without gradient; ``tensor`` itself in one process.

    Args:
        tensor: B x ..., of the same shape in every process.

    Returns:
        N * B x ...
    """
    if world_size() == 1:
        return tensor
    parts = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(world_size())]
    dist.all_gather(parts, tensor.detach().contiguous())
    return torch.cat(parts)


def own_rows(tensor: Tensor) -> Tensor:
    """The rows of this process of a tensor over the global batch: what undoes :func:`gather`."""
    count = len(tensor) // world_size()
    return tensor[rank() * count : (rank() + 1) * count]


def mean_over_processes(value: Tensor) -> Tensor:
    """The plain mean of a tensor over the processes, without gradient; ``value`` itself in one process."""
    return value if world_size() == 1 else sum_over_processes(value) / world_size()


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of a tensor over the processes, without gradient; ``value`` itself in one process."""
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


@contextmanager
def alone() -> Iterator[None]:
    """Within it this process sees itself as the only one: for what one of several does, such as figures."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


@contextmanager
def only_main() -> Iterator[bool]:
    """For work that one process does for all: it sees itself as the only one meanwhile, the others wait at the end.

    They wait however long it takes, while a barrier (and any other collective) gives up after half an hour. To be
    entered by every process; yields whether this one is to work. Where the work fails the others go on waiting, until
    torchrun ends them.
    """
    group = _patient_group()
    if is_main():
        with alone():
            yield True
    else:
        yield False
    if group is not None:
        dist.barrier(group=group)


_patient: tuple[Any, Any] | None = None  # the processes that had found one another, and their group that never gives up


def _patient_group() -> Any:
    """Of all processes, on the CPU; made when it is first asked for, by all of them. None in one process."""
    global _patient
    if world_size() == 1:
        return None
    everybody = dist.group.WORLD
    if _patient is None or _patient[0] is not everybody:
        _patient = everybody, dist.new_group(backend="gloo", timeout=datetime.timedelta(days=365))
    return _patient[1]


class AnyProcess:
    """Asks whether a condition holds in any process, without a wait for the accelerator."""

    def __init__(self) -> None:
        # NCCL reduces on the GPU only, and reading its answer would wait for all work queued there.
        self._group: Any = dist.new_group(backend="gloo") if world_size() > 1 else None

    def any(self, condition: bool) -> bool:
        """Every process must ask, and all get the same answer."""
        if self._group is None:
            return condition
        flag = torch.tensor([int(condition)])
        dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._group)
        return bool(flag.item())


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        dist.barrier()


def synchronise_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let every batch normalisation in ``module`` take its batch statistics over all processes, in place.

    On CUDA by torch's SyncBatchNorm; that refuses CPU tensors, so there by :class:`AllReduceBatchNorm`.
    """
    if world_size() == 1:
        return
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            on_cuda = device.type == "cuda"
            setattr(
                module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child) if on_cuda else AllReduceBatchNorm(child)
            )
        else:
            synchronise_batch_norm(child, device)


def local_copy(module: nn.Module) -> nn.Module:
    """A copy that one process can run in training mode within :func:`alone`."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.SyncBatchNorm):
                setattr(parent, name, AllReduceBatchNorm(child))
    return copied


class _SumWithGradient(torch.autograd.Function):
    """The sum over the processes; a gradient comes back as the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return sum_over_processes(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return sum_over_processes(gradients[0].contiguous())


def _sum_with_gradient(value: Tensor) -> Tensor:
    total: Tensor = _SumWithGradient.apply(value)  # type: ignore[no-untyped-call]
    return total


class AllReduceBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of all processes, for any device; takes over another layer's tensors.

    Mean and variance are summed over the processes by an all-reduce that gradients flow back through, so that values,
    gradients and running statistics are those of one BatchNorm over the whole batch. Equal counts in every process.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked
        self.training = layer.training

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least two dimensions, found {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        """N x C x ..., to the same shape."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        other_axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        # As torch does: half-precision input is normalised in float32.
        values = input if input.dtype in (torch.float32, torch.float64) else input.float()
        count = values.numel() // values.shape[1] * world_size()
        mean = _sum_with_gradient(values.sum(other_axes)) / count
        centred = values - mean.view(shape)
        variance = _sum_with_gradient(centred.square().sum(other_axes)) / count
        self._move_running_statistics(mean.detach(), variance.detach() * (count / (count - 1)))
        normalised = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(input.dtype)

    @torch.no_grad()
    def _move_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        if not self.track_running_stats:
            return
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class GroupedStatistics:
    """Running statistics where BN is *not* synchronised: each process has its groups of shuffle-BN (``bn_groups``).

    One process passes through all G groups in turn, and each moves the running statistics r: ``r <- (1 - m) r + m s``.
    With N processes, each has moved the same start r0 by its own G / N groups to ``r_n = a r0 + c_n`` with
    ``a = (1 - m)^(G / N)``. In the order of the ranks that is ``a^N r0 + sum_n a^(N-1-n) c_n``: one all-reduce a step.

    Args:
        module: every layer in it is passed once a step, with momentum, by ``groups_here`` groups.
    """

    def __init__(self, module: nn.Module, groups_here: int) -> None:
        self.layers = [
            layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats
        ]
        self.groups = groups_here
        self._start: list[Tensor] = []

    def _buffers(self) -> list[tuple[Tensor, float]]:
        pairs = []
        for layer in self.layers:
            assert layer.running_mean is not None
            assert layer.running_var is not None
            assert layer.momentum is not None
            pairs += [(layer.running_mean, layer.momentum), (layer.running_var, layer.momentum)]
        return pairs

    def before_step(self) -> None:
        """Remember r0."""
        self._start = [buffer.clone() for buffer, _ in self._buffers()]

    @torch.no_grad()
    def after_step(self) -> None:
        """Put the statistics of all groups of all processes in place."""
        processes, number = world_size(), rank()
        pairs = self._buffers()
        shares = [(1 - momentum) ** self.groups for _, momentum in pairs]
        moved = [
            (buffer - share * start) * share ** (processes - 1 - number)
            for (buffer, _), start, share in zip(pairs, self._start, shares, strict=True)
        ]
        total = sum_over_processes(torch.cat(moved))
        for (buffer, _), start, share, part in zip(
            pairs, self._start, shares, total.split([len(part) for part in moved]), strict=True
        ):
            buffer.copy_(share**processes * start + part)
        for layer in self.layers:
            assert layer.num_batches_tracked is not None
            layer.num_batches_tracked.add_(self.groups * (processes - 1))


def _initialised() -> bool:
    return not _alone and dist.is_available() and dist.is_initialized()
