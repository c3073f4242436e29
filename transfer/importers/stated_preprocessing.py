"""Preprocessing as the user states it, and how it and the family's are made one. Nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.networks.resnet import BLOCKS_BY_DEPTH, Architecture

OPTIONS = "--mean R G B --std R G B --value-range 1|255 --channel-order RGB|BGR"


@dataclass(frozen=True)
class StatedPreprocessing:
    """What was given on the command line; None where it was not.

    ``mean`` and ``std`` are in the channel order of the network's input, on the scale of ``value_range``. ``stride_in``
    is no preprocessing, but goes with it: neither shows in the tensors.
    """

    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    value_range: float | None = None
    channel_order: str | None = None
    stride_in: str | None = None

    def __post_init__(self) -> None:
        scale = {"--mean": self.mean, "--std": self.std, "--value-range": self.value_range}
        missing = [option for option, value in scale.items() if value is None]
        if 0 < len(missing) < len(scale):
            raise UserError(
                f"--mean, --std and --value-range mean nothing without one another: {' and '.join(missing)} missing"
            )
        if self.mean is None or self.std is None or self.value_range is None:
            return
        Preprocessing(self.mean, self.std, self.value_range, self.channel_order or "RGB")  # raises where impossible
        if min(self.mean) < 0 or max(self.mean) > self.value_range:
            raise UserError(
                f"--mean {_words(self.mean)} lies outside 0 to {self.value_range:g} (--value-range): is it for pixels "
                "on another scale?"
            )
        if self.value_range > 2 and 0 < max(self.mean) <= 1 and max(self.std) <= 1:
            raise UserError(
                f"--mean {_words(self.mean)} --std {_words(self.std)} are statistics of pixels on 0 to 1, but "
                f"--value-range is {self.value_range:g}; state --value-range 1"
            )

    @property
    def anything(self) -> bool:
        """Whether anything was stated."""
        return self != StatedPreprocessing()

    @property
    def complete(self) -> bool:
        """Whether nothing is left to a family."""
        return self.mean is not None and self.channel_order is not None

    def over(self, known: Preprocessing | None, where: str, family: str, hint: str = "") -> Preprocessing:
        """What was stated, and for the rest what the family fixes; ``hint`` goes with the error.

        Raises:
            UserError: neither says it.
        """
        if known is None and not self.complete:
            raise UserError(
                f"{where}: such a file ({family}) does not tell what preprocessing its weights were trained with; "
                f"state it ({OPTIONS}) or name the family with --from{hint}"
            )
        known = known or Preprocessing()
        if self.mean is None or self.std is None or self.value_range is None:
            return Preprocessing(known.mean, known.std, known.value_range, self.channel_order or known.channel_order)
        if self.channel_order is None and known.channel_order != "RGB":
            raise UserError(
                f"{where}: state --channel-order with --mean and --std ({family} has {known.channel_order})"
            )
        return Preprocessing(self.mean, self.std, self.value_range, self.channel_order or known.channel_order)


def stride_of(
    architecture: Architecture,
    known: str | None,
    stated: StatedPreprocessing,
    preprocessing: Preprocessing,
    where: str,
) -> str:
    """Where the bottlenecks stride: as stated, or as the family or file says. Basic blocks have no choice.

    Caffe's preprocessing (BGR, not divided) goes with Caffe's stride in the 1x1; where only the former was stated over
    a family that has the latter in the 3x3, the user must say the stride as well.

    Raises:
        UserError: nobody says it.
    """
    if BLOCKS_BY_DEPTH[architecture.depth][0].expansion == 1:
        return known or "3x3"
    if stated.stride_in is not None:
        return stated.stride_in
    caffe = preprocessing.channel_order == "BGR" and preprocessing.on_255_scale()[1] == (1.0, 1.0, 1.0)
    if known is None or (known == "3x3" and caffe and stated.mean is not None):
        raise UserError(
            f"{where}: such a file does not tell where its bottlenecks stride; state it: --stride-in 3x3 (torchvision, "
            "style='pytorch', STRIDE_IN_1X1 False) or --stride-in 1x1 (style='caffe', MSRA's weights)"
        )
    return known


def _words(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
