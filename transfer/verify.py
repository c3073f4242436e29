"""``scenebench verify A B``: are these two the same backbone, used in the same way? A table by stage answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from transfer import proof
from transfer.backbone_file import BackboneInfo
from transfer.exporters.read_back import read_anything
from transfer.networks.network import build_network


@dataclass(frozen=True)
class StageComparison:
    """One stage of two backbones.

    Attributes:
        tensors: how many there are, in the first and in the second.
        equal: how many are equal bit by bit.
        weight_difference: largest absolute difference over tensors of equal name and shape; None where there is none.
        feature_difference: largest absolute difference of the reference image's features, each network behind its own
            preprocessing; None where their shapes differ or one has no such stage.
    """

    stage: str
    tensors: tuple[int, int]
    equal: int
    weight_difference: float | None
    feature_difference: float | None

    @property
    def same(self) -> bool:
        """All tensors equal, and the features within the proof's tolerance (equal weights, so equal up to noise)."""
        return self.tensors == (self.equal, self.equal) and self.feature_difference is not None


@dataclass(frozen=True)
class Comparison:
    """Two backbones side by side.

    Attributes:
        differing_facts: what the two say about themselves and disagree on (architecture, preprocessing).
        features_agree: whether every stage's features are equal within :data:`transfer.proof.TOLERANCE`.
    """

    names: tuple[str, str]
    architectures: tuple[str, str]
    stages: list[StageComparison]
    differing_facts: list[str]
    features_agree: bool

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return not self.differing_facts and self.features_agree and all(stage.same for stage in self.stages)

    def table(self) -> str:
        """Aligned plain text, one line a stage, and the verdict."""
        lines = [f"A: {self.names[0]} ({self.architectures[0]})", f"B: {self.names[1]} ({self.architectures[1]})"]
        lines.append(f"{'stage':<10}{'A':>6}{'B':>6}{'equal':>7}{'max |weight A - B|':>21}{'max |feature A - B|':>22}")
        lines += [
            f"{row.stage:<10}{row.tensors[0]:>6}{row.tensors[1]:>6}{row.equal:>7}"
            f"{_number(row.weight_difference):>21}{_number(row.feature_difference):>22}"
            for row in self.stages
        ]
        lines += self.differing_facts
        return "\n".join([*lines, "the same backbone" if self.same else "DIFFERENT"])


def compare(first: Path | str, second: Path | str) -> Comparison:
    """Compare two backbone files, exported folders or checkpoints of a known family, in any combination.

    Raises:
        UserError: one of them cannot be read.
    """
    (info_a, tensors_a), (info_b, tensors_b) = read_anything(first), read_anything(second)
    features_a, features_b = _features(info_a, tensors_a), _features(info_b, tensors_b)
    stages = []
    features_agree = True
    for stage in dict.fromkeys((*features_a, *features_b)):  # each once, in their order
        ours = {name: tensor for name, tensor in tensors_a.items() if info_a.architecture.stage_of(name) == stage}
        theirs = {name: tensor for name, tensor in tensors_b.items() if info_b.architecture.stage_of(name) == stage}
        comparable = [name for name in ours if name in theirs and ours[name].shape == theirs[name].shape]
        feature_difference = _largest_difference(features_a.get(stage), features_b.get(stage))
        if feature_difference is None or not feature_difference <= proof.TOLERANCE * _peak(features_a[stage]):
            features_agree = False
        stages.append(
            StageComparison(
                stage=stage,
                tensors=(len(ours), len(theirs)),
                equal=sum(proof.same_bits(ours[name], theirs[name]) for name in comparable),
                weight_difference=max(
                    (float((ours[name].double() - theirs[name].double()).abs().max()) for name in comparable),
                    default=None,
                ),
                feature_difference=feature_difference,
            )
        )
    return Comparison(
        names=(str(first), str(second)),
        architectures=(info_a.architecture.name, info_b.architecture.name),
        stages=stages,
        differing_facts=_differing_facts(info_a, info_b),
        features_agree=features_agree,
    )


def _features(info: BackboneInfo, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    network = build_network(info.architecture)
    network.load_state_dict(tensors, strict=True)
    return proof.source_features(network, info, torch.device("cpu"))


def _differing_facts(first: BackboneInfo, second: BackboneInfo) -> list[str]:
    facts = []
    if first.architecture != second.architecture:
        facts.append(f"architecture: {first.architecture} / {second.architecture}")
    if first.preprocessing.channel_order != second.preprocessing.channel_order:
        facts.append(f"channel order: {first.preprocessing.channel_order} / {second.preprocessing.channel_order}")
    statistics = [torch.tensor(info.preprocessing.on_255_scale()) for info in (first, second)]
    if not torch.allclose(statistics[0], statistics[1], rtol=1e-6, atol=1e-6):
        facts.append(f"mean and std (0-255): {_rounded(statistics[0])} / {_rounded(statistics[1])}")
    return facts


def _largest_difference(first: Tensor | None, second: Tensor | None) -> float | None:
    if first is None or second is None or first.shape != second.shape:
        return None
    return float((first - second).abs().max())


def _peak(features: Tensor) -> float:
    return float(features.abs().max())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _rounded(statistics: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in statistics.tolist()]
