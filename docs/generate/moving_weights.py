"""Writes the page "Moving weights" from the tables that the code and the tests use.

``python -m docs.generate.moving_weights docs/moving-weights.md``; with ``--measure`` the cosines are measured anew
first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch

from docs.generate import mistake_effects
from docs.generate.mistakes import CHECKS, DETECTRON2, MISTAKES, MMSEG, VERIFY, Mistake
from scenebench.files import write_text
from transfer.backbone_file import Preprocessing
from transfer.cli import TARGETS
from transfer.importers import FAMILIES, Family
from transfer.networks.resnet import (
    BLOCKS_BY_DEPTH,
    STAGES,
    Architecture,
    build_resnet,
    stage_of,
)
from transfer.proof import IMAGE_HEIGHT, IMAGE_WIDTH, TOLERANCE
from transfer.untrusted import machine, safetensors_file, torch_file, zip_directory

_COUNTER = ".num_batches_tracked"
_MEGABYTE = 2**20

TARGET_TEXTS = {
    "detectron2": "`.pkl` under the model's full names (no heuristics), YAML, report; FPN, C4, C4 with an extra norm",
    "mmdet": "`.pth` with prefix `backbone.`, Mask R-CNN's configuration (FPN; C4 with its second `init_cfg`), report",
    "mmseg": "`.pth` with prefix `backbone.`, `mmseg_fcn.py` (plain `ResNet`, `pretrained=None`, `init_cfg`), report",
    "timm": "`model.safetensors` and a hub-style `config.json` that `timm.create_model` loads, report",
    "torchvision": "`.pth` for `load_state_dict(..., strict=False)`, report with the preprocessing",
}
"""What each export writes; a target that is missing here is listed by its name alone."""

_INTRODUCTION = """# Moving weights

<!-- Written by `python -m docs.generate.moving_weights docs/moving-weights.md`; change the tables, not this. -->

A checkpoint that loads wrongly still trains. The toolboxes load what they find by name and say little about the rest;
none of them knows which images the weights were trained on. Here each checkpoint becomes a *backbone file*, which says
what it needs, and each export is proven before a file of it appears.

## How to

The first line makes a small stand-in in MoCo's layout; put your own checkpoint in its place.

```sh
scenebench example-checkpoint moco_v2.pth.tar
scenebench import moco_v2.pth.tar moco_v2.safetensors
scenebench export moco_v2.safetensors --to detectron2 --out exported/detectron2
scenebench export moco_v2.safetensors --to mmseg --out exported/mmseg
scenebench verify moco_v2.safetensors exported/detectron2
scenebench verify moco_v2.pth.tar exported/mmseg
```

`import` recognises the family by the names of the tensors and says why. A family claims a file only if it accounts for
every tensor in it. Where two fit, `--from FAMILY` decides (`scenebench import --families` lists them). Where none does,
a ResNet is still found, wherever it lies, and the preprocessing must be stated; of several networks `--prefix` names
the one to take, and `--method` what to record as its method. Neither the checkpoint nor, without `--overwrite`, any
other file is replaced. `export` of
a checkpoint names the `import` that comes first.

`verify` exits with 1 on any difference. An exported folder, wherever it was moved, is checked by its export's proof
(below), made anew: the toolbox builds the model from the files as they lie there. Where the toolbox is not installed it
says "tensors compared, model not built" and exits with 3; 2 is bad input, such as a file that is not YAML or Python.

An export never replaces its own input, and no file in the folder that somebody changed or made, unless `--overwrite`
is given; what an earlier export wrote and nobody changed is replaced. The hashes in the report tell.

An exported folder can be moved. MMSegmentation's and MMDetection's configurations find the weights beside them.
Detectron2 takes a relative `MODEL.WEIGHTS` from the folder in which the training is started: start it in the exported
folder, or append `MODEL.WEIGHTS FOLDER/NAME_detectron2.pkl` to the command, as the head of the YAML says.
"""


def page() -> str:
    """The page's Markdown text."""
    cosines = json.loads(mistake_effects.COSINES.read_text(encoding="utf-8"))
    sections = (_INTRODUCTION, _families(), _travels(), _targets(), _proof(), _mistakes(cosines), _refused())
    return "\n".join(section.strip() + "\n" for section in sections)


def _families() -> str:
    rows = [_family_row(family) for family in FAMILIES.values()]
    return f"""
## Families that are imported

{_table(("`--from`", "what it is", "where its backbone is", "branch, and why", "preprocessing, and why"), rows)}

The first branch is the one that is taken; `--branch` takes another. A running average beside the model (`model_ema`,
`state_dict_ema`) is `--branch ema`. Heads, predictors, queues and optimiser states are left out; prefixes of
DataParallel, FSDP, activation checkpointing, `torch.compile` and Lightning's outer `model.` are looked through. Where a
family does not fix the preprocessing, `--mean --std --value-range --channel-order` must state it, and of detectors
`--stride-in`: whether a bottleneck strides in its 3x3 or (Caffe's, MSRA's) its first 1x1 shows in no tensor. What an
OpenMMLab file keeps of its configuration, and Hugging Face's JSON files beside the weights, are read for both.

ResNet-18, -34, -50, -101 and -152 of any width with a 7x7 stem. Another kind of network (a vision transformer, a deep
stem, an attention pool, GroupNorm, ResNeXt, ...), a missing tensor, or one too many is refused, by name. Missing batch
counters (old PyTorch did not save them) are filled with 0; half precision becomes float32; both are said.
"""


def _family_row(family: Family) -> tuple[str, ...]:
    """The one place that knows a family's fields."""
    names = ", ".join(f"`{name}`" for name in family.names)
    branches = ", ".join(branch.name for branch in family.branches)
    return (
        names,
        family.title,
        family.rule,
        f"{branches}: {family.why}",
        f"{_normalisation(family.preprocessing)}{family.preprocessing_why}",
    )


def _normalisation(preprocessing: Preprocessing | None) -> str:
    if preprocessing is None:
        return ""
    if preprocessing == Preprocessing():
        return "ImageNet's statistics: "
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (preprocessing.mean, preprocessing.std))
    return f"{preprocessing.channel_order} 0..{preprocessing.value_range:g}, mean {mean}, std {std}: "


def _travels() -> str:
    return """
## What travels with the weights

The backbone file's header says the architecture (depth, width, where a bottleneck strides), the preprocessing (mean,
std, value range, channel order), the method, the branch of it (query or key encoder), and the source file with its
SHA-256. An export writes every key of the target that depends on these: in Detectron2 `INPUT.FORMAT`, `PIXEL_MEAN`,
`PIXEL_STD`, all of `RESNETS` and `FREEZE_AT`; in MMSegmentation the backbone and the data preprocessor. Statistics are
converted to the target's scale; a default of the toolbox is never relied on.
"""


def _targets() -> str:
    rows = [(f"`--to {target}`", TARGET_TEXTS.get(target, target)) for target in TARGETS]
    return f"""
## Targets

{_table(("target", "what is written"), rows)}
"""


def _proof() -> str:
    rows = []
    for depth in BLOCKS_BY_DEPTH:
        with torch.device("meta"):
            names = list(build_resnet(Architecture(depth=depth)).state_dict())
        counts = Counter(stage_of(name) for name in names)
        frozen = sum(not name.endswith(_COUNTER) for name in names)
        rows.append((f"ResNet-{depth}", *(str(counts[stage]) for stage in STAGES), str(len(names)), str(frozen)))
    checks = [(f"{check}", meaning) for check, meaning in CHECKS.items()]
    return f"""
## The proof

An export is written to a folder aside, loaded by the stock tool, checked, and only then put in place. The report beside
the weights keeps the figures. `verify` makes the same checks of a folder that lies there already. The checks:

{_table(("check", "what must hold"), checks)}

"Equal features" means within {TOLERANCE:g} of the stage's largest feature, in float32 and eval mode, on one fixed 8-bit
image of {IMAGE_HEIGHT} x {IMAGE_WIDTH} pixels whose channels differ. The number of tensors comes from the network, with
batch norm (BN) or with frozen norms, which keep no batch counter:

{_table(("network", *STAGES, "all, BN", "all, FrozenBN"), rows)}
"""


def _mistakes(cosines: dict[str, float]) -> str:
    headings = {DETECTRON2: "In Detectron2", MMSEG: "In MMSegmentation", VERIFY: "Between two files, by `verify`"}
    tables = []
    for target, heading in headings.items():
        rows = [_mistake_row(mistake, cosines) for mistake in MISTAKES if mistake.target == target]
        tables.append(f"### {heading}\n\n{_table(('mistake', 'the stock tool', 'caught by', 'cosine'), rows)}")
    body = "\n\n".join(tables)
    return f"""
## Mistakes, each made on purpose

{len(MISTAKES)} mistakes, each made by the tests on a correct export; all are caught. *Cosine* is that of the last
stage's features to the right ones, each channel's mean taken off: 1 is the same, 0 is unrelated. It is measured on a
ResNet-50 of stem width {mistake_effects.NETWORK.stem_width} with seeded random weights and the proof's image, so it
says that and roughly how much features change, not how many AP are lost. No figure stands where random weights would
say nothing, or where the stock tool stops.

{body}
"""


def _mistake_row(mistake: Mistake, cosines: dict[str, float]) -> tuple[str, ...]:
    cosine = f"{cosines[mistake.effect]:.2f}" if mistake.effect else ""
    return mistake.name, mistake.stock, mistake.caught, cosine


def _refused() -> str:
    limits = [
        ("instructions of a pickle", f"{machine.MAX_INSTRUCTIONS:,}"),
        ("lists, mappings and objects of a pickle", f"{machine.MAX_CONTAINERS:,}"),
        ("nesting of a pickle", f"{machine.MAX_DEPTH:,}"),
        ("tensors that share storages", f"{torch_file.MAX_SHARING} times the file's size"),
        ("directory of a zip archive", f"{zip_directory.MAX_DIRECTORY // _MEGABYTE} MB"),
        ("header of a safetensors file", f"{safetensors_file.MAX_HEADER // _MEGABYTE} MB"),
    ]
    return f"""
## Reading what one does not trust

A pickle is a program, and most checkpoints are pickles. None is unpickled here. Its instructions are worked through on
plain data: a name in it is never looked up, imported or called. Tensors, numpy arrays and plain containers have
stand-ins; everything else stays inert: objects of other packages (hyper-parameters of Lightning, OmegaConf, MMEngine),
classes of the user's own, and what of Python's library is harmless (`range`, loggers, patterns, enums, `argparse`). So
files with them can be read without those packages. That is stricter than `torch.load(weights_only=True)`, which
believes sizes, and reads more. Read are torch.save's files, new and old, `.pkl` files of arrays (Detectron2, Caffe2;
Python 2 too) and safetensors, told apart by content. Refused, in one line, with nothing run and nothing written:

* names of Python's own library that could do something (`os.system`, `builtins.eval`, `Path.touch`, ...), functions of
  PyTorch and numpy that build no tensor or array (`torch.hub.load`, a pickle in the pickle), whole models, scripted
  models (TorchScript);
* sizes that the file does not hold: shapes, strides, offsets and storages of tensors, shapes of arrays, lengths of
  strings, zip entries that are compressed, doubled or overlap, safetensors headers and offsets;
* keys given twice, keys that would take for ever to hash, nesting and numbers beyond the limits below;
* weights that are NaN, infinite, integer, complex, quantised or sparse;
* truncated and empty files, folders, pipes, devices (also behind links), tar, gzip and other archives, HDF5, saved web
  pages, Git LFS pointers (it says `git lfs pull`), big-endian files.

{_table(("limit", "value"), limits)}

The tests build more than 80 such files. What this does not do: it cannot tell whether weights are what their file's
name says.

An exported configuration for MMEngine is Python, and MMEngine runs it. `verify` reads it first and lets it be run only
if it assigns plain values (dicts, lists, numbers, text, `update`, bases of the same kind), and builds only types that
are names of a registry. A configuration that imports, calls or defines anything is refused with exit code 2 and is not
run. Its `custom_imports` are not followed, and weights at a URL are not fetched.
"""


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown themselves (code, links): the reports' writer would escape them."""
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description='Write the page "Moving weights".')
    parser.add_argument("page", type=Path, metavar="PAGE", help="the Markdown file, docs/moving-weights.md")
    parser.add_argument("--measure", action="store_true", help="measure the cosines of the mistakes anew")
    chosen = parser.parse_args(arguments)
    if chosen.measure:
        write_text(mistake_effects.COSINES, json.dumps(mistake_effects.measure(), indent=1) + "\n")
    write_text(chosen.page, page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
