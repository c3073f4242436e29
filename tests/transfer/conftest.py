"""Backbone files, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from transfer_helpers import MakeBackbone, lively_network

from transfer.backbone_file import BackboneInfo, Preprocessing, save_backbone
from transfer.networks.resnet import Architecture


@pytest.fixture(scope="session")
def make_backbone(tmp_path_factory: pytest.TempPathFactory) -> MakeBackbone:
    """``make_backbone(depth, stem_width, stride_in=..., preprocessing=..., seed=...)`` -> path; equal calls share."""
    folder = tmp_path_factory.mktemp("backbones")
    made: dict[object, Path] = {}

    def make(
        depth: int = 18,
        stem_width: int = 16,
        stride_in: str = "3x3",
        preprocessing: Preprocessing | None = None,
        seed: int = 0,
    ) -> Path:
        preprocessing = preprocessing or Preprocessing()
        key = (depth, stem_width, stride_in, preprocessing, seed)
        if key not in made:
            architecture = Architecture(depth=depth, stem_width=stem_width, stride_in=stride_in)
            made[key] = folder / f"{architecture.name}_{len(made)}.safetensors"
            info = BackboneInfo(architecture, preprocessing, method="moco_v2", branch="query", epochs=3)
            save_backbone(made[key], lively_network(architecture, seed).state_dict(), info)
        return made[key]

    return make
