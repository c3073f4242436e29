"""What an OpenMMLab checkpoint says of itself: its trainers save the text of the configuration in ``meta``.

The text is Python and is not run, nor parsed as such: the statistics, the channel flag and the style of the bottlenecks
are looked for as text. Unless every place says the same, nothing is taken.
"""

from __future__ import annotations

import re

from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.importers.family import Checkpoint, Settings

_LONGEST = 2_000_000
_NUMBERS = r"\s*[\[(]([^\])]*)[\])]"
_MEAN = re.compile(r"\b(?:mean|'mean'|\"mean\")['\"]?\s*[=:]" + _NUMBERS)
_STD = re.compile(r"\b(?:std|'std'|\"std\")['\"]?\s*[=:]" + _NUMBERS)
_RGB_FLAG = re.compile(r"\b(?:to_rgb|bgr_to_rgb)['\"]?\s*[=:]\s*(True|False)")
_STYLE = re.compile(r"\bstyle['\"]?\s*[=:]\s*['\"](pytorch|caffe)['\"]")
_STRIDES = {"pytorch": "3x3", "caffe": "1x1"}


def settings(checkpoint: Checkpoint) -> Settings:
    """Preprocessing and stride as the configuration in the file states them, each only if it does so in one voice."""
    text = checkpoint.metadata.get("config", "")[:_LONGEST]
    if not text:
        return Settings()
    styles = set(_STYLE.findall(text))
    stride_in = _STRIDES[styles.pop()] if len(styles) == 1 else None
    preprocessing = _preprocessing(text)
    notes = ("preprocessing as the configuration in the file states it",) if preprocessing else ()
    unclear = preprocessing is None and _MEAN.search(text) is not None
    return Settings(preprocessing, stride_in, unclear, notes)


def _preprocessing(text: str) -> Preprocessing | None:
    means, stds, flags = set(_MEAN.findall(text)), set(_STD.findall(text)), set(_RGB_FLAG.findall(text))
    mean, std = (_triple(found.pop()) if len(found) == 1 else None for found in (means, stds))
    if mean is None or std is None or len(flags) > 1:
        return None
    scale = 1.0 if max(mean) <= 1 and max(std) <= 1 else 255.0
    if not flags and scale == 255.0:
        return None  # old and new toolboxes have opposite defaults
    order = "BGR" if flags == {"False"} else "RGB"
    descends = mean[0] > mean[2]  # red is the brightest channel of photographs, blue the darkest
    if mean[0] != mean[2] and descends != (order == "RGB"):
        return None  # statistics in the other order: a step that is not seen here has turned the channels round
    try:
        return Preprocessing(mean, std, scale, order)
    except UserError:
        return None


def _triple(text: str) -> tuple[float, float, float] | None:
    try:
        numbers = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return None
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None
