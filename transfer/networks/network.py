"""The two kinds of network that a backbone file can hold, and what depends on which of them it is.

What they share, as attributes of an architecture: ``name``, ``feature_dim`` (channels of the pooled feature),
``stride`` (pixels a cell of the feature map), ``stages`` and ``stage_of``; as methods of a network: ``forward`` (pooled
feature, N x C), ``feature_map`` (N x C x h x w) and ``stage_features``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from scenebench.config import load_config
from scenebench.errors import UserError, require_choice
from transfer.networks.resnet import Architecture, ResNet, build_resnet
from transfer.networks.vit_architecture import VitArchitecture

if TYPE_CHECKING:
    from transfer.networks.vit import VisionTransformer

AnyArchitecture: TypeAlias = Architecture | VitArchitecture
Backbone: TypeAlias = "ResNet | VisionTransformer"

_SCHEMAS: dict[str, type[AnyArchitecture]] = {"resnet": Architecture, "vit": VitArchitecture}


def build_network(architecture: AnyArchitecture) -> Backbone:
    """A freshly initialised network (from torch's global generator). timm is imported only where it is needed.

    Raises:
        UserError: see :func:`transfer.networks.resnet.build_resnet`.
    """
    if isinstance(architecture, Architecture):
        return build_resnet(architecture)
    from transfer.networks.vit import VisionTransformer

    return VisionTransformer(architecture)


def parse_architecture(content: Mapping[str, Any], where: str) -> AnyArchitecture:
    """An architecture from plain data, by its ``family`` (``resnet`` where none is given).

    Raises:
        UserError: an unknown family or key, or a value that is not possible.
    """
    family = str(content.get("family", "resnet"))
    require_choice(f"{where}: family", family, _SCHEMAS)
    return load_config(_SCHEMAS[family], content, where=where)


def require_resnet(architecture: AnyArchitecture, purpose: str) -> Architecture:
    """``architecture``, where it is a ResNet's.

    Args:
        purpose: what takes ResNets only, for the error.

    Raises:
        UserError: it is a vision transformer.
    """
    if isinstance(architecture, Architecture):
        return architecture
    raise UserError(
        f"{purpose} takes ResNets only, and this backbone is a {architecture.name}; give a ResNet, or evaluate this "
        "with a classification protocol (multilabel_knn, multilabel_linear)"
    )
