"""Silencing what the toolboxes say and a user can do nothing about: each by its message or its logger, nothing wider.

Call :func:`quiet_detectron2` or :func:`quiet_mmseg` before the toolbox's first import. Meaningful warnings pass, for
example Detectron2's "No predictions from the model!".
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from scenebench.home import ensure_home

_COMMON_WARNINGS = (r"`torch\.jit\.script` is deprecated", r"`torch\.jit\.script_method` is deprecated")
_DETECTRON2_WARNINGS = (*_COMMON_WARNINGS, r"pkg_resources is deprecated", r"torch\.meshgrid: in an upcoming release")
_MMSEG_WARNINGS = (
    *_COMMON_WARNINGS,
    r"Fail to import ``MultiScaleDeformableAttention``",  # the lean mmcv has no compiled operators; none is used
    r"Default ``avg_non_ignore`` is False",
)
_MMDET_WARNINGS = (
    *_COMMON_WARNINGS,
    r"torch\.meshgrid: in an upcoming release",
    r"faster_coco_eval is not installed",  # pycocotools evaluates
)
_DETECTRON2_RECORDS = {
    "torch.fx._symbolic_trace": "is_fx_tracing",
    # COCO category ids may have gaps; that the reader maps them is its ordinary work.
    "detectron2.data.datasets.coco": "Category ids in annotations are not in",
}
_PYCOCOTOOLS_LINES = (
    "loading annotations into memory",
    "creating index",
    "index created",
    "Loading and preparing results",
    "Converting ndarray to lists",
    "Running per image evaluation",
    "Evaluate annotation type",
    "Accumulating evaluation results",
    "Done (t=",
    "DONE (t=",
)


def quiet_detectron2() -> None:
    """Filter Detectron2's unavoidable warnings. Cheap, and may be called any number of times."""
    ensure_home()
    _ignore_warnings(_DETECTRON2_WARNINGS)
    for logger, text in _DETECTRON2_RECORDS.items():
        _drop_records(logger, text)


def quiet_mmdet() -> None:
    """Filter MMDetection's unavoidable warnings and, where it is installed, import it once without its line."""
    from transfer.exporters.mmcv_ops import missing_mmdet

    ensure_home()
    _ignore_warnings(_MMDET_WARNINGS)
    if "mmdet.apis" not in sys.modules and missing_mmdet() is None:
        with without_lines("Could not import OneDL"):
            import mmdet.apis  # noqa: F401


def quiet_mmseg() -> None:
    """Filter MMSegmentation's unavoidable warnings and import it once, swallowing the line that it prints on import."""
    ensure_home()  # yapf, which mmengine imports, asks for it
    _ignore_warnings(_MMSEG_WARNINGS)
    if "mmseg.datasets" not in sys.modules:
        with without_lines("Could not import OneDL"):
            import mmseg.datasets  # noqa: F401


@contextlib.contextmanager
def quiet_pycocotools() -> Iterator[None]:
    """Drop pycocotools' progress prints (they are unconditional) inside the block; other output passes."""
    with without_lines(*_PYCOCOTOOLS_LINES):
        yield


@contextlib.contextmanager
def without_lines(*beginnings: str) -> Iterator[None]:
    """Inside the block, drop lines printed to stdout that begin with one of ``beginnings`` (after white space)."""
    line_filter = _LineFilter(sys.stdout, beginnings)
    with contextlib.redirect_stdout(line_filter):
        try:
            yield
        finally:
            line_filter.finish()


@contextlib.contextmanager
def only_errors(logger: logging.Logger) -> Iterator[None]:
    """Inside the block ``logger`` passes errors only: for stock loaders whose warnings the proof turns into errors."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _ignore_warnings(messages: tuple[str, ...]) -> None:
    for message in messages:
        warnings.filterwarnings("ignore", message=message)


def _drop_records(logger_name: str, text: str) -> None:
    logger = logging.getLogger(logger_name)
    if not any(isinstance(known, _DropRecordsWith) and known.text == text for known in logger.filters):
        logger.addFilter(_DropRecordsWith(text))


class _DropRecordsWith(logging.Filter):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def filter(self, record: logging.LogRecord) -> bool:
        return self.text not in record.getMessage()


class _LineFilter(io.TextIOBase):
    """A text stream that forwards complete lines unless they begin with one of ``beginnings``."""

    def __init__(self, stream: TextIO, beginnings: tuple[str, ...]) -> None:
        super().__init__()
        self._stream = stream
        self._beginnings = beginnings
        self._pending = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            if not line.lstrip().startswith(self._beginnings):
                self._stream.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def finish(self) -> None:
        if self._pending and not self._pending.lstrip().startswith(self._beginnings):
            self._stream.write(self._pending)
        self._pending = ""
