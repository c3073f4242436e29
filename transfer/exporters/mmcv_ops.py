"""mmcv's compiled operators: what needs them, whether they are here, and how to get them.

The environment's mmcv is the lean one. MMDetection cannot even be imported without the operators; of MMSegmentation
only PSANet needs them.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from scenebench.errors import UserError

MAKE_TARGET = "make mmcv-ops"


def missing_mmcv_ops() -> str | None:
    """Why mmcv's compiled operators cannot be used, or None where they can."""
    mmcv = importlib.util.find_spec("mmcv")  # does not import it
    folders = [] if mmcv is None else list(mmcv.submodule_search_locations or [])
    if not any(True for folder in folders for _ in Path(folder).glob("_ext.*")):
        return "not installed"
    try:
        importlib.import_module("torch")  # whose libraries they are linked against
        importlib.import_module("mmcv._ext")
    except ImportError as error:
        return f"built for other packages: {' '.join(str(error).split())}"
    return None


def missing_mmdet() -> str | None:
    """Why MMDetection cannot be used, or None where it can."""
    reason = missing_mmcv_ops()
    if reason is not None:
        return f"mmcv's compiled operators are {reason}"
    return None if importlib.util.find_spec("mmdet") else "MMDetection is not installed"


def require_mmcv_ops(purpose: str) -> None:
    """Stop where the compiled operators are missing.

    Args:
        purpose: what needs them, the error's beginning (``protocol 'x'``).

    Raises:
        UserError: naming the make target that builds them.
    """
    reason = missing_mmcv_ops()
    if reason is not None:
        raise UserError(f"{purpose}: needs mmcv's compiled operators ({reason}); run '{MAKE_TARGET}' once")


def require_mmdet(purpose: str) -> None:
    """Stop where MMDetection or the operators that it needs are missing.

    Raises:
        UserError: naming the make target that installs both.
    """
    reason = missing_mmdet()
    if reason is not None:
        raise UserError(f"{purpose}: needs MMDetection ({reason}); run '{MAKE_TARGET}' once")
