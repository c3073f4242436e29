"""What is known of the weights that a configuration will load: from our own files exactly, else from their name."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.config_lint.tensor_shapes import TensorShapes

Triple = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and standard deviation of torchvision-style weights, RGB, on the 0-255 scale."""
CAFFE: tuple[Triple, Triple] = ((103.53, 116.28, 123.675), (1.0, 1.0, 1.0))
"""Those of MSRA's Caffe weights, BGR."""


@dataclass(frozen=True)
class Weights:
    """What is known of a set of weights. None where nothing is.

    Attributes:
        source: how it is known, for the findings.
        certain: read from a file of ours, or a stock name whose meaning is documented; else inferred from a name.
        self_supervised: their norms' running statistics are not made to be frozen.
        mean, std: on the 0-255 scale, in ``channel_order``.
        stride_in: ``3x3`` (torchvision, "pytorch") or ``1x1`` (MSRA, "caffe").
        stem: ``conv7x7`` or ``deep``.
        norm: ``BN`` or ``GN``.
        groups, group_width: of the 3x3 convolutions of layer1 (1 and the stem's width but for ResNeXt).
        prefix: of the tensors' names in the file.
        tensors: names and shapes, where the file was read.
        shapes_read: whether what is said of the network was read off the tensors' shapes.
    """

    source: str
    certain: bool
    self_supervised: bool
    channel_order: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    stride_in: str | None = None
    stem: str | None = None
    depth: int | None = None
    stem_width: int | None = None
    prefix: str | None = None
    norm: str | None = None
    groups: int | None = None
    group_width: int | None = None
    tensors: TensorShapes | None = None
    shapes_read: bool = False
