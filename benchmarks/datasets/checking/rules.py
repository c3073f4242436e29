"""The rules that a data set must keep, as functions of what was read: annotations and the contents of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.datasets.checking.findings import Finding
from benchmarks.datasets.checking.inspect import Content
from benchmarks.datasets.registry import Description
from benchmarks.datasets.samples import Box, OfficialData, Sample
from benchmarks.datasets.shape import shape_problem

VERSION = 2
"""Rises when the same contents would be evaluated otherwise."""
Relative = Callable[[Path], str]
TOLERANCE = 0.5
"""Pixels that a box may reach over the edge: annotations are rounded."""


def check_counts(data: OfficialData, description: Description) -> Iterator[Finding]:
    """Images and objects by split, objects by class, and the number of classes, against the published numbers."""
    if description.classes is not None and len(data.classes) != description.classes:
        yield Finding("counts", "", f"{len(data.classes)} classes, published {description.classes}")
    for split, expected in description.images.items():
        if split in data.splits and len(data.splits[split]) != expected:
            yield Finding("counts", "", f"{split}: {len(data.splits[split])} images, published {expected}")
    for split, expected in description.objects.items():
        found = count_objects(data, split)
        if split in data.splits and sum(found.values()) != expected:
            yield Finding("counts", "", f"{split}: {sum(found.values())} objects, published {expected}")
    for split, by_class in description.objects_by_class.items():
        found = count_objects(data, split)
        for name, expected in by_class.items():
            if split in data.splits and found.get(name, 0) != expected:
                yield Finding("counts", "", f"{split}: {found.get(name, 0)} objects '{name}', published {expected}")


def count_objects(data: OfficialData, split: str) -> dict[str, int]:
    """Objects that are not difficult, by class name."""
    counts = dict.fromkeys(data.classes, 0)
    for sample in data.splits.get(split, []):
        for box in sample.boxes:
            if not box.difficult:
                counts[data.classes[box.label]] += 1
    return counts


def check_shared_paths(data: OfficialData, relative: Relative) -> Iterator[Finding]:
    """No image may be listed in two splits of a disjoint group, nor twice in one."""
    for group in data.disjoint:
        split_of: dict[Path, str] = {}
        for split in group:
            for sample in data.splits[split]:
                before = split_of.setdefault(sample.image, split)
                if before != split:
                    yield Finding("duplicate", relative(sample.image), f"is in {before} and in {split}")


def check_contents(
    data: OfficialData, contents: Mapping[str, Content], description: Description, relative: Relative
) -> Iterator[Finding]:
    """Every image and map decodes and fits its annotation; every box lies inside; every label is one."""
    seen: set[Path] = set()
    masks: set[Path] = set()
    for samples in data.splits.values():
        for sample in samples:
            if sample.image not in seen:
                seen.add(sample.image)
                yield from _check_image(sample, contents[relative(sample.image)], data, description, relative)
            if sample.mask is not None and sample.mask not in masks:
                masks.add(sample.mask)
                yield from _check_mask(sample, sample.mask, contents, data, relative)
    yield from _check_zero_based(data, contents, [relative(mask) for mask in masks])


def check_duplicates(data: OfficialData, contents: Mapping[str, Content], relative: Relative) -> Iterator[Finding]:
    """No two images of different splits of a disjoint group may have the same bytes."""
    for group in data.disjoint:
        first: dict[str, tuple[str, Path]] = {}
        for split in group:
            for sample in data.splits[split]:
                md5 = contents[relative(sample.image)].md5
                if not md5:
                    continue
                other_split, other = first.setdefault(md5, (split, sample.image))
                if other_split != split and other != sample.image:
                    message = f"({split}) has the same bytes as {relative(other)} ({other_split})"
                    yield Finding("duplicate", relative(sample.image), message)


def check_md5(expected: Mapping[str, str], contents: Mapping[str, Content]) -> Iterator[Finding]:
    """Each file of a checksum list is there and has that checksum."""
    for path, md5 in expected.items():
        if path not in contents:
            yield Finding("missing", path, "is in the checksum list and not there")
        elif contents[path].md5 != md5:
            yield Finding("checksum", path, f"md5 {contents[path].md5 or 'unknown'}, published {md5}")


def _check_image(
    sample: Sample, content: Content, data: OfficialData, description: Description, relative: Relative
) -> Iterator[Finding]:
    path = relative(sample.image)
    if content.error:
        yield Finding("decode", path, content.error)
        return
    width, height = content.width, content.height
    if sample.size is not None and sample.size not in ((width, height), content.upright):
        yield Finding("size", path, f"{width}x{height} pixels, its annotation says {sample.size[0]}x{sample.size[1]}")
    elif description.image_size is not None and description.image_size != [width, height]:
        expected = "x".join(map(str, description.image_size))
        yield Finding("size", path, f"{width}x{height} pixels, published {expected}")
    shape = shape_problem(width, height)
    if shape:
        yield Finding("size", path, shape)
    for box in sample.boxes:
        problem = box_problem(box, *(sample.size or content.upright), data.smallest_box)
        if problem:
            yield Finding("box", path, f"{box.where}: {problem}")


def box_problem(box: Box, width: int, height: int, smallest: float = 0.0) -> str:
    """What is wrong with a box in an image of ``width`` x ``height`` pixels; empty where nothing is."""
    if not (box.right - box.left > smallest and box.bottom - box.top > smallest):  # NaN is no extent either
        return "has no area"
    outside = min(box.left, box.top, width - box.right, height - box.bottom)
    if outside < -TOLERANCE:
        return f"reaches {-outside:g} pixels out of the image of {width}x{height}"
    return ""


def _check_mask(
    sample: Sample, mask: Path, contents: Mapping[str, Content], data: OfficialData, relative: Relative
) -> Iterator[Finding]:
    path, content, image = relative(mask), contents[relative(mask)], contents[relative(sample.image)]
    if content.error:
        yield Finding("decode", path, content.error)
        return
    if not image.error and (image.width, image.height) != (content.width, content.height):
        sizes = f"{content.width}x{content.height} pixels, its image {image.width}x{image.height}"
        yield Finding("mask", path, sizes)
    foreign = sorted(set(content.values) - (data.mask_values or set()))
    if data.mask_values is not None and foreign:
        if foreign == [255]:
            message = (
                "holds 255 (ignored) among labels that have no ignored value: train ids under the name of label ids?"
            )
        else:
            message = f"holds {', '.join(map(str, foreign[:5]))}, which are no labels"
        yield Finding("mask", path, message)


def _check_zero_based(data: OfficialData, contents: Mapping[str, Content], masks: list[str]) -> Iterator[Finding]:
    """Maps of 0-based classes with 255 ignored look like maps with a background; the last class gives them away."""
    last = len(data.classes)
    if data.mask_values != frozenset({*range(last + 1), 255}):
        return
    seen = {value for path in masks for value in contents[path].values}
    if 255 in seen and last not in seen and set(range(last)) <= seen:
        yield Finding(
            "label",
            "",
            f"the maps hold 0-{last - 1} and 255, never {last}: 0-based classes mixed with the ignored 255, "
            f"where 0 is background and '{data.classes[-1]}' is {last}",
        )
