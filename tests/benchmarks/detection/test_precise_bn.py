"""PreciseBN shows its progress as training does, and takes the batches that it would have taken."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.detection import precise_bn
from scenebench.progress import Progress


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said, one line every two batches of one second each."""
    said: list[str] = []

    class Timed(Progress):
        def __init__(self, total: int, what: str) -> None:
            self.now = 0.0
            super().__init__(total, what, 2.0, clock=lambda: self.now, write=said.append)

        def advance(self, count: int = 1, note: str = "") -> None:
            self.now += count
            super().advance(count, note)

    monkeypatch.setattr(precise_bn, "Progress", Timed)
    return said


class FakeHook:
    """What of Detectron2's hook is used."""

    def __init__(self, batches: int, each: int) -> None:
        self._disabled, self._num_iter, self._data_loader = False, each, range(batches)


def test_every_estimate_counts_from_its_own_beginning(lines: list[str]) -> None:
    hook = FakeHook(batches=9, each=4)
    precise_bn.show_progress(hook, "p1: PreciseBN batch")
    batches = iter(hook._data_loader)
    assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    first = [*lines]
    assert first == ["p1: PreciseBN batch: 2/4, 1.00/s, ETA 0:02"]
    assert [*batches] == [4, 5, 6, 7, 8], "the same batches, in their order, to the end"
    assert [line.split(",")[0] for line in lines[1:]] == ["p1: PreciseBN batch: 4/4", *["p1: PreciseBN batch: 2/4"],
                                                         "p1: PreciseBN batch: 4/4"]  # fmt: skip


def test_detectron2s_own_hook_says_it_and_estimates_the_same(lines: list[str]) -> None:
    hooks = pytest.importorskip("detectron2.engine.hooks")
    batches = [torch.randn(8, 3, generator=torch.Generator().manual_seed(number)) for number in range(6)]
    means = []
    for shown in (False, True):
        model = nn.BatchNorm1d(3)
        hook = hooks.PreciseBN(0, model, batches, 6)
        if shown:
            precise_bn.show_progress(hook, "p1: PreciseBN batch")
        hook.update_stats()
        assert model.running_mean is not None
        means.append(model.running_mean)
    assert torch.equal(means[0], means[1])
    assert torch.allclose(means[0], torch.cat(batches).mean(0), atol=1e-6)
    assert lines[0].startswith("p1: PreciseBN batch: 2/6, ")


def test_a_hook_that_found_nothing_to_estimate_is_left_alone() -> None:
    """It has no loader."""
    hooks = pytest.importorskip("detectron2.engine.hooks")
    hook = hooks.PreciseBN(0, nn.Linear(2, 2), [], 6)
    precise_bn.show_progress(hook, "p1: PreciseBN batch")
    assert hook.update_stats() is None
