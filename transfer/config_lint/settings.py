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
    """One place where images are normalised: values as the toolbox applies them to 0-255 images."""

    channel_order: Setting | None
    mean: Setting | None
    std: Setting | None


@dataclass(frozen=True)
class Source:
    """One place where weights are named.

    Attributes:
        name: the path or URL; its value None where it says that there are none.
        kind: the module that is loaded: ``model``, ``backbone`` or ``shared_head``.
    """

    name: Setting
    kind: str
    prefix: str | None = None


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
        one_device: a setting that says that training runs on one device only.
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
                self.computed.append(setting)
                return None
            return setting
        if default is None or not self.config.complete:
            return None
        return Setting(default, shown or key, root.nearest(key, self.config.file), written=False)


def translated(setting: Setting | None, value: Any) -> Setting | None:
    """The same setting with another value; None stays None."""
    return None if setting is None else Setting(value, setting.key, setting.place, setting.written)
