"""What the tests of transfer share: networks whose every tensor matters, and two families' preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from transfer.backbone_file import Preprocessing
from transfer.networks.resnet import Architecture, ResNet, build_resnet

MakeBackbone = Callable[..., Path]

SIMCLR = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""SimCLR v1/v2: pixels divided by 255 and nothing else (mean 0, std 255 on the 0-255 scale)."""
CAFFE = Preprocessing(mean=(103.53, 116.28, 123.675), std=(1.0, 1.0, 1.0), value_range=255.0, channel_order="BGR")
"""What Detectron2's defaults are made for."""


def lively_network(architecture: Architecture, seed: int = 0) -> ResNet:
    """Random weights with running statistics, norm weights, biases and counters that are not their initial values."""
    torch.manual_seed(seed)
    network = build_resnet(architecture).train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.2, 0.2)
            norm.momentum = 0.5
        for _ in range(2):
            network(torch.randn(2, 3, 64, 64))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()
