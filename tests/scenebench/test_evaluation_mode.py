from __future__ import annotations

import pytest
from torch import nn

from scenebench.evaluation_mode import evaluation_mode


def test_each_part_is_in_its_own_mode_afterwards() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2)).train()
    model[1].eval()
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert [module.training for module in model.modules()] == [True, True, False]
