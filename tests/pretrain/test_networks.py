"""Encoders, momentum copies and batch statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pretrain.networks import (
    Encoder,
    Projector,
    encode_in_groups,
    estimate_running_statistics,
    momentum_copy,
    unchanged_running_statistics,
    update_momentum_copy,
)
from pretrain.recipes.network import NetworkRecipe, ProjectorRecipe

NARROW = NetworkRecipe(depth=18, stem_width=8, projector=ProjectorRecipe(output_dim=16))


def names(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.children()]


def test_moco_v2s_projector() -> None:
    projector = Projector(64, ProjectorRecipe(output_dim=16))
    assert names(projector) == ["Linear", "ReLU", "Linear"]
    assert [tuple(p.shape) for p in projector.parameters()] == [(64, 64), (64,), (16, 64), (16,)]


def test_projector_with_batch_norm_gives_standardised_embeddings() -> None:
    projector = Projector(64, ProjectorRecipe(hidden_dim=32, output_dim=16, batch_norm="all"))
    assert names(projector) == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    embeddings = projector(torch.randn(32, 64))
    assert torch.allclose(embeddings.mean(dim=0), torch.zeros(16), atol=1e-5)
    assert torch.allclose(embeddings.std(dim=0, correction=0), torch.ones(16), atol=1e-2)


@pytest.mark.parametrize(("depth", "width", "feature_dim"), [(18, 8, 64), (50, 8, 256), (18, 64, 512)])
def test_encoder_gives_features_and_embeddings(depth: int, width: int, feature_dim: int) -> None:
    encoder = Encoder(NetworkRecipe(depth=depth, stem_width=width, projector=ProjectorRecipe(output_dim=16)))
    features, embeddings = encoder(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, feature_dim)
    assert embeddings.shape == (2, 16)
    assert torch.equal(encoder.projector(features), embeddings)


def test_momentum_copy_follows_by_the_formula_and_keeps_its_buffers() -> None:
    leader = Encoder(NARROW)
    follower = momentum_copy(leader)
    assert not any(parameter.requires_grad for parameter in follower.parameters())
    old = [parameter.clone() for parameter in follower.parameters()]
    with torch.no_grad():
        for parameter in leader.parameters():
            parameter.add_(torch.randn_like(parameter))
        leader.backbone.bn1.running_mean.fill_(5)
    update_momentum_copy(follower, leader, 0.9)
    for before, now, target in zip(old, follower.parameters(), leader.parameters(), strict=True):
        assert torch.allclose(now, 0.9 * before + 0.1 * target, atol=1e-6)
    assert torch.equal(follower.backbone.bn1.running_mean, torch.zeros(8))


def test_groups_have_their_own_batch_statistics() -> None:
    encoder = Encoder(NARROW)
    images = torch.randn(8, 3, 32, 32)
    features, embeddings = encode_in_groups(encoder, images, 2)
    expected = [encoder(images[:4]), encoder(images[4:])]
    assert torch.allclose(features, torch.cat([part[0] for part in expected]), atol=1e-5)
    assert torch.allclose(embeddings, torch.cat([part[1] for part in expected]), atol=1e-5)
    assert not torch.allclose(features, encoder(images)[0], atol=1e-3)


def test_running_statistics_can_be_left_alone() -> None:
    encoder = Encoder(NARROW)
    encoder(torch.randn(8, 3, 32, 32))
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    with unchanged_running_statistics(encoder):
        inside = encoder(torch.full((8, 3, 32, 32), 2.0) + torch.randn(8, 3, 32, 32))[0]
    assert inside.requires_grad
    for name, buffer in encoder.named_buffers():
        assert torch.equal(buffer, before[name]), name
    encoder(torch.randn(8, 3, 32, 32))
    assert int(encoder.backbone.bn1.num_batches_tracked) == 2
    assert encoder.backbone.bn1.momentum == 0.1
    assert not torch.equal(encoder.backbone.bn1.running_mean, before["backbone.bn1.running_mean"])


def test_estimated_statistics_are_the_plain_average_over_batches() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
    batches = [torch.randn(6, 3, 5, 5) + shift for shift in (0, 1, 2)]
    assert estimate_running_statistics(network, iter(batches)) == 18
    outputs = [network[0](batch) for batch in batches]
    mean = torch.stack([output.mean(dim=(0, 2, 3)) for output in outputs]).mean(dim=0)
    variance = torch.stack([output.var(dim=(0, 2, 3)) for output in outputs]).mean(dim=0)
    assert torch.allclose(network[1].running_mean, mean, atol=1e-5)
    assert torch.allclose(network[1].running_var, variance, atol=1e-5)
    assert network[1].momentum == 0.1
