"""Where an OpenMMLab configuration normalises its images: the preprocessor of the model, or steps of pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from transfer.config_lint.settings import Inputs, Lookup, Setting, translated
from transfer.config_lint.tree import UNKNOWN, Config, Node

_PREPROCESSORS = ("SegDataPreProcessor", "DetDataPreprocessor")
_PIPELINES = ("train_pipeline", "val_pipeline", "test_pipeline")
_OTHER_LIBRARIES = ("Albu", "Albumentation")  # their Normalize divides by 255 itself


def mm_inputs(config: Config, lookup: Lookup) -> tuple[list[Inputs], list[Setting]]:
    """The places where images are normalised, and those where they should be and are not.

    A Normalize step after ToTensor is none of them: there images come as 0-1, and its statistics are on that scale.
    """
    path, preprocessor = preprocessor_of(config)
    steps = _Steps()
    steps.search(config.root)
    found: list[Inputs] = []
    unnormalised: list[Setting] = []
    if preprocessor is not None:
        mean = preprocessor.get("mean")
        if mean is not None and mean.value is not None:
            found.append(_inputs(preprocessor, path, lookup, steps.is_rgb))
        elif _tail(preprocessor.get("type")) in _PREPROCESSORS and config.complete and not steps.normalise:
            unnormalised.append(Setting(None, path, preprocessor.place))
    for where, step in steps.normalise:
        found.append(_inputs(step, where, lookup, steps.is_rgb, pipeline=True))
    if preprocessor is None and config.root.get("model.backbone") is not None and config.complete:
        unnormalised += _pipelines_without(config, steps)
    if not found and not steps.to_tensor:
        found += _shared_statistics(config, lookup)
    return found, unnormalised


def preprocessor_of(config: Config) -> tuple[str, Node | None]:
    """The data preprocessor in use with its path: the model's own, else the one beside the model."""
    for path in ("model.data_preprocessor", "data_preprocessor"):
        node = config.root.get(path)
        if node is not None and isinstance(node.value, dict):
            return path, node
    return "", None


def _tail(kind: Node | None) -> str:
    """``mmdet.Normalize`` and ``torchvision/Normalize`` as ``Normalize``."""
    return str(kind.value).replace("/", ".").rpartition(".")[2] if kind is not None else ""


@dataclass
class _Steps:
    """What a search through all lists of steps found.

    Attributes:
        normalise: Normalize steps for 0-255 images, with their paths.
        to_tensor: whether any step turns images into 0-1.
        is_rgb: whether images are loaded as RGB to begin with.
    """

    normalise: list[tuple[str, Node]] = field(default_factory=list)
    to_tensor: bool = False
    is_rgb: bool = False
    _seen: set[int] = field(default_factory=set)

    def search(self, node: Node, path: str = "") -> None:
        """Collect from this node and all below it; what several keys share, once."""
        if not isinstance(node.value, (dict, list)) or id(node.value) in self._seen:
            return
        self._seen.add(id(node.value))
        if isinstance(node.value, list):
            self._read_list(node.value, path)
        elif _tail(node.get("type")) in _OTHER_LIBRARIES:
            return
        children = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for key, child in children:
            self.search(child, f"{path}.{key}" if path else str(key))

    def _read_list(self, items: list[Node], path: str) -> None:
        scaled = False
        for number, item in enumerate(items):
            if not isinstance(item.value, dict):
                continue
            kind = item.get("type")
            name = _tail(kind)
            if name == "ToTensor" and item.get("keys") is None:  # mmdet's own ToTensor has keys, and does not scale
                scaled = self.to_tensor = True
            elif name == "LoadImageFromFile":
                order = item.get("channel_order")
                self.is_rgb = self.is_rgb or (order is not None and order.value == "rgb")
            elif name == "Normalize" and kind is not None and "/" not in str(kind.value):
                stated = item.get("mean") is not None or item.get("std") is not None
                self.normalise += [(f"{path}.{number}", item)] if stated and not scaled else []


def _inputs(node: Node, path: str, lookup: Lookup, is_rgb: bool, pipeline: bool = False) -> Inputs:
    mean, std = (lookup.find(key, under=node, shown=f"{path}.{key}") for key in ("mean", "std"))
    order = None if is_rgb else _order(node, path, lookup)
    return Inputs(order, mean, std, pipeline)


def _order(node: Node, path: str, lookup: Lookup) -> Setting | None:
    key = "to_rgb" if node.get("to_rgb") is not None else "bgr_to_rgb"
    default = not path.endswith("data_preprocessor")  # Normalize swaps by default, a preprocessor does not
    swaps = lookup.find(key, under=node, shown=f"{path}.{key}")
    if swaps is None and node.get(key) is None:
        swaps = Setting(default, f"{path}.{key}", node.place, written=False)
    return translated(swaps, "RGB" if swaps and swaps.value else "BGR")


def _shared_statistics(config: Config, lookup: Lookup) -> Iterator[Inputs]:
    """``img_norm_cfg`` of a file whose pipelines lie elsewhere or are computed; ``to_rgb`` says whose it is."""
    node = config.root.get("img_norm_cfg")
    if node is not None and isinstance(node.value, dict) and "to_rgb" in node.value:
        yield _inputs(node, "img_norm_cfg", lookup, is_rgb=False)


def _pipelines_without(config: Config, steps: _Steps) -> Iterator[Setting]:
    """Pipelines that load images and do not normalise them, in a configuration without a preprocessor."""
    for name in _PIPELINES:
        node = config.root.get(name)
        if node is None or not isinstance(node.value, list) or node.plain() is UNKNOWN or steps.to_tensor:
            continue
        loads = any(_tail(item.get("type")) == "LoadImageFromFile" for item in node.value)
        if loads and not any(_tail(below.get("type")) == "Normalize" for _, below in node.walk()):
            yield Setting(None, name, node.place)
