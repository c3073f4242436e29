"""Run lengths of a mask, checked before pycocotools sees them: it trusts them, and would read memory it never wrote."""

from __future__ import annotations

from typing import Any

from pycocotools import mask as coco_mask

from scenebench.coco.values import as_integer, shown


def read_runs(value: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """Run lengths, as a list or as COCO's text, as pycocotools' RLE (``counts`` are bytes).

    Raises:
        ValueError: of another size than the image, or no run lengths of so many pixels; the message says which.
    """
    size, counts = value.get("size"), value.get("counts")
    sides = [as_integer(side) for side in size] if isinstance(size, list) else None
    if sides != [height, width]:
        swapped = "; its sides are swapped" if sides == [width, height] else ""
        raise ValueError(
            f"the mask's size is {shown(size)}, the image's [height, width] is [{height}, {width}]{swapped}"
        )
    if isinstance(counts, list):
        lengths = [as_integer(run) for run in counts]
        runs = [run for run in lengths if run is not None]
        if len(runs) != len(lengths):
            raise ValueError("the mask's counts hold what is no whole number")
        if any(run < 0 for run in runs):
            raise ValueError("the mask's counts hold a negative run")
        _require_sum(runs, width, height)
        encoded: dict[str, Any] = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
        return encoded
    if not isinstance(counts, str):
        raise ValueError("the mask's counts are neither a list nor text")
    _require_sum(decode_text(counts), width, height)
    return {"size": [height, width], "counts": counts.encode("ascii")}


def decode_text(text: str) -> list[int]:
    """The runs in COCO's compressed text.

    Five bits a character (offset 48, bit 5: more follow), sign-extended; from the fourth on, the difference to the run
    two before.

    Raises:
        ValueError: it is no such text.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("the mask's counts are not COCO's compressed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise ValueError("the mask's counts hold a negative run")
        value = shift = 0
    if shift:
        raise ValueError("the mask's counts end in the middle of a run")
    return runs


def _require_sum(runs: list[int], width: int, height: int) -> None:
    total = sum(runs)
    if total != width * height:
        raise ValueError(
            f"the mask's run lengths do not add up to the image's {width} x {height} pixels: they cover {total}"
        )
