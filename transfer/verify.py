"""``scenebench verify A B``: are these two the same backbone, used in the same way? A table by stage answers."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scenebench.errors import TransferError, UserError
from scenebench.exit_codes import DIFFERENT, NOT_BUILT
from transfer import proof
from transfer.backbone_file import BackboneInfo, is_backbone_file, save_backbone
from transfer.exporters.export_proof import NotInstalled, prove_folder
from transfer.exporters.read_back import read_anything
from transfer.networks.network import build_network
from transfer.proof import TransferReport


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
        names, architectures: of the two.
        stages: none where one of them cannot be read as a backbone.
        differing_facts: what the two disagree on (architecture, preprocessing), or why an export's proof fails.
        features_agree: whether every stage's features are equal within :data:`transfer.proof.TOLERANCE`.
        notes: what a user of an export has to know.
        not_built: why an export's model could not be built, where its toolbox is not installed; "" otherwise.
    """

    names: tuple[str, str]
    architectures: tuple[str, str]
    stages: list[StageComparison]
    differing_facts: list[str]
    features_agree: bool
    notes: tuple[str, ...] = ()
    not_built: str = ""

    @property
    def differs(self) -> bool:
        """Whether a difference was found."""
        return bool(self.differing_facts) or not self.features_agree or not all(stage.same for stage in self.stages)

    @property
    def same(self) -> bool:
        """Nothing differs, and everything was compared."""
        return not self.differs and not self.not_built

    @property
    def exit_code(self) -> int:
        """Of the command: 0, or one of :mod:`scenebench.exit_codes`."""
        if self.differs:
            return DIFFERENT
        return NOT_BUILT if self.not_built else 0

    def table(self) -> str:
        """Aligned plain text, one line a stage, and the verdict."""
        lines = [
            f"{letter}: {name}{f' ({architecture})' if architecture else ''}"
            for letter, name, architecture in zip("AB", self.names, self.architectures, strict=True)
        ]
        if self.stages:
            columns = f"{'max |weight A - B|':>21}{'max |feature A - B|':>22}"
            lines.append(f"{'stage':<10}{'A':>6}{'B':>6}{'equal':>7}{columns}")
        lines += [
            f"{row.stage:<10}{row.tensors[0]:>6}{row.tensors[1]:>6}{row.equal:>7}"
            f"{_number(row.weight_difference):>21}{_number(row.feature_difference):>22}"
            for row in self.stages
        ]
        return "\n".join([*lines, *self.differing_facts, *self.notes, self.verdict])

    @property
    def verdict(self) -> str:
        """The last line."""
        if self.differs:
            return "DIFFERENT"
        return f"tensors compared, model not built: {self.not_built}" if self.not_built else "the same backbone"


def compare(first: Path | str, second: Path | str) -> Comparison:
    """Compare two backbone files, exported folders or checkpoints of a known family, in any combination.

    An exported folder is checked by its exporter's own proof: its toolbox builds the model and loads the weights from
    the files as they lie there.

    Raises:
        UserError: one of them cannot be read.
    """
    first, second = Path(first), Path(second)
    if first.is_dir() or second.is_dir():
        return _compare_exports(first, second)
    return _compare_files(first, second)


def _compare_exports(first: Path, second: Path) -> Comparison:
    """At least one is an exported folder. Of two, the first one's files say which backbone both must carry."""
    refusals: list[str] = []
    missing: list[str] = []
    reports: list[TransferReport] = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            source = _backbone_file(second if first.is_dir() and not second.is_dir() else first, Path(scratch))
            for folder in (side for side in (first, second) if side.is_dir()):
                reports.append(prove_folder(folder, source))
        except NotInstalled as error:
            missing.append(str(error))
        except TransferError as error:
            refusals.append(str(error))
    if not refusals and not missing:
        return _proven(first, second, reports)
    try:
        read = _compare_files(first, second)
    except UserError as error:
        if not refusals and not isinstance(error, TransferError):
            raise
        refusals = refusals or [str(error)]
        read = Comparison((str(first), str(second)), ("", ""), [], [], features_agree=False)
    # The proof's reason last: the line before the verdict.
    return dataclasses.replace(read, differing_facts=[*read.differing_facts, *refusals], not_built="; ".join(missing))


def _proven(first: Path, second: Path, reports: list[TransferReport]) -> Comparison:
    report = reports[-1]
    left_out = max(report.counters_without_place for report in reports)
    notes = [f"{left_out} batch counters have no place in the target's frozen norms"] if left_out else []
    return Comparison(
        names=(str(first), str(second)),
        architectures=(report.architecture, report.architecture),
        stages=[
            StageComparison(stage, (count, count), count, 0.0, report.max_abs_difference[stage])
            for stage, count in report.tensors.items()
        ],
        differing_facts=[],
        features_agree=True,  # or the proof had failed
        notes=tuple(dict.fromkeys([*notes, *(note for report in reports for note in report.notes)])),
    )


def _backbone_file(path: Path, scratch: Path) -> Path:
    """``path`` itself where it is a backbone file, else one in ``scratch`` of what can be read at ``path``."""
    if not path.is_dir() and is_backbone_file(path):
        return path
    info, tensors = read_anything(path)
    made = scratch / path.absolute().name
    save_backbone(made, tensors, info)
    return made


def _compare_files(first: Path, second: Path) -> Comparison:
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
