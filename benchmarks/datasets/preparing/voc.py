"""Lists of VOC07+12 and of the 10,582 "aug" images."""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.lists import read_lines
from benchmarks.datasets.readers.voc import read_voc0712
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

SEGMENTATION = "ImageSets/Segmentation"


def write_voc0712_lists(tree: Tree, outputs: Outputs) -> None:
    """``lists/voc0712_<split>.txt``: an image and its XML file a line, relative to the folder of both years."""
    for split, samples in read_voc0712(tree).splits.items():
        images = [tree.relative(sample.image) for sample in samples]
        entries = [f"{image} {image.replace('/JPEGImages/', '/Annotations/')[:-4]}.xml" for image in images]
        outputs.write_list(f"lists/voc0712_{split}.txt", entries)


def write_trainaug(tree: Tree, outputs: Outputs, lists: tuple[Path, ...], expected: int | None) -> None:
    """``ImageSets/Segmentation/trainaug.txt``: the stems of a list, or of the maps that are not in val.

    Args:
        expected: how many there must be; None: any number.
    """
    if len(lists) > 1:
        raise UserError("--list: voc2012aug takes one list of training stems")
    held_out = set(read_lines(tree, f"{SEGMENTATION}/val.txt"))
    maps = {Path(name).stem for name in tree.files("SegmentationClassAug") if name.endswith(".png")}
    if lists:
        source = str(lists[0])
        stems = [_stem(line) for line in read_lines(Tree(lists[0].parent), lists[0].name)]
        _check_list(source, stems, maps, held_out)
    else:
        source = f"{tree.root}/SegmentationClassAug"
        stems = sorted(maps - held_out)
    without = [stem for stem in stems if not tree.has_file(f"JPEGImages/{stem}.jpg")]
    if without:
        raise UserError(f"{source}: {without[0]} and {len(without) - 1} more have no image in {tree.root}/JPEGImages")
    if expected is not None and len(stems) != expected:
        raise UserError(
            f"{source}: gives {len(stems)} training stems, published {expected}; "
            "--partial takes them all the same, --list a published list"
        )
    outputs.write_list(f"{SEGMENTATION}/trainaug.txt", stems)


def _check_list(source: str, stems: list[str], maps: set[str], held_out: set[str]) -> None:
    if len(set(stems)) != len(stems):
        raise UserError(f"{source}: names {len(stems) - len(set(stems))} stems twice")
    tested = sorted(set(stems) & held_out)
    if tested:
        raise UserError(
            f"{source}: {tested[0]} and {len(tested) - 1} more are in val.txt too; nobody may train on them"
        )
    absent = [stem for stem in stems if stem not in maps]
    if absent:
        raise UserError(f"{source}: {absent[0]} and {len(absent) - 1} more have no map in SegmentationClassAug")


def _stem(line: str) -> str:
    """Published lists name stems, or ``/JPEGImages/<stem>.jpg /SegmentationClassAug/<stem>.png``."""
    return Path(line.split()[0]).name.removesuffix(".jpg")
