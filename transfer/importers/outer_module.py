"""Modules around a whole model, as Lightning's ``self.model = ...`` makes them: names get ``model.`` in front."""

from __future__ import annotations

import dataclasses

from transfer.importers.family import Checkpoint

_OUTER = ("model", "net", "network", "learner", "method", "ssl_model", "_model", "wrapped_model")


def without_outer_module(plain: Checkpoint) -> Checkpoint | None:
    """The checkpoint without its outermost module, if that holds every convolution of the file; else None.

    What lies beside that module (a criterion, metrics) is none of the model's, and left out. An average in a further
    state dict loses the prefix too.
    """
    convolutions = [name for name, tensor in plain.tensors.items() if "/" not in name and tensor.dim() == 4]
    heads = {name.partition(".")[0] for name in convolutions}
    if len(heads) != 1 or not heads <= set(_OUTER):
        return None
    outer = f"{heads.pop()}."
    tensors = {}
    for name, tensor in plain.tensors.items():
        container, slash, inner = name.rpartition("/")
        if not slash and not inner.startswith(outer):
            continue
        short = f"{container}{slash}{inner.removeprefix(outer)}"
        if short in tensors:
            return None
        tensors[short] = tensor
    return dataclasses.replace(plain, tensors=tensors, wrapped=True)
