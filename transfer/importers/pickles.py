"""Detectron2's and Detectron 1's ``.pkl`` files as checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.family import Checkpoint
from transfer.numpy_pickle import load_arrays

_NOT_WEIGHTS = "_momentum"


def read_pickle(path: Path | str) -> Checkpoint:
    """The arrays of a pickle as tensors; ``metadata["author"]`` is Detectron2's ``__author__``, "Caffe2" where none is.

    Raises:
        UserError: missing, damaged, holding anything but arrays, or no named arrays.
    """
    path = Path(path)
    content = load_arrays(path)
    if isinstance(content.get("model"), dict):
        arrays, author, container = content["model"], str(content.get("__author__", "")), "model"
    elif isinstance(content.get("blobs"), dict):  # Detectron 1's detectors
        arrays, author, container = content["blobs"], "Caffe2", "blobs"
    else:
        arrays, author, container = content, "Caffe2", ""
    tensors = {
        str(name): _tensor(path, str(name), array)
        for name, array in arrays.items()
        if isinstance(array, np.ndarray) and not str(name).endswith(_NOT_WEIGHTS)
    }
    if not tensors:
        raise UserError(f"{path}: holds no named arrays (at the top, or under 'model' or 'blobs')")
    return Checkpoint(path, tensors, {"author": author}, container)


def _tensor(path: Path, name: str, array: Any) -> Tensor:
    try:
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: '{name}' is an array of a kind that PyTorch does not have ({array.dtype})") from error
