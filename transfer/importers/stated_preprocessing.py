"""Preprocessing as the user states it, and how it and the family's are made one. Nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing

OPTIONS = "--mean R G B --std R G B --value-range 1|255 --channel-order RGB|BGR"


@dataclass(frozen=True)
class StatedPreprocessing:
    """What was given on the command line; None where it was not.

    ``mean`` and ``std`` are in the channel order of the network's input, on the scale of ``value_range``.
    """

    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    value_range: float | None = None
    channel_order: str | None = None

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

    def over(self, known: Preprocessing | None, where: str, family: str) -> Preprocessing:
        """What was stated, and for the rest what the family fixes.

        Raises:
            UserError: neither says it.
        """
        if known is None and not self.complete:
            raise UserError(
                f"{where}: such a file ({family}) does not tell what preprocessing its weights were trained with; "
                f"state it ({OPTIONS}) or name the family with --from"
            )
        known = known or Preprocessing()
        if self.mean is None or self.std is None or self.value_range is None:
            return Preprocessing(known.mean, known.std, known.value_range, self.channel_order or known.channel_order)
        if self.channel_order is None and known.channel_order != "RGB":
            raise UserError(
                f"{where}: state --channel-order with --mean and --std ({family} has {known.channel_order})"
            )
        return Preprocessing(self.mean, self.std, self.value_range, self.channel_order or known.channel_order)


def _words(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)
