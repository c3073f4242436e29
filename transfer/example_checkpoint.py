"""A small checkpoint in MoCo's layout with random weights, for trying the commands."""

from __future__ import annotations

from pathlib import Path

import torch

from scenebench.files import replacing
from transfer.networks.resnet import Architecture, build_resnet


def write_example(path: Path | str) -> None:
    """Write a ResNet-18 of stem width 16 as MoCo saves it: both encoders, a head, a queue."""
    torch.manual_seed(0)
    network = build_resnet(Architecture(depth=18, stem_width=16)).state_dict()
    state = {f"module.encoder_q.{name}": tensor for name, tensor in network.items()}
    state |= {f"module.encoder_k.{name}": tensor * 0.9 for name, tensor in network.items()}
    state |= {"module.encoder_q.fc.weight": torch.randn(32, 128), "module.queue": torch.randn(32, 16)}
    with replacing(path) as temporary:
        torch.save({"epoch": 1, "arch": "resnet18", "state_dict": state}, temporary)
