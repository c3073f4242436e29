"""What the rules look at: a toolbox's keys translated into the same few settings for all toolboxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transfer.config_lint.tree import UNKNOWN, Config, Node, Place


@dataclass(frozen=True)
class Setting:
    """One setting with the key and the line that it comes from.

    Attributes:
        value: in the rules' common terms.
        written: whether a file of the chain states it; else it is the toolbox's default, and ``place`` is the nearest
            line of the configuration's own file where it could be stated.
    """

    value: Any
    key: str
    place: Place
    written: bool = True

    @property
    def origin(self) -> str:
        """For messages: `` (the default)`` where it is."""
        return "" if self.written else " (the toolbox's default)"


@dataclass(frozen=True)
class Inputs:
    """One place where images are normalised: values as they are written, which need not be three numbers.

    Attributes:
        pipeline: whether it is a step of a pipeline of transforms, of which each data set has its own.
    """

    channel_order: Setting | None
    mean: Setting | None
    std: Setting | None
    pipeline: bool = False


@dataclass(frozen=True)
class Source:
    """One place where weights are named.

    Attributes:
        name: the path or URL; its value None where it says that there are none.
        kind: the module that is loaded: ``model``, ``backbone`` or ``shared_head``.
        init_type: the type of the ``init_cfg`` that names it, ``""`` where it has none; None for other places.
    """

    name: Setting
    kind: str
    prefix: str | None = None
    init_type: str | None = None


@dataclass(frozen=True)
class Schedule:
    """Where the learning rate falls, and where training ends, in the same unit (iterations or epochs).

    Attributes:
        milestones: a list of numbers, as written.
        increasing: whether the toolbox needs them in order.
    """

    milestones: Setting
    length: Setting | None
    increasing: bool = True


@dataclass(frozen=True)
class Rate:
    """A learning rate with the images of a batch over all devices.

    Attributes:
        lowest, highest: what the toolbox's own configurations of this kind come to for this batch by the linear rule.
        batch: in words.
    """

    setting: Setting
    lowest: float
    highest: float
    batch: str


@dataclass(frozen=True)
class ClassCount:
    """A head's number of classes, and what its training set has."""

    setting: Setting
    wanted: int
    dataset: str


@dataclass(frozen=True)
class Training:
    """What a configuration says of schedule and data. Empty: unknown, or not written.

    Attributes:
        ends: of the learning rate's schedule, with the length of the training.
        units: a schedule whose unit the training loop does not count in, with the reason.
        crops: training crops ``[height, width]``, with the images' size they are cut from or the size that batches are
            padded to; each with what it is compared with.
        slides: strides of sliding windows, with the windows.
        ignored: labels that the loss ignores, with those that padding writes.
        channels: ``in_channels`` of what follows the backbone, with the backbone's.
        dilations: dilations of the backbone that do not follow from its strides, with the reason, and
            whether they are too small.
    """

    schedules: list[Schedule] = field(default_factory=list)
    ends: list[tuple[Setting, Setting]] = field(default_factory=list)
    units: list[tuple[Setting, str]] = field(default_factory=list)
    rate: Rate | None = None
    crops: list[tuple[Setting, Setting, str]] = field(default_factory=list)
    slides: list[tuple[Setting, Setting]] = field(default_factory=list)
    classes: list[ClassCount] = field(default_factory=list)
    ignored: list[tuple[Setting, Setting]] = field(default_factory=list)
    channels: list[tuple[Setting, list[int]]] = field(default_factory=list)
    dilations: list[tuple[Setting, str, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """A configuration in common terms. None or empty: unknown, computed, or not of this kind of model.

    Attributes:
        is_resnet: whether the backbone is one of the ResNets that the suite's weights are for.
        frozen_norm: whether the backbone's norm layers never learn (FrozenBN, ``requires_grad=False``).
        norm_in_eval: whether their statistics are those of the weights throughout training.
        norm: the backbone's type of norm.
        frozen_stages: whether any stage of the backbone is frozen.
        neck_norm: of an FPN, ``""`` where it has none.
        c4_head: type of the res5 RoI head of a network without neck.
        unnormalised: places where images should be normalised and are not.
        groups, group_width: of the 3x3 convolutions.
        norm_eps: of the backbone's norms, where it is written.
        one_device: a setting that says that training runs on one device only.
        training: schedule, crops and classes.
        misspelt: keys that no toolbox knows, each with the one that is probably meant.
        computed: keys that depend on the weights, whose values only running would tell.
    """

    config: Config
    is_resnet: bool = False
    inputs: list[Inputs] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    stride_in: Setting | None = None
    stem: Setting | None = None
    depth: Setting | None = None
    stem_width: Setting | None = None
    norm: Setting | None = None
    frozen_norm: Setting | None = None
    norm_in_eval: Setting | None = None
    frozen_stages: Setting | None = None
    neck_norm: Setting | None = None
    c4_head: Setting | None = None
    precise_bn: Setting | None = None
    unnormalised: list[Setting] = field(default_factory=list)
    groups: Setting | None = None
    group_width: Setting | None = None
    norm_eps: Setting | None = None
    training: Training = field(default_factory=Training)
    misspelt: list[tuple[Setting, str]] = field(default_factory=list)
    one_device: Setting | None = None
    computed: list[Setting] = field(default_factory=list)


class Lookup:
    """Looks keys up in a configuration, with the toolbox's defaults; collects those that are computed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.computed: list[Setting] = []

    def find(self, key: str, default: Any = None, under: Node | None = None, shown: str = "") -> Setting | None:
        """The setting at a dotted key.

        Args:
            default: the toolbox's; None where the absence of the key says nothing. Not used where a base is missing.
            under: the node that the key is relative to; the root where none is given.
            shown: the key's full name, for messages.
        """
        root = under or self.config.root
        node = root.get(key)
        if node is not None:
            value = node.plain()
            setting = Setting(value, shown or key, node.place)
            if value is UNKNOWN:
                if all(one.place != node.place for one in self.computed):  # a whole computed section is told once
                    self.computed.append(setting)
                return None
            return setting
        if default is None or not self.config.complete:
            return None
        return Setting(default, shown or key, root.nearest(key, self.config.file), written=False)


def translated(setting: Setting | None, value: Any) -> Setting | None:
    """The same setting with another value; None stays None."""
    return None if setting is None else Setting(value, setting.key, setting.place, setting.written)
