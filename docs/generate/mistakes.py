"""The known mistakes between a checkpoint and a toolbox: what the stock tool does, and which check of ours catches it.

The suite makes each of them on purpose (``tests/transfer/test_transfer_mutations.py``), and the page "Moving weights"
is written from this table. What the stock tools do was observed with Detectron2 (main) and MMSegmentation 1.4.
"""

from __future__ import annotations

from dataclasses import dataclass

DETECTRON2, MMSEG, VERIFY = "detectron2", "mmseg", "verify"

NAMES = "names and shapes"
VALUES = "every tensor set, bit by bit"
FEATURES = "features by stage"
LOADING = "building and loading"
FACTS = "facts stated by the two files"

CHECKS = {
    LOADING: "the stock tool must build the configuration and load the file without an error",
    NAMES: "both sides must have the same tensors of the same shapes",
    VALUES: "the target is filled with NaN first; afterwards each tensor must be the file's, to the bit",
    FEATURES: "one fixed image, through the target's own preprocessing, must give equal features at every stage",
    FACTS: "`scenebench verify` of two files compares what they state (architecture, channel order, mean, std)",
}


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        name: unique within ``target``.
        target: the toolbox in which it is made, or ``verify`` where two files are compared.
        stock: what the stock tool does about it.
        told: a regular expression that the error (or the comparison's table) must match.
        caught: the check, a key of :data:`CHECKS`.
        effect: a key of :data:`docs.generate.mistake_effects.EFFECTS`, whose feature cosine is measured; "" where a
            figure from random weights would mean nothing.
    """

    name: str
    target: str
    stock: str
    told: str
    caught: str
    effect: str = ""


_SILENT = "trains on, silently"
_NOTHING = "loads nothing, with a warning at most"
_NEVER = "never set from the file|find no place in the model"
_STEM, _LAYER2 = "from the stem on", "layer2 .*equal before"


def _detectron2() -> list[Mistake]:
    def row(name: str, stock: str, told: str, caught: str, effect: str = "") -> Mistake:
        return Mistake(name, DETECTRON2, stock, told, caught, effect)

    return [
        row("prefix kept (`module.encoder_q.`)", _NOTHING, _NEVER, VALUES, "nothing loaded"),
        row("torchvision names, no heuristics flag", _NOTHING, _NEVER, VALUES, "nothing loaded"),
        row("torchvision names with the heuristics flag", "loads 1 tensor", _NEVER, VALUES, "nothing loaded"),
        row("Detectron2 names, heuristics flag missing", _NOTHING, _NEVER, VALUES, "nothing loaded"),
        row("C4 names into FPN", _NOTHING, _NEVER, VALUES, "nothing loaded"),
        row("`stem.` forgotten", "leaves the stem random (with the heuristics flag it finds it)", _NEVER, VALUES,
            "stem random"),
        row("stem missing", "leaves the stem random", "6 tensors were never set from the file: conv1.weight", VALUES,
            "stem random"),
        row("running statistics dropped", "keeps mean 0, variance 1", "106 tensors were never set from the file",
            VALUES, "statistics lost"),
        row("batch counters dropped", _SILENT, "53 tensors were never set from the file", VALUES),
        row("one tensor missing", "leaves it random", "1 tensors were never set from the file", VALUES,
            "one tensor random"),
        row("empty mapping", _NOTHING, "318 tensors were never set from the file", VALUES, "nothing loaded"),
        row("empty pickle", "IndexError", "cannot load", LOADING),
        row("MoCo's raw `.pth`", "ValueError", "cannot load", LOADING),
        row("numpy arrays inside a `.pth`", "refuses it under `weights_only`", "cannot load", LOADING),
        row("ResNet-101 into ResNet-50", "loads what fits by name", "255 tensors find no place", VALUES,
            "ResNet-101 into ResNet-50"),
        row("ResNet-50x2 into ResNet-50", "warns of shapes, loads 5 tensors", "tensors find no place", VALUES,
            "nothing loaded"),
        row("key encoder for query encoder", _SILENT, "hold other values", VALUES),
        row("one value off by one ulp", _SILENT, "1 tensors hold other values than the file: layer", VALUES, "one ulp"),
        row("stored in half precision", _SILENT, "hold other values", VALUES, "half precision"),
        row("BGR images", _SILENT, _STEM, FEATURES, "BGR images"),
        row("mean in BGR order, images in RGB", _SILENT, _STEM, FEATURES, "mean in the other order"),
        row("std 1", _SILENT, _STEM, FEATURES, "std 1"),
        row("statistics of the 0-1 scale", _SILENT, _STEM, FEATURES, "statistics of the 0-1 scale"),
        row("SimCLR's normalisation on MoCo's weights", _SILENT, _STEM, FEATURES, "SimCLR's normalisation"),
        row("rounded statistics of another code base", _SILENT, _STEM, FEATURES, "rounded statistics"),
        row("Detectron2's defaults (BGR, std 1)", _SILENT, _STEM, FEATURES, "Detectron2's defaults"),
        row("STRIDE_IN_1X1 True", _SILENT, _LAYER2, FEATURES, "stride in the 1x1"),
        row("STRIDE_IN_1X1 left out (default True)", _SILENT, _LAYER2, FEATURES, "stride in the 1x1"),
        row("another depth in the YAML", "loads what fits by name", "306 tensors of the target have no counterpart",
            NAMES),
        row("a group norm", "fails", "does not build", LOADING),
        row("a misspelt key", "fails", "does not build", LOADING),
    ]  # fmt: skip


def _mmseg() -> list[Mistake]:
    def row(name: str, stock: str, told: str, caught: str, effect: str = "") -> Mistake:
        return Mistake(name, MMSEG, stock, told, caught, effect)

    return [
        row("prefix kept (`module.encoder_q.`)", "AssertionError", "is not in the pretrained model", LOADING),
        row("prefix forgotten in `init_cfg`", _NOTHING, "318 tensors were never set", VALUES, "nothing loaded"),
        row("wrong prefix in `init_cfg`", "AssertionError", "is not in the pretrained model", LOADING),
        row("`init_cfg` forgotten", _SILENT, "hold other values than the file", VALUES, "nothing loaded"),
        row("`pretrained` beside `init_cfg`", "AssertionError", "cannot build", LOADING),
        row("another file name", "fails", "cannot build or init", LOADING),
        row("deep stem (ResNetV1c)", "loads all but the stem", "18 tensors of the target have no counterpart", NAMES,
            "deep stem random"),
        row("`style='caffe'`", _SILENT, _LAYER2, FEATURES, "stride in the 1x1"),
        row("BGR images", _SILENT, _STEM, FEATURES, "BGR images"),
        row("mean in BGR order, images in RGB", _SILENT, _STEM, FEATURES, "mean in the other order"),
        row("std 1", _SILENT, _STEM, FEATURES, "std 1"),
        row("statistics of the 0-1 scale", _SILENT, _STEM, FEATURES, "statistics of the 0-1 scale"),
        row("SimCLR's normalisation on MoCo's weights", _SILENT, _STEM, FEATURES, "SimCLR's normalisation"),
        row("no normalisation", _SILENT, _STEM, FEATURES, "no normalisation"),
        row("`contract_dilation` forgotten", _SILENT, "layer3 .*equal before", FEATURES),
        row("dilations forgotten", _SILENT, "are not output stride", FEATURES),
        row("stem missing", "leaves it random", "1 tensors were never set from the file: conv1.weight", VALUES,
            "stem random"),
        row("running statistics dropped", "keeps mean 0, variance 1", "106 tensors were never set from the file",
            VALUES, "statistics lost"),
        row("one tensor missing", "leaves it random", "1 tensors were never set from the file", VALUES,
            "one tensor random"),
        row("ResNet-50 into ResNet-101", "loads what fits by name", "have no counterpart", NAMES),
        row("ResNet-50x2 into ResNet-50", "warns of shapes", "never set", VALUES, "nothing loaded"),
        row("key encoder for query encoder", _SILENT, "other values", VALUES),
        row("one value off by one ulp", _SILENT, "1 tensors hold other values", VALUES, "one ulp"),
    ]  # fmt: skip


def _verify() -> list[Mistake]:
    def row(name: str, told: str, caught: str, effect: str = "") -> Mistake:
        return Mistake(name, VERIFY, "there is none to ask", told, caught, effect)

    return [
        row("key encoder imported for query encoder", "DIFFERENT", VALUES),
        row("BGR stated on import", "channel order: RGB / BGR", FACTS, "BGR images"),
        row("SimCLR's normalisation stated for MoCo's weights", "mean and std", FACTS, "SimCLR's normalisation"),
        row("caffe style stated on import", "architecture: ", FACTS, "stride in the 1x1"),
        row("trained on after the import", "DIFFERENT", VALUES),
    ]


MISTAKES: tuple[Mistake, ...] = (*_detectron2(), *_mmseg(), *_verify())
