"""MATLAB files, as the small data sets have them. scipy parses versions 4 to 7.2 itself; nothing is unpickled."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError, did_you_mean


def read_mat(tree: Tree, relative: str, *keys: str) -> list[Any]:
    """The variables called ``keys``, squeezed to at least one dimension; structures become records.

    Raises:
        UserError: the file is missing, not such a MATLAB file, or lacks a variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = tree.require_file(relative)
    try:
        content = loadmat(path, appendmat=False, squeeze_me=True)
    except NotImplementedError as error:
        raise UserError(f"{path}: a MATLAB 7.3 (HDF5) file; the official one is of an older version") from error
    except (MatReadError, ValueError, TypeError, KeyError, IndexError, OSError, OverflowError, MemoryError) as error:
        raise UserError(f"{path}: not a MATLAB file ({' '.join(str(error).split())})") from error
    variables = [name for name in content if not name.startswith("__")]
    for key in keys:
        if key not in variables:
            raise UserError(f"{path}: holds no variable '{key}'{did_you_mean(key, variables)}")
    return [np.atleast_1d(content[key]) for key in keys]


def integers(values: Any, what: str) -> list[int]:
    """An array of whole numbers as ints.

    Raises:
        UserError: it holds anything else.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf" or (array.size and np.any(array != np.floor(array))):
        raise UserError(f"{what}: expected a row of whole numbers, found {array.dtype} of shape {array.shape}")
    return [int(value) for value in array]
